"""A more important run has others stopped: who, where, and that this comes to an end."""

from collections.abc import Iterable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.admission.decisions import Admit, Arrived, Decision, Left, Preempt, Wait
from scheduler.admission.plan import apply_all, plan, wake
from scheduler.admission.state import State
from scheduler.simulation.event_simulation import Ended, Event, Started, forward
from scheduler.values.pool import Ceiling, Owner, Strategy
from scheduler.values.reasons import Code
from scheduler.values.run import Apart, Constraints

HALF_AN_HOUR = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
ENDLESS = 1_000
"""More events than any of these stories has."""


def admitted(decisions: list[Decision]) -> list[int]:
    return [d.run.seq for d in decisions if isinstance(d, Admit)]


def waits(decisions: list[Decision]) -> dict[int, Wait]:
    return {d.run.seq: d for d in decisions if isinstance(d, Wait)}


def stopped(decisions: list[Decision]) -> list[int]:
    return [d.run.execution_id.int - 1 for d in decisions if isinstance(d, Preempt)]


def busy(make: SimpleNamespace, *holding: Any, **limits: Any) -> State:
    """A full node, and a run of priority 1 that needs 1,000m."""
    given = {"preemption": True} | limits
    return make.state([make.queued(1, cpu=1000, priority=1)], holding=holding, **given)  # type: ignore[no-any-return]


def holder(make: SimpleNamespace, number: int, **given: Any) -> Any:
    values = {"cpu": 2000, "priority": 5, "restartable": True, "started_at": make.NOON - HALF_AN_HOUR}
    return make.running(number, **(values | given))


def test_a_more_important_run_has_the_least_important_one_stopped(make: SimpleNamespace) -> None:
    """Rule 9."""
    state = busy(make, holder(make, 8, priority=4), holder(make, 9, priority=6))

    decisions = plan(state, make.NOON)

    assert stopped(decisions) == [9]
    assert waits(decisions)[1].reason.code is Code.PREEMPTING
    assert waits(decisions)[1].nominated == "n0"
    assert waits(decisions)[1].blocked_by == (make.run_id(9),)


def test_of_equals_the_youngest_is_stopped(make: SimpleNamespace) -> None:
    young = holder(make, 8, started_at=make.NOON - HALF_AN_HOUR / 2)

    assert stopped(plan(busy(make, young, holder(make, 9)), make.NOON)) == [8]


@pytest.mark.parametrize(
    "given",
    [
        {"restartable": False},
        {"guarded": True},
        {"priority": 1},
        {"started_at": None},
        {"began_at": None},
        {"preempted_for": "other"},
    ],
)
def test_nobody_is_stopped_that_must_not_be(make: SimpleNamespace, given: dict[str, Any]) -> None:
    if "preempted_for" in given:
        given = {"preempted_for": make.run_id(77)}

    assert stopped(plan(busy(make, holder(make, 9, cpu=4000, **given)), make.NOON)) == []


def test_nobody_is_stopped_unless_the_pool_says_so(make: SimpleNamespace) -> None:
    assert stopped(plan(busy(make, holder(make, 9, cpu=4000), preemption=False), make.NOON)) == []


def test_nobody_is_stopped_for_a_run_with_rules_about_its_neighbours(make: SimpleNamespace) -> None:
    """Rule 9."""
    apart = Constraints(apart=(Apart(topology="kubernetes.io/hostname", labels=(("app", "x"),)),))
    waiting = [make.queued(1, cpu=1000, priority=1, constraints=apart)]
    state = make.state(waiting, holding=[holder(make, 8), holder(make, 9)], preemption=True)

    assert stopped(plan(state, make.NOON)) == []


def test_nobody_is_stopped_before_its_minimum_time(make: SimpleNamespace) -> None:
    """It counts from when the test began to run: it got its place long before."""
    late = holder(make, 9, cpu=4000, began_at=make.NOON)
    state = busy(make, late, min_runtime=timedelta(minutes=2))
    later = make.NOON + timedelta(minutes=2)

    assert stopped(plan(state, make.NOON)) == []
    assert wake(state, make.NOON) == later
    assert stopped(plan(state, later)) == [9]


def test_what_is_still_being_launched_is_not_waited_for(make: SimpleNamespace) -> None:
    """Nobody knows when it will begin, so no moment is named at which it could be stopped."""
    state = busy(make, holder(make, 9, cpu=4000, began_at=None), backfill_after=timedelta())

    assert stopped(plan(state, make.NOON)) == []
    assert wake(state, make.NOON) == make.NOON + timedelta(hours=2) - timedelta(seconds=59)  # it is aged then


def test_no_more_are_stopped_than_needed_and_all_on_one_node(make: SimpleNamespace) -> None:
    nodes = [make.node(0, cpu=2000), make.node(1, cpu=1000)]
    small = [holder(make, n, cpu=500, priority=9) for n in (5, 6)]
    large = [holder(make, 7, cpu=1000, priority=8), holder(make, 8, cpu=1000, priority=8, node="n1")]

    decisions = plan(busy(make, *small, *large, nodes=nodes), make.NOON)

    assert len(stopped(decisions)) == 1
    assert stopped(decisions)[0] in (7, 8)


def test_while_one_stops_no_other_is_asked_and_nobody_takes_the_room(make: SimpleNamespace) -> None:
    state = busy(make, holder(make, 8), holder(make, 9))
    state = apply_all(state, plan(state, make.NOON))

    decisions = plan(state, make.NOON)
    assert stopped(decisions) == []
    assert waits(decisions)[1].reason.code is Code.PREEMPTING

    victim = next(run for run in state.running.values() if run.preempted_for is not None)
    again = make.queued(20, cpu=2000, priority=5)
    state = apply_all(state, [Left(run=victim.execution_id), Arrived(run=again)])
    decisions = plan(state, make.NOON)
    assert admitted(decisions) == [1]
    assert waits(decisions)[20].reason.code in (Code.BUSY, Code.RESERVED)


def test_a_full_pool_makes_room_too(make: SimpleNamespace) -> None:
    state = busy(make, holder(make, 9, cpu=100), ceiling=Ceiling(runs=1))

    assert stopped(plan(state, make.NOON)) == [9]


def test_a_run_at_its_own_limit_stops_nobody(make: SimpleNamespace) -> None:
    owners = {make.user(0): Owner(name="ann", ceiling=Ceiling(runs=1))}
    state = busy(make, holder(make, 9, cpu=4000, user_id=make.user(0)), owners=owners)

    assert stopped(plan(state, make.NOON)) == []


@pytest.mark.parametrize("strategy", [Strategy.PRIORITY, Strategy.FAIR_SHARE, Strategy.RESOURCE_AWARE])
def test_a_young_run_is_stopped_once_and_starts_again_after_the_other(
    make: SimpleNamespace, strategy: Strategy
) -> None:
    assert story(make, strategy, comes=10) == [
        ("start", 1, 0),
        ("stop", 1, 10),
        ("start", 2, 10),
        ("end", 2, 30),
        ("start", 1, 30),
        ("end", 1, 330),
    ]


@pytest.mark.parametrize("strategy", Strategy)
def test_nobody_is_stopped_for_one_that_comes_later_in_the_order(make: SimpleNamespace, strategy: Strategy) -> None:
    """It would come first as it waits again: it would be stopped and started for ever, and neither would end."""
    assert story(make, strategy, comes=541, takes=600) == [
        ("start", 1, 0),
        ("end", 1, 600),
        ("start", 2, 600),
        ("end", 2, 620),
    ]


def test_under_fifo_nobody_is_stopped_for_one_that_came_later(make: SimpleNamespace) -> None:
    assert [what for what, _, _ in story(make, Strategy.FIFO, comes=10)] == ["start", "end", "start", "end"]


def test_under_fifo_one_that_has_passed_a_more_important_run_is_stopped_for_it(make: SimpleNamespace) -> None:
    state = busy(
        make, holder(make, 0, cpu=3000), holder(make, 9, cpu=1000, enqueued_at=make.NOON), strategy=Strategy.FIFO
    )

    assert stopped(plan(state, make.NOON)) == [9]


def test_an_aged_run_is_stopped_for_an_aged_one_that_comes_before_it(make: SimpleNamespace) -> None:
    waited = {4: timedelta(hours=6) + 2 * MINUTE, 6: timedelta(hours=6)}
    holding = [holder(make, n, cpu=2000, enqueued_at=make.NOON - time) for n, time in waited.items()]
    state = make.state([make.queued(5, cpu=1000, priority=1, minutes=121)], holding=holding, preemption=True)

    assert stopped(plan(state, make.NOON)) == [6]


@pytest.mark.parametrize(("seconds", "asked"), [(58, [9]), (60, [])])
def test_only_who_comes_later_in_the_order_is_stopped(make: SimpleNamespace, seconds: int, asked: list[int]) -> None:
    """The other one is four steps more important, so it comes first unless it came four ageing limits later."""
    at = make.NOON - timedelta(hours=4, seconds=seconds)

    assert stopped(plan(busy(make, holder(make, 9, cpu=4000, enqueued_at=at)), make.NOON)) == asked


def test_under_fair_share_the_node_is_kept_though_the_stopped_run_has_less_share(make: SimpleNamespace) -> None:
    """The owner of the urgent run has much of the pool, that of the stopped one nothing else."""
    mine, yours = {"user_id": make.user(1), "team_id": None}, {"user_id": make.user(2), "team_id": None}
    holding = [holder(make, 8, cpu=3000, restartable=False, **mine), holder(make, 9, cpu=1000, **yours)]
    urgent = make.queued(1, cpu=1000, priority=1, **mine)
    state = make.state([urgent], holding=holding, preemption=True, strategy=Strategy.FAIR_SHARE)
    decisions = plan(state, make.NOON)
    assert stopped(decisions) == [9]

    again = make.queued(9, cpu=1000, priority=5, enqueued_at=make.NOON - HALF_AN_HOUR, **yours)
    state = apply_all(state, [*decisions, Arrived(run=again)])

    assert admitted(plan(state, make.NOON)) == [1]


def test_nobody_is_stopped_on_a_node_that_the_other_avoids(make: SimpleNamespace) -> None:
    """It would not be placed there, however much room is made."""
    avoiding = Constraints(avoid=frozenset({"n0"}))
    there = [holder(make, 8, cpu=4000), holder(make, 9, cpu=4000, node="n1", restartable=False)]
    state = make.state(
        [make.queued(1, cpu=1000, priority=1, constraints=avoiding)],
        nodes=[make.node(0), make.node(1)],
        holding=there,
        preemption=True,
    )

    assert stopped(plan(state, make.NOON)) == []


def test_on_one_node_a_single_larger_run_is_stopped_and_not_two_younger_ones(make: SimpleNamespace) -> None:
    small = [holder(make, n, cpu=cpu, started_at=make.NOON - n * MINUTE) for n, cpu in ((2, 600), (3, 500))]
    large = holder(make, 4, cpu=1000, started_at=make.NOON - 4 * MINUTE)

    assert stopped(plan(busy(make, *small, large, nodes=[make.node(0, cpu=2100)]), make.NOON)) == [4]


def test_of_equals_on_different_nodes_the_youngest_is_stopped(make: SimpleNamespace) -> None:
    nodes = [make.node(0, cpu=1000), make.node(1, cpu=1000)]
    old = holder(make, 8, cpu=1000)
    young = holder(make, 9, cpu=1000, node="n1", started_at=make.NOON - 2 * MINUTE)

    assert stopped(plan(busy(make, old, young, nodes=nodes), make.NOON)) == [9]


def test_in_a_full_pool_each_that_is_more_important_has_one_stopped(make: SimpleNamespace) -> None:
    """What leaves one node leaves the pool too: the second does not ask for more on another node."""
    nodes = [make.node(0), make.node(1)]
    there = [holder(make, n, cpu=100, priority=9, node=f"n{n % 2}") for n in range(4, 8)]
    urgent = [make.queued(1, cpu=3500, priority=0), make.queued(2, cpu=3600, priority=1)]
    state = make.state(urgent, nodes=nodes, holding=there, preemption=True, ceiling=Ceiling(runs=4))

    decisions = plan(state, make.NOON)

    assert len(stopped(decisions)) == 2
    assert {len(waits(decisions)[n].blocked_by) for n in (1, 2)} == {1}


def test_what_others_leave_is_enough_without_anybody_more(make: SimpleNamespace) -> None:
    """The large run that stops leaves room for two that need less."""
    small = [holder(make, n, cpu=100, priority=9) for n in (7, 8)]
    state = make.state(
        [make.queued(1, cpu=1000, priority=0), make.queued(2, cpu=2000, priority=1)],
        holding=[holder(make, 9, cpu=3800, priority=9), *small],
        preemption=True,
    )

    decisions = plan(state, make.NOON)

    assert stopped(decisions) == [9]
    assert [waits(decisions)[n].reason.code for n in (1, 2)] == [Code.PREEMPTING, Code.PREEMPTING]


def story(make: SimpleNamespace, strategy: Strategy, comes: int, takes: int = 300) -> list[tuple[str, int, float]]:
    """One run has the only node for hours; a more important one comes some minutes after it, for 20 minutes."""
    minutes = {1: takes, 2: 20}
    arrivals = [
        make.queued(1, cpu=4000, priority=9, restartable=True, enqueued_at=make.NOON),
        make.queued(2, cpu=4000, priority=0, restartable=True, enqueued_at=make.NOON + comes * MINUTE),
    ]
    state = make.state([], strategy=strategy, preemption=True)
    events = forward(state, make.NOON, lambda run: minutes[run.execution_id.int - 1] * MINUTE, arrivals)
    return told(make, events, ENDLESS)


def told(make: SimpleNamespace, events: Iterable[Event], most: int) -> list[tuple[str, int, float]]:
    """What happened, to whom, and how many minutes after noon. It comes to an end."""
    lines = []
    for number, event in enumerate(events):
        assert number < most, "this has no end"
        at = (event.at - make.NOON) / MINUTE
        if isinstance(event, Started):
            lines.append(("start", event.run.execution_id.int - 1, at))
        elif isinstance(event, Ended):
            lines.append(("end" if event.preempted_for is None else "stop", event.run.int - 1, at))
    return lines
