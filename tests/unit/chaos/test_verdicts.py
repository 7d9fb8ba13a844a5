"""From readings to a judgement, and from judgement and ending to the verdict."""

import math
from datetime import timedelta

import pytest
from harness.chaos_readings import counted, hypothesis, outage, ratio, samples, second, value, value_readings

from chaos.hypothesis import Better, Slo, SloKind, Source
from chaos.judge import Judgement, Readings, judge_health, judge_ratio, judge_slos, longest_miss, worst
from chaos.recovery import times
from chaos.verdict import ENDED, JUDGED, ChaosStatus, End, verdict
from chaos.windows import Count, Window

QUIET = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 0.99]


def judged(baseline: list[float | None], fault: list[float | None], tolerance: float = 10.0) -> Judgement:
    held = hypothesis(value(), tolerance=tolerance)
    return judge_slos(held, {"latency": value_readings(baseline, fault)}, 0.05)[0].judgement


@pytest.mark.parametrize(
    ("end", "judgement", "wanted"),
    [
        (End.JUDGED, Judgement.MET, ("completed", True, "COMPLETED", "Completed", 0)),
        (End.JUDGED, Judgement.NOT_MET, ("completed", False, "FAILED", "Failed", 1)),
        (End.JUDGED, Judgement.INCONCLUSIVE, ("completed", None, "COMPLETED", "Inconclusive", 7)),
        (End.HALTED, Judgement.MET, ("aborted", False, "FAILED", "Failed", 1)),
        (End.ABORTED, Judgement.MET, ("aborted", None, "CANCELLED", "Cancelled", 2)),
        (End.BLOCKED, Judgement.MET, ("failed", None, "FAILED", "Failed", 4)),
        (End.INFRASTRUCTURE, Judgement.MET, ("failed", None, "CRASHED", "Crashed", 3)),
        (End.RESIDUAL, Judgement.MET, ("failed", None, "CRASHED", "Crashed", 3)),
    ],
)
def test_the_verdict_table(end: End, judgement: Judgement, wanted: tuple[object, ...]) -> None:
    row = verdict(end, judgement)

    assert (row.status, row.validated, row.prefect_state, row.prefect_name, row.exit_code) == wanted


def test_every_ending_and_judgement_has_a_row() -> None:
    assert set(JUDGED) == set(Judgement)
    assert set(ENDED) == set(End) - {End.JUDGED}
    assert {row.status for row in (*JUDGED.values(), *ENDED.values())} <= set(ChaosStatus)


@pytest.mark.parametrize("first", Judgement)
@pytest.mark.parametrize("second_one", Judgement)
def test_the_worst_decides(first: Judgement, second_one: Judgement) -> None:
    order = [Judgement.MET, Judgement.INCONCLUSIVE, Judgement.NOT_MET]

    assert worst([first, second_one]) is max(first, second_one, key=order.index)


def test_nothing_judged_is_inconclusive() -> None:
    assert worst([]) is Judgement.INCONCLUSIVE


def test_a_quiet_value_is_met_and_a_doubled_one_is_not() -> None:
    assert judged([*QUIET], [*QUIET]) is Judgement.MET
    assert judged([*QUIET], [2 * one for one in QUIET]) is Judgement.NOT_MET


def test_a_significant_shift_within_the_tolerance_is_met() -> None:
    assert judged([*QUIET], [1.08 * one for one in QUIET]) is Judgement.MET
    assert judged([*QUIET], [1.08 * one for one in QUIET], tolerance=5.0) is Judgement.NOT_MET


def test_what_became_better_is_met() -> None:
    assert judged([*QUIET], [one / 2 for one in QUIET]) is Judgement.MET


def test_a_value_that_should_be_high_is_judged_downwards() -> None:
    slo = Slo(name="throughput", kind=SloKind.VALUE, source=Source.LOAD, better=Better.HIGHER)
    dropped = {"throughput": value_readings(QUIET, [one / 2 for one in QUIET])}
    risen = {"throughput": value_readings(QUIET, [one * 2 for one in QUIET])}

    assert judge_slos(hypothesis(slo), dropped, 0.05)[0].judgement is Judgement.NOT_MET
    assert judge_slos(hypothesis(slo), risen, 0.05)[0].judgement is Judgement.MET


def test_too_few_is_when_even_the_smallest_p_is_above_alpha() -> None:
    """Two readings against four can reach 1/15, three against four 1/35."""
    assert judged([1.0, 1.1, 0.9, 1.0], [5.0, 6.0]) is Judgement.INCONCLUSIVE
    assert judged([1.0, 1.1, 0.9, 1.0], [5.0, 6.0, 7.0]) is Judgement.NOT_MET


def test_more_slos_need_more_readings() -> None:
    readings = {name: value_readings([1.0, 1.1, 0.9, 1.0], [1.0, 1.1, 0.9]) for name in ("a", "b")}
    alone = judge_slos(hypothesis(value("a")), readings, 0.05)
    both = judge_slos(hypothesis(value("a"), value("b")), readings, 0.05)

    assert alone[0].judgement is Judgement.MET
    assert {slo.judgement for slo in both} == {Judgement.INCONCLUSIVE}


def test_a_baseline_that_drifts_is_inconclusive() -> None:
    """The A/A check: the halves of this baseline differ as if there had been a fault."""
    drifting = [1.0, 1.01, 0.99, 1.02, 1.0, 1.01, 0.98, 1.0, 2.0, 2.02, 1.98, 2.01, 2.0, 2.03, 1.99, 2.0]
    said = judge_slos(hypothesis(value()), {"latency": value_readings(drifting, drifting)}, 0.2)[0]

    assert (said.judgement, said.noise_check) == (Judgement.INCONCLUSIVE, "failed")
    assert said.advice


def test_the_noise_check_is_not_possible_below_ten_readings() -> None:
    short = judge_slos(hypothesis(value()), {"latency": value_readings([1.0] * 9, [1.0] * 9)}, 0.05)[0]
    enough = judge_slos(hypothesis(value()), {"latency": value_readings([1.0] * 10, [1.0] * 10)}, 0.05)[0]

    assert (short.noise_check, enough.noise_check) == ("not possible", "passed")


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_missing_readings_never_pass(missing: float | None) -> None:
    assert judged([*QUIET], [missing] * 12) is Judgement.INCONCLUSIVE
    assert judged([missing] * 12, [*QUIET]) is Judgement.INCONCLUSIVE


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_a_value_whose_readings_went_away_under_the_fault_never_passes(missing: float | None) -> None:
    """A target that is away has no latency. What is left of the readings is that of the good moments."""
    assert judged(QUIET * 5, [missing] * 30 + QUIET * 2) is Judgement.INCONCLUSIVE
    assert judged(QUIET * 5, [missing] * 3 + QUIET * 4) is Judgement.MET
    assert judged(([missing] * 2 + QUIET) * 4, ([missing] * 2 + QUIET) * 4) is Judgement.MET
    assert judged(QUIET * 5, [missing] * 30 + [2 * one for one in QUIET]) is Judgement.NOT_MET


def from_prometheus(fault: list[tuple[float | None, float | None]]) -> Judgement:
    slo = Slo(name="success", kind=SloKind.RATIO, objective=99, bad="b", total="t")
    windows = {Window.BASELINE: [(0.0, 10.0)] * 60, Window.FAULT: fault}
    counts = {
        window: [Count(at=second(number), bad=bad, total=total) for number, (bad, total) in enumerate(pairs)]
        for window, pairs in windows.items()
    }
    return judge_ratio(slo, counts, 0.1).judgement


def test_a_ratio_whose_counts_went_away_under_the_fault_never_passes() -> None:
    """The metrics of a service that is away are away too. Missing readings could all have been an outage."""
    assert from_prometheus([(0.0, 10.0)] * 60) is Judgement.MET
    assert from_prometheus([(None, None)] + [(0.0, 10.0)] * 59) is Judgement.INCONCLUSIVE
    assert from_prometheus([(None, 10.0)] * 20 + [(0.0, 10.0)] * 40) is Judgement.INCONCLUSIVE
    assert from_prometheus([(None, None)] * 20 + [(5.0, 10.0)] * 40) is Judgement.NOT_MET


@pytest.mark.parametrize("bad", [10.0, 10.000000000000002, 10.00001])
def test_an_outage_whose_sums_differ_in_their_last_digits_is_seen(bad: float) -> None:
    assert from_prometheus([(bad, 10.0)] * 20 + [(0.0, 10.0)] * 40) is Judgement.NOT_MET


def test_more_bad_requests_than_requests_are_no_data() -> None:
    assert from_prometheus([(30.0, 10.0)] * 20 + [(0.0, 10.0)] * 40) is Judgement.INCONCLUSIVE


def test_a_step_without_requests_of_a_slow_load_is_not_missing() -> None:
    """One request in two seconds, read each second: there is nothing to hide in the steps between."""
    sparse = [
        Count(at=second(number), bad=0, total=1) if number % 2 else Count(at=second(number), bad=None, total=None)
        for number in range(400)
    ]
    counts = {Window.BASELINE: sparse, Window.FAULT: sparse[1:]}

    assert judge_ratio(ratio(), counts, 0.1).judgement is Judgement.MET


@pytest.mark.parametrize(("before", "during"), [(5e-324, 1e308), (0.0, 5.0), (1.0, 1e300)])
def test_a_change_beyond_all_numbers_is_not_met(before: float, during: float) -> None:
    said = judge_slos(hypothesis(value()), {"latency": value_readings([before] * 20, [during] * 20)}, 0.05)[0]

    assert said.judgement is Judgement.NOT_MET
    assert "more than 100 times" in said.reason


def test_an_slo_without_readings_is_inconclusive() -> None:
    said = judge_slos(hypothesis(value(), ratio()), {}, 0.05)

    assert [slo.judgement for slo in said] == [Judgement.INCONCLUSIVE, Judgement.INCONCLUSIVE]


def test_the_tolerance_of_a_ratio_widens_its_budget() -> None:
    """1.08% of the requests are bad; an objective of 99% allows 1%, or 1.1% with ten percent tolerance."""
    counts = {Window.BASELINE: outage(0), Window.FAULT: counted([13.0] + [0.0] * 59)}

    assert judge_ratio(ratio(), counts, 0.1).judgement is Judgement.MET
    assert judge_ratio(ratio(), counts, 0.0).judgement is Judgement.NOT_MET


def test_few_requests_can_fail_an_objective_and_never_meet_it() -> None:
    few_good = {Window.BASELINE: outage(0), Window.FAULT: counted([0.0] * 60, per_second=1)}
    few_bad = {Window.BASELINE: outage(0), Window.FAULT: counted([1.0] + [0.0] * 59, per_second=1)}

    said = judge_ratio(ratio(), few_good, 0.1)

    assert said.judgement is Judgement.INCONCLUSIVE
    assert "91" in said.advice
    assert judge_ratio(ratio(), few_bad, 0.1).judgement is Judgement.NOT_MET


def test_a_baseline_that_misses_the_objective_is_inconclusive() -> None:
    counts = {Window.BASELINE: outage(10), Window.FAULT: outage(10)}

    assert judge_ratio(ratio(), counts, 0.1).judgement is Judgement.INCONCLUSIVE


def test_a_count_that_cannot_be_true_is_no_data() -> None:
    impossible = Count(at=second(0), bad=5, total=3)

    assert not impossible.present
    assert judge_ratio(ratio(), {Window.BASELINE: [impossible], Window.FAULT: [impossible]}, 0.1).judgement is (
        Judgement.INCONCLUSIVE
    )


def test_a_ratio_without_an_objective_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="has no objective"):
        judge_ratio(Slo(name="success", kind=SloKind.RATIO), {}, 0.1)


def test_health_checks_fail_after_misses_in_a_row() -> None:
    looks = [True, False, False, True, False, False, True]

    assert longest_miss(looks) == 2
    assert judge_health("orders", 3, looks).judgement is Judgement.MET
    assert judge_health("orders", 2, looks).judgement is Judgement.NOT_MET
    assert judge_health("orders", 2, [None, None]).judgement is Judgement.INCONCLUSIVE


def test_a_check_that_was_not_made_often_enough_to_fail_is_inconclusive() -> None:
    """Six looks, all missed, of a check that fails after ten: nothing is known of it that is good."""
    assert judge_health("orders", 10, [False] * 6).judgement is Judgement.INCONCLUSIVE
    assert judge_health("orders", 3, [True, True]).judgement is Judgement.INCONCLUSIVE
    assert judge_health("orders", 2, [True, True]).judgement is Judgement.MET
    assert longest_miss([False, None, False]) == 2


def test_times_to_detect_and_to_recover() -> None:
    slow = [1.0] * 3 + [5.0] * 7
    recovery = [5.0, 1.0, 5.0, 1.0, 1.0, 1.0, 1.0]
    readings = Readings(
        samples={
            Window.BASELINE: samples([1.0] * 10),
            Window.FAULT: samples(slow, 10),
            Window.RECOVERY: samples(recovery, 20),
        }
    )

    said = times(value(), 0.1, readings, injected_at=second(9.5), reverted_at=second(19.5))

    assert said.time_to_detect == timedelta(seconds=3.5)
    assert said.time_to_recover == timedelta(seconds=3.5)


def test_what_was_never_outside_of_its_tolerance_needs_no_time_to_recover() -> None:
    steady = {window: samples([1.0] * 5, 10 * place) for place, window in enumerate(Window)}

    said = times(value(), 0.1, Readings(samples=steady), injected_at=second(9.5), reverted_at=second(19.5))

    assert (said.time_to_detect, said.time_to_recover) == (None, timedelta(0))


def test_what_never_recovers_has_no_time() -> None:
    readings = Readings(samples={Window.BASELINE: samples([1.0]), Window.RECOVERY: samples([5.0] * 9, 20)})

    said = times(value(), 0.1, readings, injected_at=second(0), reverted_at=second(19))

    assert said.time_to_recover is None


def test_the_error_budget_is_that_of_thirty_days() -> None:
    """A minute of outage at an objective of 99.9% costs 60 of 2592 seconds."""
    readings = Readings(counts={Window.FAULT: counted([20.0] * 60)})

    said = times(ratio(99.9), 0.1, readings, injected_at=second(-1), reverted_at=second(60))

    assert said.budget_spent_percent == pytest.approx(100 * 60 / 2592)
