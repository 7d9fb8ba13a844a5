"""What a state remembers does not change a decision: reservations that give way for longer than in the last cycle."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from model.ids import GroupId
from scheduler.admission.decisions import Admit, Arrived, Decision, Left, Wait
from scheduler.admission.plan import apply, apply_all, plan
from scheduler.admission.state import State
from scheduler.values.pool import Ceiling, Strategy
from scheduler.values.run import Apart, Constraints

MINUTE = timedelta(minutes=1)
AT_ONCE = {"ceiling": Ceiling(runs=None), "backfill_after": timedelta()}
"""A node is reserved for the first blocked run from the first cycle on."""


def on(zone: str) -> Constraints:
    return Constraints(node_selector=(("zone", zone),))


def admitted(decisions: list[Decision]) -> list[int]:
    return sorted(decision.run.seq for decision in decisions if isinstance(decision, Admit))


def wait_then_arrive(make: SimpleNamespace, state: State, run: Any) -> list[int]:
    """Return who starts in a second cycle, before which a run has come."""
    assert admitted(plan(state, make.NOON)) == []
    state = apply_all(state, plan(state, make.NOON))
    return admitted(plan(apply(state, Arrived(run=run)), make.NOON))


def test_all_nodes_of_a_group_give_way_for_longer_if_a_run_starts_on_one_of_them(make: SimpleNamespace) -> None:
    """Until then, the group could have started at once: the run on `n2` may end at any moment."""
    nodes = [make.node(0, cpu=1000), make.node(1, cpu=1000), make.node(2, cpu=1000, labels={"zone": "a"})]
    holding = [make.running(900, cpu=500, node="n2")]
    members = [make.queued(n, cpu=1000, group=GroupId(make.run_id(9_000))) for n in (1, 2, 3)]
    short = make.queued(4, cpu=1000, limit=MINUTE)
    state = make.state([*members, short], nodes=nodes, holding=holding, **AT_ONCE)

    first = make.queued(5, cpu=500, priority=0, limit=MINUTE, constraints=on("a"))

    assert wait_then_arrive(make, state, first) == [4, 5]


def test_a_node_gives_way_for_longer_if_its_run_begins_to_wait_for_the_pool(make: SimpleNamespace) -> None:
    """`n0` is free in ten minutes, but then a run starts on `n2`, and the pool has room only in an hour."""
    zone = {"zone": "a"}
    nodes = [make.node(0, cpu=2000, labels=zone), make.node(1, cpu=2000, labels=zone), make.node(2, cpu=2000)]
    holding = [
        make.running(900 + n, cpu=cpu, node=f"n{n}", started_at=make.NOON, limit=minutes * MINUTE)
        for n, cpu, minutes in ((0, 1000, 10), (1, 2000, 60))
    ]
    head = make.queued(1, cpu=2000, constraints=on("a"))
    later = make.queued(2, cpu=500, limit=30 * MINUTE, constraints=on("a"))
    limits = AT_ONCE | {"ceiling": Ceiling(runs=None, cpu_milli=5500)}
    state = make.state([head, later], nodes=nodes, holding=holding, **limits)

    assert wait_then_arrive(make, state, make.queued(3, cpu=2000, priority=0, limit=60 * MINUTE)) == [2, 3]


def test_a_run_that_others_keep_off_is_looked_at_if_one_of_them_ends_on_another_node(make: SimpleNamespace) -> None:
    """No node that it accepts has more room then: that it fits on none must not be remembered of it."""
    nodes = [make.node(0, labels={"rack": "r"}), make.node(1, labels={"rack": "r", "zone": "b"})]
    nodes.append(make.node(2, labels={"zone": "c"}))
    app = (("app", "x"),)
    holding = [make.running(900, node="n0", labels=app), make.running(901, node="n2", cpu=4000)]
    first = make.queued(1, cpu=4000, priority=0, constraints=on("c"))
    kept_off = Constraints(node_selector=(("zone", "b"),), apart=(Apart(topology="rack", labels=app),))
    state = make.state([first, make.queued(2, constraints=kept_off)], nodes=nodes, holding=holding, **AT_ONCE)

    assert admitted(plan(state, make.NOON)) == []
    state = apply(apply_all(state, plan(state, make.NOON)), Left(run=make.run_id(900)))

    assert admitted(plan(state, make.NOON)) == [2]


def test_a_node_is_not_kept_again_where_an_aged_run_that_came_since_takes_all_of_it(make: SimpleNamespace) -> None:
    """The run had the node kept before, and it is remembered that it could."""
    nodes = [make.node(0, pods=1)]
    state = make.state([make.queued(2, cpu=3000, minutes=370)], nodes=nodes, holding=[make.running(900, cpu=2000)])
    first = plan(state, make.NOON)
    state = apply_all(state, first)
    second = plan(apply(state, Arrived(run=make.queued(1, cpu=3000, minutes=380))), make.NOON)

    assert {wait.run.seq: wait.nominated for wait in first if isinstance(wait, Wait)} == {2: "n0"}
    assert {wait.run.seq: wait.nominated for wait in second if isinstance(wait, Wait)} == {1: "n0", 2: None}


def test_who_did_not_fit_is_looked_at_if_an_aged_run_needs_the_node_no_more_that_it_had_kept(
    make: SimpleNamespace,
) -> None:
    """It starts on the other node, which the run that waits for this one may not use."""
    nodes = [make.node(0, labels={"zone": "a"}), make.node(1)]
    holding = [make.running(900, cpu=2000), make.running(901, cpu=4000, node="n1")]
    waiting = [make.queued(1, cpu=4000, minutes=370), make.queued(2, cpu=2000, constraints=on("a"))]
    state = make.state(waiting, nodes=nodes, holding=holding, strategy=Strategy.RESOURCE_AWARE)
    first = plan(state, make.NOON)
    state = apply(apply_all(state, first), Left(run=make.run_id(901)))

    assert {wait.run.seq: wait.nominated for wait in first if isinstance(wait, Wait)} == {1: "n0", 2: None}
    assert admitted(plan(state, make.NOON)) == [1, 2]
