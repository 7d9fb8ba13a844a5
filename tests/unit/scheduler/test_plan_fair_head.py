"""FAIR_SHARE keeps a node for the first of whoever has had the least, so that small runs do not fill it up."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from model.ids import GroupId
from scheduler.admission.decisions import Admit, Decision, Left, Wait
from scheduler.admission.plan import apply, apply_all, decide, plan, wake
from scheduler.admission.state import State
from scheduler.values.pool import Owner, Strategy
from scheduler.values.reasons import Code

MINUTE = timedelta(minutes=1)


def admitted(decisions: list[Decision]) -> list[int]:
    return [d.run.seq for d in decisions if isinstance(d, Admit)]


def waits(decisions: list[Decision]) -> dict[int, Wait]:
    return {d.run.seq: d for d in decisions if isinstance(d, Wait)}


def half_full(make: SimpleNamespace, *waiting: Any, **given: Any) -> State:
    """A node of 4,000m, half of it held by team 1 until 12:10; team 1 has had more than team 0."""
    going = make.running(9, cpu=2000, team_id=make.team(1), started_at=make.NOON, expected=10 * MINUTE)
    made: State = make.state(waiting, holding=[going], strategy=Strategy.FAIR_SHARE, **given)
    return made


def small(make: SimpleNamespace, number: int, **given: Any) -> Any:
    """One of the runs of team 1 that fit beside what runs."""
    return make.queued(number, **({"cpu": 500, "team_id": make.team(1)} | given))


def settled(make: SimpleNamespace, state: State) -> State:
    """The state after a pass."""
    return apply_all(state, plan(state, make.NOON))


def test_the_first_of_the_least_served_is_chosen_in_one_pass_and_has_its_node_kept_from_the_next(
    make: SimpleNamespace,
) -> None:
    state = half_full(make, make.queued(1, cpu=4000), small(make, 2))
    first = plan(state, make.NOON)
    state = apply(apply_all(state, first), Left(run=make.run_id(2)))
    state.enqueue(small(make, 3))
    second = plan(state, make.NOON)

    assert admitted(first) == [2]
    assert waits(first)[1].nominated == waits(second)[1].nominated == "n0"
    assert admitted(second) == []
    assert waits(second)[3].reason.code is Code.HEAD
    assert waits(second)[3].blocked_by == (make.run_id(1),)


def test_who_is_gone_before_it_could_start_may_pass(make: SimpleNamespace) -> None:
    state = settled(make, half_full(make, make.queued(1, cpu=4000)))
    state.enqueue(small(make, 2, expected=9 * MINUTE))
    state.enqueue(small(make, 3, expected=11 * MINUTE))

    assert admitted(plan(state, make.NOON)) == [2]


def test_it_stays_the_first_though_its_team_has_the_most_by_now(make: SimpleNamespace) -> None:
    """Passed on from team to team, the node would never drain."""
    state = settled(make, half_full(make, make.queued(1, cpu=4000), nodes=[make.node(0), make.node(1, cpu=3000)]))
    state.start(make.running(8, cpu=3000, node="n1"))
    state.enqueue(small(make, 2, cpu=4000))
    decisions = plan(state, make.NOON)

    assert (waits(decisions)[1].nominated, waits(decisions)[2].nominated) == ("n0", None)
    assert (waits(decisions)[1].position, waits(decisions)[2].position) == (1, 2)
    assert admitted(plan(apply(state, Left(run=make.run_id(9))), make.NOON)) == [1]


def test_the_first_of_another_team_is_not_chosen(make: SimpleNamespace) -> None:
    served = make.queued(1, cpu=4000, team_id=make.team(1), priority=0)
    decisions = plan(half_full(make, served, make.queued(2, cpu=3000)), make.NOON)

    assert (waits(decisions)[1].nominated, waits(decisions)[2].nominated) == (None, "n0")


def test_nobody_is_chosen_before_it_has_waited_for_long_enough(make: SimpleNamespace) -> None:
    state = half_full(make, make.queued(1, cpu=4000, enqueued_at=make.NOON - timedelta(seconds=29)))
    decide(state, make.NOON)

    assert wake(state, make.NOON) == make.NOON + timedelta(seconds=1)
    assert waits(plan(state, make.NOON))[1].nominated is None
    assert waits(plan(state, make.NOON + timedelta(seconds=1)))[1].nominated == "n0"


def test_what_was_kept_for_a_run_that_is_cancelled_is_free(make: SimpleNamespace) -> None:
    state = settled(make, half_full(make, make.queued(1, cpu=4000)))
    state.enqueue(small(make, 2))

    assert admitted(plan(state, make.NOON)) == []
    assert admitted(plan(apply(state, Left(run=make.run_id(1))), make.NOON)) == [2]


def test_an_aged_run_is_before_whoever_was_chosen(make: SimpleNamespace) -> None:
    state = settled(make, half_full(make, make.queued(1, cpu=4000)))
    state.enqueue(small(make, 2, cpu=3000, minutes=361))
    decisions = plan(apply(state, Left(run=make.run_id(9))), make.NOON)

    assert admitted(decisions) == [2]


def test_nodes_are_kept_for_all_members_of_a_group_that_was_chosen(make: SimpleNamespace) -> None:
    group = GroupId(make.run_id(99))
    mates = [make.queued(number, cpu=3000, group=group) for number in (1, 2)]
    nodes = [make.node(0), make.node(1)]
    state = settled(make, half_full(make, *mates, nodes=nodes))
    decisions = plan(state, make.NOON)

    assert {waits(decisions)[number].nominated for number in (1, 2)} == {"n0", "n1"}
    state.enqueue(small(make, 3, cpu=1500))
    assert admitted(plan(state, make.NOON)) == []
    assert sorted(admitted(plan(apply(state, Left(run=make.run_id(9))), make.NOON))) == [1, 2]


@pytest.mark.parametrize(("strategy", "still"), [(Strategy.FAIR_SHARE, 0), (Strategy.RESOURCE_AWARE, 1)])
def test_a_large_run_starts_soon_though_small_ones_of_others_never_end(
    make: SimpleNamespace, strategy: Strategy, still: int
) -> None:
    """Each minute two come that take two; best effort lets them fill the node until the large run is aged."""
    owners = {make.team(1): Owner(name="many")}
    state = make.state([make.queued(0, cpu=4000)], strategy=strategy, owners=owners)
    state.start(make.running(9, cpu=1000, team_id=make.team(1), started_at=make.NOON, expected=2 * MINUTE))
    ends: dict[int, list[Any]] = {1: [make.run_id(9)]}
    for minute in range(10):
        now = make.NOON + minute * MINUTE
        for run in ends.pop(minute, []):
            state = apply(state, Left(run=run))
        for number in (100 + 2 * minute, 101 + 2 * minute):
            state.enqueue(small(make, number, cpu=1000, enqueued_at=now, expected=2 * MINUTE, limit=2 * MINUTE))
        decisions = plan(state, now)
        ends[minute + 2] = [d.run.execution_id for d in decisions if isinstance(d, Admit)]
        state = apply_all(state, decisions)

    assert [run.seq for run in state.queued.values()].count(0) == still
