"""When runs will start: the plan run forward over drawn durations; and how often that turns out right."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.estimate import GRACE, Basis, Estimate, Question, Trial, estimates, steady, trial
from scheduler.history import history
from scheduler.pool import Ceiling
from scheduler.run import Queued
from scheduler.state import State
from scheduler.sums import POOL

MINUTE = timedelta(minutes=1)
Draw = Callable[[Random], float]


def ask(state: State, near: Sequence[Queued], at: datetime, seconds: Sequence[float] = ()) -> Question:
    """A question about `near`, of runs that all take what `seconds` say; nothing is known where those are none."""
    known = {run: history(seconds) for run in (*state.queued, *state.running)} if seconds else {}
    return Question(state=state, now=at, near=tuple(run.execution_id for run in near), history=known)


def answer(question: Question, trials: int = 30) -> dict[Any, Estimate]:
    dice = Random(1)
    return {found.execution_id: found for found in estimates(question, [trial(question, dice) for _ in range(trials)])}


def test_a_run_starts_when_those_before_it_have_ended(make: SimpleNamespace) -> None:
    """One place, held for 4 of the 10 minutes that each run takes."""
    waiting = [make.queued(number) for number in range(1, 4)]
    holder = make.running(9, started_at=make.NOON - 4 * MINUTE)
    question = ask(make.state(waiting, holding=[holder], ceiling=Ceiling(runs=1)), waiting, make.NOON, [600] * 50)

    found = answer(question)

    for place, run in enumerate(waiting):
        expected = make.NOON + 6 * MINUTE + place * 10 * MINUTE
        assert abs(found[run.execution_id].p50 - expected) < 0.3 * MINUTE * (place + 1)
        assert found[run.execution_id].basis is Basis.HISTORY


def test_the_state_asked_about_stays_as_it_is(make: SimpleNamespace) -> None:
    waiting = [make.queued(number) for number in range(1, 6)]
    state = make.state(waiting, holding=[make.running(9)], ceiling=Ceiling(runs=1))
    used = state.fleet.used.copy()
    trial(ask(state, waiting, make.NOON, [60] * 9), Random(1))

    assert set(state.queued) == {run.execution_id for run in waiting}
    assert [*state.running] == [make.run_id(9)]
    assert (state.fleet.used == used).all()
    assert state.sums.of(POOL)[0] == 1


def test_a_run_that_has_taken_long_already_takes_what_the_long_ones_took(make: SimpleNamespace) -> None:
    """Half of the runs take a minute, half an hour. After two minutes it is one of the latter."""
    waiting = [make.queued(1)]
    seconds = [60] * 20 + [3600] * 20

    def p50(ran: timedelta) -> timedelta:
        holder = make.running(9, started_at=make.NOON - ran, limit=timedelta(hours=2))
        state = make.state(waiting, holding=[holder], ceiling=Ceiling(runs=1))
        return answer(ask(state, waiting, make.NOON, seconds))[waiting[0].execution_id].p50 - make.NOON

    assert p50(2 * MINUTE) == pytest.approx(58 * MINUTE, rel=0.01)


def test_no_run_takes_longer_than_its_limit(make: SimpleNamespace) -> None:
    waiting = [make.queued(1)]
    holder = make.running(9, started_at=make.NOON - 3 * MINUTE, limit=5 * MINUTE)
    state = make.state(waiting, holding=[holder], ceiling=Ceiling(runs=1))

    found = answer(ask(state, waiting, make.NOON, [3600] * 20))[waiting[0].execution_id]

    assert found.p50 == found.p90 == make.NOON + 2 * MINUTE


def test_a_run_past_its_limit_is_about_to_end(make: SimpleNamespace) -> None:
    waiting = [make.queued(1)]
    holder = make.running(9, started_at=make.NOON - 9 * MINUTE, limit=5 * MINUTE)
    state = make.state(waiting, holding=[holder], ceiling=Ceiling(runs=1))

    found = answer(ask(state, waiting, make.NOON, [3600] * 20))[waiting[0].execution_id]

    assert found.p50 == make.NOON + GRACE


def test_without_history_any_part_of_the_limit_is_as_likely(make: SimpleNamespace) -> None:
    waiting = [make.queued(1)]
    holder = make.running(9, started_at=make.NOON, limit=10 * MINUTE)
    state = make.state(waiting, holding=[holder], ceiling=Ceiling(runs=1))

    found = answer(ask(state, waiting, make.NOON), trials=400)[waiting[0].execution_id]

    assert found.basis is Basis.LIMITS
    assert found.p50 - make.NOON == pytest.approx(5 * MINUTE, rel=0.1)
    assert found.p90 - make.NOON == pytest.approx(9 * MINUTE, rel=0.1)


def test_one_run_without_history_makes_the_whole_answer_rest_on_limits(make: SimpleNamespace) -> None:
    waiting = [make.queued(1), make.queued(2)]
    state = make.state(waiting, ceiling=Ceiling(runs=1))
    question = Question(state=state, now=make.NOON, near=(make.run_id(1),), history={make.run_id(1): history([60])})
    assert answer(question)[make.run_id(1)].basis is Basis.HISTORY

    question = Question(
        state=state, now=make.NOON, near=(make.run_id(1), make.run_id(2)), history={make.run_id(1): history([60])}
    )
    assert {found.basis for found in answer(question).values()} == {Basis.LIMITS}


def test_a_run_that_starts_in_too_few_futures_is_told_nothing() -> None:
    at = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
    question = SimpleNamespace(near=("a",), far=(), history={"a": None}, state=SimpleNamespace(running={}))
    often = [Trial(starts={"a": at}, order=(at,))] * 28  # type: ignore[dict-item]
    never = [Trial(starts={}, order=())]

    assert len(estimates(question, often + never * 2)) == 1  # type: ignore[arg-type]
    assert estimates(question, often + never * 3) == []  # type: ignore[arg-type]


def test_a_run_that_fits_nowhere_is_told_nothing_and_holds_up_nobody(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, cpu=10**6), make.queued(2)]

    found = answer(ask(make.state(waiting), waiting, make.NOON, [60] * 9))

    assert [*found] == [make.run_id(2)]
    assert found[make.run_id(2)].p50 == make.NOON


def test_the_lag_between_admission_and_start_adds_up_over_a_queue(make: SimpleNamespace) -> None:
    waiting = [make.queued(number) for number in range(1, 4)]
    holder = make.running(9, started_at=make.NOON, limit=MINUTE)
    state = make.state(waiting, holding=[holder], ceiling=Ceiling(runs=1))
    limits = {run.execution_id: history([10**6] * 9) for run in (*waiting, holder)}  # all run into their limit
    question = Question(
        state=state,
        now=make.NOON,
        near=tuple(state.queued),
        history=limits,
        lag=timedelta(seconds=5),
    )
    first, second, _ = trial(question, Random(1)).order

    assert first == make.NOON + MINUTE + timedelta(seconds=5)
    assert second - first == timedelta(hours=1, seconds=5)


def test_farther_runs_are_told_by_the_rate_of_starts(make: SimpleNamespace) -> None:
    waiting = [make.queued(number) for number in range(60)]
    state = make.state(waiting, ceiling=Ceiling(runs=1))
    ids = [run.execution_id for run in waiting]
    question = Question(
        state=state,
        now=make.NOON,
        near=tuple(ids[:40]),
        far=tuple(ids[40:]),
        history={run: history([60] * 50) for run in ids},
    )

    found = answer(question)

    assert {found[run].basis for run in ids[40:]} == {Basis.RATE}
    assert (found[ids[59]].p50 - found[ids[39]].p50) / 20 == pytest.approx(MINUTE, rel=0.05)


def test_from_few_starts_no_rate_is_drawn_out(make: SimpleNamespace) -> None:
    waiting = [make.queued(number) for number in range(12)]
    ids = tuple(run.execution_id for run in waiting)
    state = make.state(waiting, ceiling=Ceiling(runs=1))

    found = answer(Question(state=state, now=make.NOON, near=ids[:10], far=ids[10:]))

    assert set(found) == set(ids[:10])


def test_a_more_important_run_that_is_to_come_puts_others_off(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, priority=5)]
    holder = make.running(9, started_at=make.NOON)
    urgent = make.queued(2, priority=0, enqueued_at=make.NOON + timedelta(seconds=1))
    state = make.state(waiting, holding=[holder], ceiling=Ceiling(runs=1))
    known = {make.run_id(number): history([60] * 50) for number in (1, 2, 9)}
    question = Question(state=state, now=make.NOON, near=(make.run_id(1),), history=known)
    later = Question(state=state, now=make.NOON, near=(make.run_id(1),), history=known, coming=lambda _: [urgent])

    assert answer(question)[make.run_id(1)].p50 - make.NOON == pytest.approx(MINUTE, rel=0.1)
    assert answer(later)[make.run_id(1)].p50 - make.NOON == pytest.approx(2 * MINUTE, rel=0.1)


@pytest.mark.parametrize(
    ("told", "fresh", "kept"),
    [
        ((600, 900), (630, 950), (600, 900)),
        ((600, 900), (570, 850), (600, 900)),
        ((600, 900), (700, 900), (700, 900)),
        ((600, 900), (300, 900), (300, 900)),
        ((600, 900), (600, 1200), (600, 1200)),
        ((20, 60), (24, 64), (20, 60)),
        ((20, 60), (26, 67), (26, 67)),
        ((-1, 60), (3, 60), (3, 60)),
        ((100, 104), (109, 115), (100, 115)),
        ((100, 104), (112, 112), (112, 112)),
    ],
)
def test_what_was_told_stands_until_there_is_a_reason(
    make: SimpleNamespace, told: tuple[int, int], fresh: tuple[int, int], kept: tuple[int, int]
) -> None:
    """A tenth of what is left, or five seconds, are none; a moment that has passed is one."""

    def estimate(seconds: tuple[int, int]) -> Estimate:
        p50, p90 = (make.NOON + timedelta(seconds=second) for second in seconds)
        return Estimate(execution_id=make.run_id(1), p50=p50, p90=p90, basis=Basis.HISTORY)

    assert steady(estimate(fresh), estimate(told), make.NOON) == estimate(kept)


def test_another_basis_is_a_reason(make: SimpleNamespace) -> None:
    told = Estimate(execution_id=make.run_id(1), p50=make.NOON + MINUTE, p90=make.NOON + MINUTE, basis=Basis.LIMITS)
    fresh = Estimate(execution_id=make.run_id(1), p50=make.NOON, p90=make.NOON, basis=Basis.HISTORY)

    assert steady(fresh, told, make.NOON) is fresh
    assert steady(fresh, None, make.NOON) is fresh


def test_the_same_dice_give_the_same_futures(make: SimpleNamespace) -> None:
    waiting = [make.queued(number) for number in range(1, 9)]
    question = ask(make.state(waiting, ceiling=Ceiling(runs=1)), waiting, make.NOON, range(30, 90))

    assert trial(question, Random(3)) == trial(question, Random(3))
    assert trial(question, Random(3)) != trial(question, Random(4))
