"""A game day is compared with the last one: a difference counts only beyond a bound, so that noise is no news."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from chaos.comparison import Change, Comparison, Result, SloResult, compare
from chaos.hypothesis import Slo, SloKind, Source
from chaos.judge import Judgement

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
SLO = Slo(name="orders", kind=SloKind.RATIO, source=Source.LOAD, objective=99, step_seconds=1)
WINDOW = timedelta(seconds=60)


def result(recover: float | None, weeks: int = 0, /, **more: object) -> Result:
    values: dict[str, object] = {"judgement": Judgement.MET, "detect": None, "budget": None} | more
    validated = {Judgement.MET: True, Judgement.NOT_MET: False}.get(Judgement(str(values["judgement"])))
    return Result(
        run=f"week-{weeks}",
        ended_at=NOON - timedelta(weeks=weeks),
        word=str(values["judgement"]),
        validated=validated,
        timed=True,
        slos=(SloResult(slo="orders", recover=recover, **values),),  # type: ignore[arg-type]
    )


def compared(now: Result, *earlier: Result) -> Comparison:
    made = compare(now, [SLO], WINDOW, earlier)
    assert made is not None
    return made


def change(now: Result, *earlier: Result, what: str = "time to recover") -> Change:
    [one] = [one for one in compared(now, *earlier).differences if one.what == what and one.part == "orders"]
    return one.change


def test_without_an_earlier_run_there_is_nothing_to_compare() -> None:
    assert compare(result(3), [SLO], WINDOW, ()) is None


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (5.0, 4.0, Change.SAME),  # within two steps of the SLO
        (6.6, 4.0, Change.WORSE),
        (31.0, 20.0, Change.SAME),  # within 60 %, as long as the spread is not known
        (33.0, 20.0, Change.WORSE),
        (7.0, 20.0, Change.BETTER),
        (None, 4.0, Change.WORSE),
        (None, 55.0, Change.UNCLEAR),  # at least 60 s, which is no difference that counts
        (4.0, None, Change.BETTER),
        (59.5, None, Change.UNCLEAR),
        (None, None, Change.SAME),
    ],
)
def test_a_recovery_is_slower_beyond_its_bound(now: float | None, before: float | None, expected: Change) -> None:
    assert change(result(now), result(before, 1)) is expected


def test_the_spread_of_earlier_runs_widens_the_bound() -> None:
    """The median absolute deviation is 3, so three standard deviations of a difference are 19 s."""
    noisy = [result(value, week) for week, value in enumerate([10, 13, 7, 16, 4], start=1)]
    calm = [result(value, week) for week, value in enumerate([10, 10, 11, 9, 10], start=1)]

    assert change(result(20), *noisy) is Change.SAME
    assert change(result(20), *calm) is Change.WORSE
    assert change(result(35), *noisy) is Change.WORSE


def test_with_a_known_spread_a_quarter_is_enough() -> None:
    calm = [result(20, week) for week in range(1, 6)]

    assert change(result(24.5), *calm) is Change.SAME
    assert change(result(25.5), *calm) is Change.WORSE


def test_one_odd_run_before_makes_no_news() -> None:
    """The last run was unusually fast, and this one is as always."""
    odd = [result(2, 1), *(result(10, week) for week in range(2, 7))]

    assert change(result(10), *odd) is Change.SAME
    assert change(result(10), odd[0]) is Change.WORSE


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [(0.6, 0.5, Change.SAME), (0.9, 0.5, Change.WORSE), (0.1, 0.5, Change.BETTER), (0.008, 0.001, Change.SAME)],
)
def test_the_budget_varies_more(now: float, before: float, expected: Change) -> None:
    assert change(result(3, budget=now), result(3, 1, budget=before), what="error budget spent") is expected


def test_what_was_seen_only_once_is_neither_better_nor_worse() -> None:
    what = "time to detect"

    assert change(result(3, detect=2.0), result(3, 1), what=what) is Change.UNCLEAR
    assert change(result(3, detect=9.0), result(3, 1, detect=2.0), what=what) is Change.WORSE


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (Judgement.NOT_MET, Judgement.MET, Change.WORSE),
        (Judgement.MET, Judgement.NOT_MET, Change.BETTER),
        (Judgement.INCONCLUSIVE, Judgement.MET, Change.UNCLEAR),
        (Judgement.MET, Judgement.MET, Change.SAME),
    ],
)
def test_verdicts_are_compared_as_they_are(now: Judgement, before: Judgement, expected: Change) -> None:
    made = compared(result(3, judgement=now), result(3, 1, judgement=before))

    assert [one.change for one in made.differences if one.what == "verdict"] == [expected, expected]


def test_times_of_a_halted_run_are_not_compared() -> None:
    halted = Result(run="w", ended_at=NOON, word="halted by a limit", validated=False, timed=False, slos=result(1).slos)

    assert {one.what for one in compared(result(30), halted).differences} == {"verdict"}


def test_the_sentence_says_what_became_worse_and_since_when() -> None:
    made = compared(result(30), result(4, 1))

    assert made.sentence == (
        "compared with the last run, week-1 of 2026-11-23 12:00: "
        "slower recovery of orders: 30.0 s, and 4.0 s the last time"
    )
    assert "nothing is worse" in compared(result(4), result(4, 1)).sentence


def share_of_slower(cv: float, runs: int, factor: float) -> float:
    """Return how often a run is called slower whose mean is `factor` of the earlier ones'. Times are log-normal."""
    random, slower, trials = Random(11), 0, 1000
    for _ in range(trials):
        earlier = [result(10 * random.lognormvariate(0, cv), week) for week in range(1, runs + 1)]
        slower += change(result(10 * factor * random.lognormvariate(0, cv)), *earlier) is Change.WORSE
    return slower / trials


@pytest.mark.parametrize(
    ("cv", "runs", "false_alarms", "found"),
    [(0.1, 1, 0.02, 0.9), (0.2, 1, 0.08, 0.7), (0.1, 10, 0.02, 0.95), (0.2, 10, 0.03, 0.55)],
)
def test_rates_of_false_alarms_and_of_what_is_found(cv: float, runs: int, false_alarms: float, found: float) -> None:
    """The figures of docs/experiments.md: recovery of 10 s that varies by `cv`, and one that takes twice as long."""
    rates = share_of_slower(cv, runs, 1.0), share_of_slower(cv, runs, 2.0)

    assert rates[0] <= false_alarms, rates
    assert rates[1] >= found, rates
