"""The admission plan, rule by rule."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from model.ids import BackendName, GroupId
from scheduler.admission.plan import Admit, Decision, Wait, plan
from scheduler.values.pool import Ceiling, Owner, Strategy
from scheduler.values.reasons import Code
from scheduler.values.run import Apart, Constraints, Spread


def admitted(decisions: list[Decision]) -> list[int]:
    return [d.run.seq for d in decisions if isinstance(d, Admit)]


def waits(decisions: list[Decision]) -> dict[int, Wait]:
    return {d.run.seq: d for d in decisions if isinstance(d, Wait)}


def test_an_empty_queue_needs_no_decision(make: SimpleNamespace) -> None:
    assert plan(make.state([]), make.NOON) == []


def test_the_lower_number_goes_first_then_who_came_first(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, priority=5), make.queued(2, priority=5), make.queued(3, priority=0)]

    decisions = plan(make.state(waiting, ceiling=Ceiling(runs=2)), make.NOON)

    assert admitted(decisions) == [3, 1]
    assert waits(decisions)[2].position == 1


def test_fifo_looks_at_arrival_only(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, priority=9), make.queued(2, priority=0)]

    assert admitted(plan(make.state(waiting, ceiling=Ceiling(runs=1), strategy=Strategy.FIFO), make.NOON)) == [1]


def test_nobody_starts_without_a_live_worker(make: SimpleNamespace) -> None:
    """Rule 1."""
    decisions = plan(make.state([make.queued(1)], workers=0), make.NOON)

    assert str(waits(decisions)[1].reason) == "no live worker"


def test_the_pool_limit_counts_who_runs_and_who_starts(make: SimpleNamespace) -> None:
    """Rule 3."""
    state = make.state([make.queued(1), make.queued(2)], holding=[make.running(9)], ceiling=Ceiling(runs=2))

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == [1]
    assert str(waits(decisions)[2].reason) == "the pool runs 2 of 2"


def test_a_team_at_its_limit_is_passed_by_others(make: SimpleNamespace) -> None:
    waiting = [make.queued(1), make.queued(2), make.queued(3, user_id=make.user(1), team_id=make.team(1))]
    owners = {make.team(0): Owner(name="payments", ceiling=Ceiling(runs=1))}

    decisions = plan(make.state(waiting, owners=owners), make.NOON)

    assert admitted(decisions) == [1, 3]
    assert str(waits(decisions)[2].reason) == "team payments runs 1 of 1"


def test_what_an_owner_runs_in_other_pools_counts(make: SimpleNamespace) -> None:
    owners = {make.user(0): Owner(name="ann", ceiling=Ceiling(runs=3), elsewhere_runs=3)}

    decisions = plan(make.state([make.queued(1)], owners=owners), make.NOON)

    assert str(waits(decisions)[1].reason) == "user ann runs 3 of 3 (3 in other pools)"


def test_an_owner_without_a_team_has_a_user_limit_only(make: SimpleNamespace) -> None:
    state = make.state([make.queued(1, team_id=None)], owners={make.team(0): Owner(name="t", ceiling=Ceiling(runs=0))})

    assert admitted(plan(state, make.NOON)) == [1]


def test_a_run_in_backoff_waits_and_has_no_position(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, not_before=make.NOON + timedelta(minutes=5)), make.queued(2)]

    decisions = plan(make.state(waiting), make.NOON)

    assert admitted(decisions) == [2]
    assert waits(decisions)[1].position is None
    assert str(waits(decisions)[1].reason) == "in backoff until 12:05:00 UTC"


def test_a_run_starts_when_its_backoff_is_over(make: SimpleNamespace) -> None:
    assert admitted(plan(make.state([make.queued(1, not_before=make.NOON)]), make.NOON)) == [1]


@pytest.mark.parametrize(
    ("asked", "nodes", "code", "text"),
    [
        ({"cpu": 4000}, [{"cpu": 2000}], Code.TOO_LARGE, "needs 4000m CPU; the largest node has 2000m CPU"),
        ({"gpu": 2}, [{"gpu": 1}], Code.TOO_LARGE, "needs 2 GPUs; the largest node has 1 GPU"),
        (
            {"cpu": 3000, "memory": 6 * 2**30},
            [{"cpu": 4000, "memory": 2**30}, {"cpu": 1000, "memory": 2**33}],
            Code.TOO_LARGE,
            "needs 3000m CPU and 6Gi memory on one node; no single node has all of it",
        ),
        ({}, [], Code.NO_NODE, "the pool has no node"),
        ({}, [{"ready": False}], Code.NO_NODE, "the pool's only node is not ready"),
    ],
)
def test_a_run_that_no_node_can_ever_hold_says_so(
    make: SimpleNamespace, asked: dict[str, int], nodes: list[dict[str, int]], code: Code, text: str
) -> None:
    facts = [make.node(i, **given) for i, given in enumerate(nodes)]

    decisions = plan(make.state([make.queued(1, **asked)], nodes=facts), make.NOON)

    assert (code, text) == (waits(decisions)[1].reason.code, str(waits(decisions)[1].reason))


def test_a_selector_that_matches_no_node_is_told_with_the_label(make: SimpleNamespace) -> None:
    picky = make.queued(1, constraints=Constraints(node_selector=(("disk", "ssd"),)))

    decisions = plan(make.state([picky]), make.NOON)

    assert str(waits(decisions)[1].reason) == "no node matches: of 1, 1 without label disk=ssd"


def test_capacity_is_per_node_not_summed(make: SimpleNamespace) -> None:
    nodes = [make.node(0, cpu=1000), make.node(1, cpu=1000)]
    holding = [make.running(8, cpu=500), make.running(9, cpu=500, node="n1")]

    decisions = plan(make.state([make.queued(1, cpu=600)], nodes=nodes, holding=holding), make.NOON)

    assert waits(decisions)[1].reason.code is Code.BUSY
    assert "needs 600m CPU" in str(waits(decisions)[1].reason)
    assert "has 500m CPU free" in str(waits(decisions)[1].reason)


def test_a_blocked_run_is_passed_by_runs_of_other_shapes(make: SimpleNamespace) -> None:
    """Rule 4."""
    big = make.queued(1, cpu=4000, enqueued_at=make.NOON)
    state = make.state([big, make.queued(2)], holding=[make.running(9)])

    assert admitted(plan(state, make.NOON)) == [2]


@pytest.mark.parametrize(("minutes", "first"), [(9 * 60 - 1, 2), (9 * 60 + 1, 1)])
def test_a_step_of_priority_is_worth_one_ageing_limit(make: SimpleNamespace, minutes: int, first: int) -> None:
    """Rule 2."""
    late = make.queued(2, priority=0, enqueued_at=make.NOON)
    waiting = [make.queued(1, priority=9, minutes=minutes), late]

    assert admitted(plan(make.state(waiting, ceiling=Ceiling(runs=1)), make.NOON)) == [first]


def test_a_node_is_kept_free_for_an_aged_run(make: SimpleNamespace) -> None:
    """Rule 6."""
    old, young = make.queued(1, cpu=4000, minutes=361), make.queued(2, priority=0)
    state = make.state([old, young], holding=[make.running(9)])

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == []
    assert waits(decisions)[1].nominated == "n0"
    assert waits(decisions)[2].reason.code is Code.RESERVED
    assert waits(decisions)[2].blocked_by == (old.execution_id,)


def test_later_runs_use_what_the_aged_one_does_not_need(make: SimpleNamespace) -> None:
    nodes = [make.node(0, cpu=4000), make.node(1, cpu=1000)]
    state = make.state([make.queued(1, cpu=4000, minutes=361), make.queued(2)], nodes=nodes, holding=[make.running(9)])

    decisions = plan(state, make.NOON)

    assert [d.node for d in decisions if isinstance(d, Admit)] == ["n1"]


def test_the_last_place_of_the_pool_is_kept_for_an_aged_run(make: SimpleNamespace) -> None:
    nodes = [make.node(0, cpu=4000), make.node(1, cpu=1000)]
    waiting = [make.queued(1, cpu=4000, minutes=361), make.queued(2)]
    state = make.state(waiting, nodes=nodes, holding=[make.running(9)], ceiling=Ceiling(runs=2))

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == []
    assert str(waits(decisions)[2].reason) == "the pool runs 1 of 2; 1 kept free for runs that waited too long"
    assert waits(decisions)[2].blocked_by == (make.run_id(1),)


def test_the_node_that_is_kept_stays_the_same(make: SimpleNamespace) -> None:
    """Were it chosen anew each time, no node would ever drain."""
    nodes = [make.node(0), make.node(1)]
    holding = [make.running(8, cpu=2000), make.running(9, cpu=100, node="n1")]
    old = make.queued(1, cpu=4000, minutes=361, nominated="n0")

    decisions = plan(make.state([old], nodes=nodes, holding=holding), make.NOON)

    assert waits(decisions)[1].nominated == "n0"


def test_an_aged_run_that_no_node_can_hold_keeps_nothing(make: SimpleNamespace) -> None:
    """Rule 8."""
    waiting = [make.queued(1, cpu=9000, minutes=361), make.queued(2)]

    decisions = plan(make.state(waiting, ceiling=Ceiling(runs=1)), make.NOON)

    assert admitted(decisions) == [2]


def test_an_aged_run_at_its_own_limit_delays_nobody_else(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, minutes=361), make.queued(2, user_id=make.user(1))]
    owners = {make.user(0): Owner(name="ann", ceiling=Ceiling(runs=1))}
    state = make.state(waiting, holding=[make.running(9)], owners=owners)

    assert admitted(plan(state, make.NOON)) == [2]


def test_only_the_first_aged_run_at_a_limit_keeps_what_its_user_may_run_too(make: SimpleNamespace) -> None:
    """Rule 6. Both wait for their team; the user of the second may hold what one asks for, in another team too."""
    limit = Ceiling(runs=None, cpu_milli=100)
    owners = {owner: Owner(name="one", ceiling=limit) for owner in (make.team(0), make.user(1))}
    waiting = [make.queued(1, minutes=380), make.queued(2, minutes=370, user_id=make.user(1))]
    waiting.append(make.queued(3, user_id=make.user(1), team_id=make.team(1)))

    decisions = plan(make.state(waiting, holding=[make.running(9)], owners=owners), make.NOON)

    assert admitted(decisions) == [3]
    assert {waits(decisions)[number].reason.code for number in (1, 2)} == {Code.TEAM_RESOURCES}


def test_a_node_to_avoid_is_avoided_while_there_is_another(make: SimpleNamespace) -> None:
    shy = Constraints(avoid=frozenset({"n0"}))
    two = make.state([make.queued(1, constraints=shy)], nodes=[make.node(0), make.node(1)])
    one = make.state([make.queued(1, constraints=shy)])

    assert [d.node for d in plan(two, make.NOON) if isinstance(d, Admit)] == ["n1"]
    assert [d.node for d in plan(one, make.NOON) if isinstance(d, Admit)] == ["n0"]


def test_the_decision_keeps_the_scores_of_its_candidates(make: SimpleNamespace) -> None:
    state = make.state([make.queued(1)], nodes=[make.node(i) for i in range(9)])

    [decision] = plan(state, make.NOON)

    assert isinstance(decision, Admit)
    assert len(decision.candidates) == 5
    assert decision.candidates == tuple(score.node for score in decision.scores)
    assert decision.node == decision.candidates[0]


def test_a_run_may_be_bound_to_nodes_of_one_backend_only(make: SimpleNamespace) -> None:
    nodes = [make.node(i, backend=BackendName(f"b{i % 2}")) for i in range(8)]
    state = make.state([make.queued(1)], nodes=nodes)

    [decision] = plan(state, make.NOON)

    assert isinstance(decision, Admit)
    assert len(decision.candidates) > 1
    assert {state.node_usage.backend_of(node) for node in decision.candidates} == {decision.backend}


@pytest.mark.parametrize(
    "given",
    [
        {"constraints": Constraints(spread=(Spread(topology="zone", labels=()),))},
        {"constraints": Constraints(apart=(Apart(topology="host", labels=(("a", "b"),)),))},
        {"group": GroupId(UUID(int=1))},
    ],
    ids=["spread", "apart", "group"],
)
def test_a_run_whose_place_matters_to_others_has_one_candidate(make: SimpleNamespace, given: dict[str, Any]) -> None:
    nodes = [make.node(i, labels={"host": f"n{i}", "zone": f"z{i}"}) for i in range(4)]

    [decision] = plan(make.state([make.queued(1, **given)], nodes=nodes), make.NOON)

    assert isinstance(decision, Admit)
    assert decision.candidates == (decision.node,)


def test_the_same_state_gives_the_same_plan_and_is_left_as_it_was(make: SimpleNamespace) -> None:
    state = make.state([make.queued(i) for i in range(20)], nodes=[make.node(i, cpu=500) for i in range(3)])

    assert plan(state, make.NOON) == plan(state, make.NOON)
    assert len(state.queued) == 20
    assert not state.node_usage.used.any()
