"""What each strategy makes of a run that is blocked, and of those behind it."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.admission.decisions import Admit, Decision, Left, Wait
from scheduler.admission.plan import apply, apply_all, decide, plan, wake
from scheduler.admission.state import State
from scheduler.fairness.shares import decayed, dominant, penalty
from scheduler.values.pool import Ceiling, Owner, Strategy
from scheduler.values.reasons import Code

MINUTE = timedelta(minutes=1)
STRICT = (Strategy.FIFO, Strategy.PRIORITY)


def admitted(decisions: list[Decision]) -> list[int]:
    return [d.run.seq for d in decisions if isinstance(d, Admit)]


def waits(decisions: list[Decision]) -> dict[int, Wait]:
    return {d.run.seq: d for d in decisions if isinstance(d, Wait)}


def half_full(make: SimpleNamespace, waiting: list[Any], **limits: Any) -> State:
    """One node of 4,000m, of which a run has half; it is expected to end in 10 minutes, and must in 60."""
    going = make.running(9, cpu=2000, started_at=make.NOON, expected=10 * MINUTE, limit=60 * MINUTE)
    return make.state(waiting, holding=[going], **limits)  # type: ignore[no-any-return]


@pytest.mark.parametrize("strategy", STRICT)
def test_a_node_is_kept_for_the_first_that_is_blocked(make: SimpleNamespace, strategy: Strategy) -> None:
    state = half_full(make, [make.queued(1, cpu=4000), make.queued(2, limit=20 * MINUTE)], strategy=strategy)

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == []
    assert waits(decisions)[1].nominated == "n0"
    assert waits(decisions)[2].reason.code is Code.HEAD
    assert str(waits(decisions)[2].reason) == "node n0 is kept free for the first of the queue"
    assert waits(decisions)[2].blocked_by == (make.run_id(1),)


@pytest.mark.parametrize("strategy", STRICT)
def test_a_run_that_is_gone_before_the_head_could_start_may_pass(make: SimpleNamespace, strategy: Strategy) -> None:
    quick = make.queued(2, limit=20 * MINUTE, expected=10 * MINUTE)

    assert admitted(plan(half_full(make, [make.queued(1, cpu=4000), quick], strategy=strategy), make.NOON)) == [2]


def test_what_has_run_longer_than_expected_is_expected_to_end_now(make: SimpleNamespace) -> None:
    quick = make.queued(2, expected=MINUTE)
    late = make.NOON + 11 * MINUTE

    assert admitted(plan(half_full(make, [make.queued(1, cpu=4000), quick]), late)) == []


def test_a_run_that_needs_none_of_what_is_kept_may_pass(make: SimpleNamespace) -> None:
    nodes = [make.node(0), make.node(1, cpu=1000)]
    state = half_full(make, [make.queued(1, cpu=4000), make.queued(2)], nodes=nodes)

    assert [d.node for d in plan(state, make.NOON) if isinstance(d, Admit)] == ["n1"]


def test_the_head_has_nothing_kept_until_it_has_waited_for_long_enough(make: SimpleNamespace) -> None:
    head = make.queued(1, cpu=4000, enqueued_at=make.NOON - timedelta(seconds=29))
    state = half_full(make, [head])
    decide(state, make.NOON)

    assert wake(state, make.NOON) == make.NOON + timedelta(seconds=1)
    assert waits(plan(state, make.NOON))[1].nominated is None
    assert waits(plan(state, make.NOON + timedelta(seconds=1)))[1].nominated == "n0"


def test_what_was_kept_for_a_run_is_free_when_that_is_cancelled(make: SimpleNamespace) -> None:
    state = half_full(make, [make.queued(1, cpu=4000), make.queued(2)])
    state = apply_all(state, plan(state, make.NOON))

    assert admitted(plan(apply(state, Left(run=make.run_id(1))), make.NOON)) == [2]


def test_who_comes_to_the_kept_node_gives_others_more_time_there(make: SimpleNamespace) -> None:
    """The head cannot start before that one is gone either."""
    state = half_full(make, [make.queued(1, cpu=4000), make.queued(2, expected=30 * MINUTE)])
    state = apply_all(state, plan(state, make.NOON))
    state.start(make.running(8, cpu=100, started_at=make.NOON, expected=40 * MINUTE))

    assert admitted(plan(state, make.NOON)) == [2]


def test_a_run_that_its_own_team_blocks_is_not_the_head(make: SimpleNamespace) -> None:
    ours = make.queued(1, cpu=4000)
    other = make.queued(2, team_id=make.team(1), user_id=make.user(1))
    owners = {make.team(0): Owner(name="payments", ceiling=Ceiling(runs=1))}

    assert admitted(plan(half_full(make, [ours, other], owners=owners), make.NOON)) == [2]


def test_the_head_waits_for_the_pools_amounts_and_others_leave_it_them(make: SimpleNamespace) -> None:
    """Rule 7."""
    waiting = [make.queued(1, cpu=1500), make.queued(2, cpu=500)]
    state = half_full(make, waiting, ceiling=Ceiling(cpu_milli=3000))

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == []
    assert str(waits(decisions)[1].reason) == "the pool uses 2000m of 3000m CPU; needs 1500m CPU"
    assert waits(decisions)[2].reason.code is Code.HEAD


def test_best_effort_lets_everybody_pass_until_a_run_is_aged(make: SimpleNamespace) -> None:
    big, small = make.queued(1, cpu=4000, minutes=359), make.queued(2)
    state = half_full(make, [big, small], strategy=Strategy.RESOURCE_AWARE)

    assert admitted(plan(state, make.NOON)) == [2]
    assert admitted(plan(state, make.NOON + MINUTE)) == []
    assert waits(plan(state, make.NOON + MINUTE))[2].reason.code is Code.RESERVED


def test_nobody_later_uses_what_an_aged_run_needs_however_short(make: SimpleNamespace) -> None:
    """What runs now may end at any moment, so even a hard limit below its own is no promise."""
    aged = make.queued(1, cpu=4000, minutes=361)
    hopeful = make.queued(2, limit=61 * MINUTE, expected=MINUTE)
    bounded = make.queued(3, limit=60 * MINUTE, priority=6)

    assert admitted(plan(half_full(make, [aged, hopeful, bounded]), make.NOON)) == []


@pytest.mark.parametrize("strategy", Strategy)
def test_an_aged_run_is_first_under_all_strategies(make: SimpleNamespace, strategy: Strategy) -> None:
    waiting = [make.queued(1, priority=9, minutes=601), make.queued(2, priority=0, team_id=make.team(1))]

    assert admitted(plan(make.state(waiting, strategy=strategy, ceiling=Ceiling(runs=1)), make.NOON)) == [1]


def test_an_aged_run_has_what_it_lacks_of_its_teams_limit_kept(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, cpu=2000, minutes=361), make.queued(2, cpu=500), make.queued(3, team_id=make.team(1))]
    owners = {make.team(0): Owner(name="payments", ceiling=Ceiling(cpu_milli=3000))}

    decisions = plan(half_full(make, waiting, owners=owners), make.NOON)

    assert admitted(decisions) == [3]
    assert str(waits(decisions)[1].reason) == "team payments uses 2000m of 3000m CPU; needs 2000m CPU"
    assert waits(decisions)[2].reason.code is Code.RESERVED


def test_an_aged_run_that_its_team_may_never_start_keeps_nothing(make: SimpleNamespace) -> None:
    """The limit was lowered after it had come. Nobody of its team could ever start, nor have its name."""
    waiting = [make.queued(1, cpu=2000, minutes=361, exclusive=("db",)), make.queued(2, cpu=500, exclusive=("db",))]
    owners = {make.team(0): Owner(name="payments", ceiling=Ceiling(cpu_milli=1000))}

    assert admitted(plan(make.state(waiting, owners=owners), make.NOON)) == [2]


def test_amounts_elsewhere_count_and_are_told(make: SimpleNamespace) -> None:
    there = make.amounts(0, 3 * make.GI)
    owners = {make.user(0): Owner(name="ann", ceiling=Ceiling(memory_bytes=4 * make.GI), elsewhere=there)}

    decisions = plan(make.state([make.queued(1, memory=2 * make.GI)], owners=owners), make.NOON)

    text = "user ann uses 3Gi of 4Gi memory (3Gi memory in other pools); needs 2Gi memory"
    assert (waits(decisions)[1].reason.code, str(waits(decisions)[1].reason)) == (Code.USER_RESOURCES, text)


def test_what_is_not_asked_for_may_be_overdrawn(make: SimpleNamespace) -> None:
    owners = {make.team(0): Owner(name="t", ceiling=Ceiling(gpu=0), elsewhere=make.amounts(0, 0, 2))}

    assert admitted(plan(make.state([make.queued(1)], owners=owners), make.NOON)) == [1]


def fair(make: SimpleNamespace, owners: dict[Any, Owner], **limits: Any) -> State:
    """Two teams, each with four runs; team 0 came first."""
    waiting = [make.queued(n, cpu=1000, team_id=make.team(n // 4)) for n in range(8)]
    return make.state(waiting, owners=owners, strategy=Strategy.FAIR_SHARE, **limits)  # type: ignore[no-any-return]


def test_teams_take_turns_under_fair_share(make: SimpleNamespace) -> None:
    decisions = plan(fair(make, {}), make.NOON)

    assert admitted(decisions) == [0, 4, 1, 5]


def test_a_team_of_twice_the_weight_gets_twice_as_much(make: SimpleNamespace) -> None:
    owners = {make.team(1): Owner(name="t1", weight=2.0)}
    state = fair(make, owners, nodes=[make.node(0, cpu=6000)])

    assert sorted(admitted(plan(state, make.NOON))) == [0, 1, 4, 5, 6, 7]


def test_a_team_of_no_weight_starts_only_what_the_others_leave(make: SimpleNamespace) -> None:
    owners = {make.team(0): Owner(name="t0", weight=0.0)}
    state = fair(make, owners, nodes=[make.node(0, cpu=6000)])

    assert admitted(plan(state, make.NOON)) == [4, 5, 6, 7, 0, 1]


def test_who_has_had_much_lately_comes_later(make: SimpleNamespace) -> None:
    owners = {make.team(0): Owner(name="payments", usage=0.9)}

    decisions = plan(fair(make, owners), make.NOON)

    assert admitted(decisions) == [4, 5, 6, 7]
    assert waits(decisions)[0].reason.code is Code.SHARE
    assert waits(decisions)[0].share == pytest.approx(0.9)


def test_what_was_had_is_forgotten_by_half_in_a_half_life(make: SimpleNamespace) -> None:
    owners = {make.team(0): Owner(name="payments", usage=0.8)}
    state = fair(make, owners, ceiling=Ceiling(runs=0))
    state.usage_at = make.NOON - timedelta(hours=1)

    assert decide(state, make.NOON).usage == {make.team(0): pytest.approx(0.4)}


def test_a_run_without_a_team_is_its_users(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, team_id=None), make.queued(2)]
    owners = {make.user(0): Owner(name="ann", usage=0.5)}
    state = make.state(waiting, owners=owners, strategy=Strategy.FAIR_SHARE, ceiling=Ceiling(runs=1))

    assert admitted(plan(state, make.NOON)) == [2]


def test_a_burst_of_short_runs_is_charged_at_once(make: SimpleNamespace) -> None:
    """Each run is gone before anything is measured; without the penalty its team would look idle for ever."""
    state = make.state([], strategy=Strategy.FAIR_SHARE, ceiling=Ceiling(runs=1), half_life=MINUTE)
    state = apply_all(state, plan(state, make.NOON))
    for number in range(5):
        state.enqueue(make.queued(number, cpu=2000))
        decisions = plan(state, make.NOON)
        assert admitted(decisions) == [number]
        state = apply_all(state, decisions)
        state.end(make.run_id(number))

    step = penalty(1.0, timedelta(seconds=1), MINUTE)
    assert decide(state, make.NOON).usage[make.team(0)] == pytest.approx(5 * step)


def test_usage_goes_towards_the_share_and_halves_the_way_in_a_half_life() -> None:
    hour = timedelta(hours=1)

    assert decayed(0.0, 1.0, hour, hour) == pytest.approx(0.5)
    assert decayed(0.8, 0.0, 2 * hour, hour) == pytest.approx(0.2)
    assert decayed(0.8, 0.0, -hour, hour) == 0.8
    assert decayed(0.8, 0.3, hour, timedelta()) == 0.3
    assert penalty(0.5, hour, hour) == pytest.approx(0.25)


def test_a_share_is_dominant() -> None:
    assert dominant((1, 500, 80, 0, 0), (100, 1000, 100, 0, 0)) == 0.8
