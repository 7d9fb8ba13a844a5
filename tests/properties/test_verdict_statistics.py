"""What the statistics find and how often they are wrong. Inconclusive counts as not found."""

import math
from itertools import combinations
from random import Random

import pytest
from harness.chaos_readings import autocorrelated, hypothesis, outage, ratio, value, value_readings
from scipy import stats

from chaos.judge import Judgement, judge_ratio, judge_slos, worst
from chaos.judge_value import compare
from chaos.rank_sum import corrected_p, holm, inflation, lag_one, one_sided_p, smallest_p
from chaos.student import upper_tail
from chaos.windows import Window

EXPERIMENTS = {1: 250, 3: 150, 10: 80}
"""By the number of SLOs. Small, for CI; the seeds are fixed."""
ALPHA = 0.05
READINGS = 20


def judge_experiment(
    random: Random, slos: int, correlation: float, *, variation: float = 0.1, shift: float = 1.0
) -> Judgement:
    """Judge one experiment whose first SLO becomes worse by `shift`."""
    readings = {}
    for number in range(slos):
        series = autocorrelated(random, 2 * READINGS, correlation, variation)
        fault = [one * (shift if number == 0 else 1.0) for one in series[READINGS:]]
        readings[f"slo {number}"] = value_readings(series[:READINGS], fault)
    held = hypothesis(*(value(name) for name in readings))
    return worst([slo.judgement for slo in judge_slos(held, readings, ALPHA)])


@pytest.mark.parametrize("seconds", [1, 3, 10, 20])
@pytest.mark.parametrize("per_second", [1, 20])
def test_an_outage_in_a_minute_fails_an_objective_of_99_percent(seconds: int, per_second: int) -> None:
    counts = {
        Window.BASELINE: outage(0, per_second=per_second),
        Window.FAULT: outage(seconds, per_second=per_second),
    }

    assert judge_ratio(ratio(), counts, 0.1).judgement is Judgement.NOT_MET


@pytest.mark.parametrize("slos", [1, 3, 10])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.5])
def test_false_alarms_are_five_percent_or_less(slos: int, correlation: float) -> None:
    random = Random(f"{slos} {correlation}")
    judged = [judge_experiment(random, slos, correlation, variation=0.3) for _ in range(EXPERIMENTS[slos])]

    alarms = judged.count(Judgement.NOT_MET)

    assert alarms <= 0.05 * len(judged)


def test_a_shift_of_a_quarter_is_found_in_nine_of_ten_and_few_are_inconclusive() -> None:
    random = Random(4)
    shifted = [judge_experiment(random, 3, 0.3, shift=1.25) for _ in range(EXPERIMENTS[3])]
    unchanged = [judge_experiment(random, 3, 0.3) for _ in range(EXPERIMENTS[3])]

    assert shifted.count(Judgement.NOT_MET) >= 0.9 * len(shifted)
    assert shifted.count(Judgement.INCONCLUSIVE) <= 0.2 * len(shifted)
    assert unchanged.count(Judgement.INCONCLUSIVE) <= 0.2 * len(shifted)


def test_p_is_that_of_all_permutations_with_ties_too() -> None:
    random = Random(1)
    for _ in range(40):
        both = [random.randint(1, 6) for _ in range(9)]
        ranks = stats.rankdata(both)
        observed = ranks[5:].sum()
        sums = [sum(chosen) for chosen in combinations(ranks, 4)]

        assert one_sided_p(both[:5], both[5:]) == pytest.approx(sum(one >= observed for one in sums) / len(sums))


def test_p_agrees_with_scipy_for_windows_of_all_lengths() -> None:
    random = Random(2)
    for first, second in [(5, 5), (20, 20), (31, 9), (60, 60), (200, 100)]:
        before, during = ([random.gauss(center, 1) for _ in range(n)] for center, n in ((0, first), (0.5, second)))
        method = "exact" if first + second <= 60 else "asymptotic"
        wanted = stats.mannwhitneyu(during, before, alternative="greater", method=method).pvalue

        assert one_sided_p(before, during) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("freedom", [1, 2.5, 7, 38, 400])
@pytest.mark.parametrize("score", [-4.0, -0.3, 0.0, 0.7, 2.1, 6.0])
def test_the_tail_of_student_agrees_with_scipy(score: float, freedom: float) -> None:
    assert upper_tail(score, freedom) == pytest.approx(stats.t.sf(score, freedom), rel=1e-9)


def test_the_smallest_p_is_that_of_complete_separation() -> None:
    assert smallest_p(4, 3) == pytest.approx(1 / 35)
    assert one_sided_p([1, 2, 3, 4], [5, 6, 7]) == pytest.approx(1 / 35)
    assert smallest_p(0, 3) == 1


def test_equal_readings_are_no_evidence() -> None:
    assert one_sided_p([1.0] * 5, [1.0] * 5) == 1
    assert one_sided_p([1.0] * 50, [1.0] * 50) == 1


def test_correlation_makes_p_larger_and_never_smaller() -> None:
    assert corrected_p(0.001, (20, 20), 0.0) == 0.001
    assert corrected_p(0.001, (20, 20), 0.3) > 0.003
    assert corrected_p(0.8, (20, 20), 0.5) == 0.8
    assert corrected_p(1e-12, (6, 6), 0.9) == pytest.approx(0.5)


def test_the_estimate_of_correlation_has_no_bias() -> None:
    random = Random(3)
    for wanted in (0.3, 0.5):
        found = [lag_one([autocorrelated(random, 20, wanted, 0.1)] * 2) or 0.0 for _ in range(400)]

        assert math.fsum(found) / len(found) == pytest.approx(wanted, abs=0.08)


def test_short_windows_say_nothing_about_correlation() -> None:
    assert lag_one([[1, 2, 3], [4, 5, 6]]) is None
    assert lag_one([[1.0] * 10]) == 0


def test_inflation_is_that_of_an_autoregressive_series() -> None:
    assert inflation(0.0, 20) == 1
    assert inflation(0.5, 100_00) == pytest.approx(3, rel=0.01)


def test_holm_steps_down_and_stops_at_the_first_that_fails() -> None:
    assert holm([0.04, 0.01, 0.03], 0.05) == [False, True, False]
    assert holm([0.01, 0.011, 0.04], 0.05) == [True, True, True]
    assert holm([], 0.05) == []


def test_a_median_test_would_have_passed_the_outage() -> None:
    """The reason why availability is a ratio: 20 seconds of 60 leave the median where it was."""
    seen = compare([0.0] * 60, [1.0] * 20 + [0.0] * 40, correlation=0.0)
    counts = {Window.BASELINE: outage(0), Window.FAULT: outage(20)}

    assert not seen.large(0.1)
    assert judge_ratio(ratio(), counts, 0.1).judgement is Judgement.NOT_MET
