"""When runs will start: the plan run forward over drawn durations; and how often that turns out right."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.admission.state import State
from scheduler.forecast.arrivals import Arrivals, Newcomer, learn
from scheduler.forecast.estimate import Basis, Estimate, estimates, steady
from scheduler.forecast.history import history
from scheduler.forecast.question import Behind, Question, Scenario
from scheduler.forecast.scenarios import FEWEST_NEWCOMERS, GRACE, trial
from scheduler.values.pool import Ceiling, Owner, Strategy
from scheduler.values.run import Queued
from scheduler.values.usage_totals import POOL

MINUTE = timedelta(minutes=1)
Draw = Callable[[Random], float]


def ask(state: State, near: Sequence[Queued], at: datetime, seconds: Sequence[float] = ()) -> Question:
    """A question about `near`, of runs that all take what `seconds` say; nothing is known where those are none."""
    known = {run: history(seconds) for run in (*state.queued, *state.running)} if seconds else {}
    return Question(state=state, now=at, near=tuple(run.execution_id for run in near), history=known)


def behind(runs: Sequence[Queued]) -> tuple[Behind, ...]:
    """Those that are not simulated."""
    return tuple(
        Behind(execution_id=run.execution_id, priority=run.priority, enqueued_at=run.enqueued_at) for run in runs
    )


def lately(make: SimpleNamespace, number: int, **given: Any) -> Arrivals:
    """So many runs that came evenly in the last hour, each of which took a minute."""
    return learn(
        (
            Newcomer(
                run=make.queued(
                    1000 + place, enqueued_at=make.NOON - (place + 0.5) * timedelta(hours=1) / number, **given
                ),
                history=history([60] * 50),
            )
            for place in range(number)
        ),
        make.NOON,
    )


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
    used = state.node_usage.used.copy()
    trial(ask(state, waiting, make.NOON, [60] * 9), Random(1))

    assert set(state.queued) == {run.execution_id for run in waiting}
    assert [*state.running] == [make.run_id(9)]
    assert (state.node_usage.used == used).all()
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


def test_a_run_that_starts_in_too_few_futures_is_told_nothing(make: SimpleNamespace) -> None:
    at: datetime = make.NOON
    run = make.queued(1)
    question = ask(make.state([run]), [run], at, [60])
    often = [Scenario(starts={run.execution_id: at}, order=(at,))] * 28
    never = [Scenario(starts={}, order=())]

    assert len(estimates(question, often + never * 2)) == 1
    assert estimates(question, often + never * 3) == []


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
        far=behind(waiting[40:]),
        history={run: history([60] * 50) for run in ids},
    )

    found = answer(question)

    assert {found[run].basis for run in ids[40:]} == {Basis.RATE}
    assert (found[ids[59]].p50 - found[ids[39]].p50) / 20 == pytest.approx(MINUTE, rel=0.05)


def test_from_few_starts_no_rate_is_drawn_out(make: SimpleNamespace) -> None:
    waiting = [make.queued(number) for number in range(12)]
    ids = tuple(run.execution_id for run in waiting)
    state = make.state(waiting, ceiling=Ceiling(runs=1))

    found = answer(Question(state=state, now=make.NOON, near=ids[:10], far=behind(waiting[10:])))

    assert set(found) == set(ids[:10])


def test_more_important_runs_that_are_to_come_put_others_off(make: SimpleNamespace) -> None:
    """One place, a minute each: with one newcomer in two minutes the last of ten starts after twice the time."""
    waiting = [make.queued(number) for number in range(1, 11)]
    question = ask(make.state(waiting, ceiling=Ceiling(runs=1)), waiting, make.NOON, [60] * 50)
    last = waiting[-1].execution_id

    def told(**given: Any) -> Estimate:
        return answer(replace(question, arrivals=lately(make, 30, **given)), trials=60)[last]

    alone, put_off = answer(question)[last], told(priority=0)
    assert alone.p50 - make.NOON == pytest.approx(9 * MINUTE, rel=0.1)
    assert put_off.p50 - make.NOON == pytest.approx(18 * MINUTE, rel=0.15)
    assert put_off.p90 - put_off.p50 > 3 * (alone.p90 - alone.p50)
    assert (alone.basis, put_off.basis) == (Basis.HISTORY, Basis.HISTORY_ARRIVALS)
    assert told(priority=5).p50 - make.NOON == pytest.approx(9 * MINUTE, rel=0.1)


def test_only_who_can_be_put_off_is_told_that_newcomers_count(make: SimpleNamespace) -> None:
    """Not the more important, nor who has waited for two ageing limits: newcomers come two steps before it."""
    waiting = [make.queued(1, priority=0), make.queued(2, priority=5), make.queued(3, priority=5, minutes=120)]
    question = ask(make.state(waiting, ceiling=Ceiling(runs=1)), waiting, make.NOON, [60] * 50)

    found = answer(replace(question, arrivals=lately(make, 10, priority=3)))

    bases = [found[run.execution_id].basis for run in waiting]
    assert bases == [Basis.HISTORY, Basis.HISTORY_ARRIVALS, Basis.HISTORY]


def test_newcomers_of_which_nothing_is_known_make_the_answer_rest_on_limits(make: SimpleNamespace) -> None:
    waiting = [make.queued(1)]
    unknown = learn([Newcomer(run=make.queued(2, priority=0, minutes=10))], make.NOON)
    question = ask(make.state(waiting), waiting, make.NOON, [60] * 50)

    assert answer(replace(question, arrivals=unknown))[make.run_id(1)].basis is Basis.LIMITS_ARRIVALS


@pytest.mark.parametrize(("strategy", "later"), [(Strategy.FIFO, False), (Strategy.FAIR_SHARE, True)])
def test_newcomers_count_as_the_strategy_has_it(make: SimpleNamespace, strategy: Strategy, *, later: bool) -> None:
    """FIFO: nobody overtakes. FAIR_SHARE: whose owner has had less does, whatever its priority."""
    waiting = [make.queued(number) for number in range(1, 11)]
    state = make.state(waiting, holding=[make.running(99)], ceiling=Ceiling(runs=1), strategy=strategy)
    question = ask(state, waiting, make.NOON, [60] * 50)
    arrivals = lately(make, 30, priority=9, user_id=make.user(1), team_id=make.team(1))
    last = waiting[-1].execution_id

    assert (answer(replace(question, arrivals=arrivals))[last].p50 > answer(question)[last].p50 + MINUTE) is later


def test_nobody_is_put_off_by_newcomers_beyond_its_key(make: SimpleNamespace) -> None:
    """Ten come each minute, and one starts; those of the first nine minutes start before it, and no others."""
    waiting = [make.queued(1)]
    state = make.state(waiting, holding=[make.running(9)], ceiling=Ceiling(runs=1), ageing_limit=2 * MINUTE)
    question = ask(state, waiting, make.NOON, [60] * 50)

    found = answer(replace(question, arrivals=lately(make, 600, priority=0)))[make.run_id(1)]

    assert 80 * MINUTE < found.p50 - make.NOON < 110 * MINUTE


def test_from_the_last_newcomer_drawn_time_is_stretched(make: SimpleNamespace) -> None:
    """Every second start is a newcomer's. Only 50 are drawn, in 100 minutes; then it goes on as it began."""
    waiting = [make.queued(number) for number in range(1, 101)]
    state = make.state(waiting, ceiling=Ceiling(runs=1), ageing_limit=timedelta(days=1))
    question = replace(ask(state, waiting[-1:], make.NOON, [60] * 50), arrivals=lately(make, 30, priority=0))

    found = answer(question, trials=15)[waiting[-1].execution_id]

    assert FEWEST_NEWCOMERS == 50
    assert found.p50 - make.NOON == pytest.approx(2 * 99 * MINUTE, rel=0.2)


def test_where_newcomers_take_every_place_one_starts_after_all_that_come_before_its_key(make: SimpleNamespace) -> None:
    """The fifty that are drawn come in fifty seconds. In two hours 7,200 come, each of which takes a minute."""
    waiting = [make.queued(1)]
    state = make.state(waiting, holding=[make.running(9)], ceiling=Ceiling(runs=1), ageing_limit=24 * MINUTE)
    question = ask(state, waiting, make.NOON, [60] * 50)

    found = answer(replace(question, arrivals=lately(make, 3600, priority=0)))[make.run_id(1)]

    assert found.p50 - make.NOON > 100 * timedelta(hours=1)


def test_under_fair_share_an_aged_run_starts_before_all_that_wait(make: SimpleNamespace) -> None:
    """One that counts before it comes each second, of which fifty are drawn. It is aged after six minutes."""
    waiting = [make.queued(1, enqueued_at=make.NOON)]
    state = make.state(
        waiting,
        holding=[make.running(9)],
        owners={make.team(0): Owner(name="red", usage=1e9)},
        ceiling=Ceiling(runs=1),
        ageing_limit=MINUTE,
        strategy=Strategy.FAIR_SHARE,
    )
    others = lately(make, 3600, user_id=make.user(1), team_id=make.team(1))

    found = answer(replace(ask(state, waiting, make.NOON, [60] * 50), arrivals=others))[make.run_id(1)]

    assert 6 * MINUTE <= found.p50 - make.NOON <= found.p90 - make.NOON < 7.5 * MINUTE


def test_farther_runs_are_put_off_by_newcomers_that_do_not_put_off_the_near(make: SimpleNamespace) -> None:
    """One in two minutes is of priority 3: before those of priority 5, behind those that are simulated."""
    waiting = [make.queued(number, priority=0 if number < 40 else 5) for number in range(60)]
    state = make.state(waiting, ceiling=Ceiling(runs=1), ageing_limit=timedelta(days=1))
    question = ask(state, waiting[:40], make.NOON, [60] * 50)
    question = replace(question, far=behind(waiting[40:]), arrivals=lately(make, 30, priority=3))

    found = answer(question, trials=40)
    first, last = found[waiting[40].execution_id], found[waiting[59].execution_id]

    assert found[waiting[39].execution_id].basis is Basis.HISTORY
    assert (first.basis, last.basis) == (Basis.RATE_ARRIVALS, Basis.RATE_ARRIVALS)
    assert first.p50 - make.NOON == pytest.approx((39 + (1 + 19.5) * 2) * MINUTE, rel=0.15)
    assert last.p50 - first.p50 == pytest.approx(19 * 2 * MINUTE, rel=0.25)


def test_a_farther_run_that_no_newcomer_comes_before_any_more_is_not_put_off_at_all(make: SimpleNamespace) -> None:
    """It has waited for two ageing limits, and they are two steps more important."""
    waiting = [make.queued(number, priority=0 if number < 30 else 5) for number in range(31)]
    question = ask(make.state(waiting, ceiling=Ceiling(runs=1)), waiting[:30], make.NOON, [60] * 50)
    question = replace(question, far=(replace(behind(waiting[30:])[0], enqueued_at=make.NOON - timedelta(hours=2)),))

    alone = answer(question)[waiting[30].execution_id]
    found = answer(replace(question, arrivals=lately(make, 120, priority=3)))[waiting[30].execution_id]

    assert found.basis is Basis.RATE
    assert found.p50 - make.NOON == pytest.approx(alone.p50 - make.NOON, rel=0.05)


def test_a_farther_run_is_put_off_no_longer_than_its_place_in_the_order_lets_it(make: SimpleNamespace) -> None:
    """Twice as many newcomers as starts: it is passed by all that come in its first two hours, and by no other.

    They are two steps more important, and each step is worth one ageing limit of one hour.
    """
    waiting = [make.queued(number, priority=0 if number < 30 else 5) for number in range(31)]
    question = ask(make.state(waiting, ceiling=Ceiling(runs=1)), waiting[:30], make.NOON, [60] * 50)
    question = replace(question, far=behind(waiting[30:]), arrivals=lately(make, 120, priority=3))

    found = answer(question, trials=40)[waiting[30].execution_id]

    assert found.p50 - make.NOON == pytest.approx((29 + 1 + 120 * 2) * MINUTE, rel=0.15)


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
