"""What was observed, cut into windows; and samples for the limits, those that are missing included."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chaos.answers import LoadAnswer
from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.hypothesis import HaltCondition, ProbeType
from chaos.judge import Judgement
from chaos.judge_experiment import Evidence, judge_experiment, steady_again
from chaos.observed import HealthLook, Observed, Span, advance, outcomes, readings, watches
from chaos.windows import Window

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(seconds: float) -> datetime:
    return NOON + seconds * SECOND


def experiment(*conditions: dict[str, object]) -> Experiment:
    return check_experiment(
        {
            "name": "payments is slow",
            "fault": {"type": "network-latency", "parameters": {"latencyMs": 100}},
            "target": {"environment": "shop", "service": "payments"},
            "hypothesis": {
                "healthChecks": [{"name": "alive", "type": "http", "url": "http://127.0.0.1:8100/health"}],
                "slo": {"name": "placed", "kind": "ratio", "source": "load", "objective": 90, "stepSeconds": 1},
            },
            "load": {"url": "http://127.0.0.1:8100/orders"},
            "durationSeconds": 20,
            "haltConditions": list(conditions) or [{"slo": "placed", "above": 50}],
        }
    )


def answers(begins: int, ends: int, *, bad: range = range(0)) -> list[LoadAnswer]:
    """Ten requests a second; all of those in the seconds of `bad` are bad."""
    return [
        LoadAnswer(asked_at=at(second + part / 10), took=0.05 * SECOND, good=second not in bad)
        for second in range(begins, ends)
        for part in range(10)
    ]


def looks(begins: int, ends: int, *, misses: range = range(0)) -> list[HealthLook]:
    return [HealthLook(at=at(second), healthy=second not in misses) for second in range(begins, ends)]


SPANS = {
    Window.BASELINE: Span(begins=at(0), ends=at(20)),
    Window.FAULT: Span(begins=at(20), ends=at(40)),
    Window.RECOVERY: Span(begins=at(40), ends=at(60)),
}


def evidence(seen: Observed, *without_effect: str) -> Evidence:
    return Evidence(
        experiment=experiment(), seen=seen, spans=SPANS, reverted_at=at(40), without_effect=tuple(without_effect)
    )


def test_answers_are_counted_in_the_window_in_which_they_were_asked_for() -> None:
    seen = Observed(answers=answers(0, 60, bad=range(25, 30)), health={"alive": looks(0, 60, misses=range(20, 22))})

    found = readings(experiment().hypothesis, seen, SPANS)["placed"].counts

    assert [sum(count.bad or 0 for count in found[window]) for window in Window] == [0, 50, 0]
    assert [sum(count.total or 0 for count in found[window]) for window in Window] == [200, 200, 200]
    assert outcomes(seen, "alive", SPANS[Window.FAULT]).count(False) == 1, "the begin of a window is not in it"


@pytest.mark.parametrize(
    ("bad", "misses", "idle", "wanted"),
    [
        (range(0), range(0), (), Judgement.MET),
        (range(25, 30), range(0), (), Judgement.NOT_MET),
        (range(0), range(25, 29), (), Judgement.NOT_MET),
        (range(0), range(0), ("slow",), Judgement.INCONCLUSIVE),
        (range(25, 30), range(0), ("slow",), Judgement.NOT_MET),
    ],
)
def test_the_worst_part_decides_and_without_an_effect_nothing_is_met(
    bad: range, misses: range, idle: tuple[str, ...], wanted: Judgement
) -> None:
    seen = Observed(answers=answers(0, 60, bad=bad), health={"alive": looks(0, 60, misses=misses)})

    judged = judge_experiment(evidence(seen, *idle))

    assert judged.judgement is wanted
    assert judged.reason


def test_what_a_load_did_not_ask_is_not_met_but_what_it_asked_may_be_missed() -> None:
    well = Observed(answers=answers(0, 60), health={"alive": looks(0, 60)})
    sick = Observed(answers=answers(0, 60, bad=range(25, 30)), health={"alive": looks(0, 60)})
    gone = "the load buyers ended under the fault"

    whole, half, missed = (
        judge_experiment(replace(evidence(seen), broke_off=broke_off))
        for seen, broke_off in ((well, ()), (well, (gone,)), (sick, (gone,)))
    )

    assert (whole.judgement, missed.judgement) == (Judgement.MET, Judgement.NOT_MET)
    assert (half.judgement, half.reason) == (Judgement.INCONCLUSIVE, f"observation: {gone}")


def test_without_a_fault_there_is_nothing_to_judge_and_no_time() -> None:
    judged = judge_experiment(Evidence(experiment=experiment(), seen=Observed(answers=answers(0, 20)), spans={}))

    assert judged.judgement is Judgement.INCONCLUSIVE
    assert judged.times == ()


def test_a_limit_counts_late_steps_and_steps_without_an_answer() -> None:
    chosen = experiment({"slo": "placed", "above": 50, "failures": 3})
    [watch] = watches(chosen.hypothesis, chosen.halt_conditions, at(0))
    seen = Observed(answers=[*answers(0, 4, bad=range(3, 4)), *answers(6, 10)])

    before = advance(watch, chosen.hypothesis, seen, at(5.9))
    after = advance(before, chosen.hypothesis, seen, at(8))

    assert before.halt is None
    assert after.halt is not None
    assert "2 of them missing" in after.halt.sentence


def test_a_limit_on_a_health_check_halts_after_its_misses() -> None:
    chosen = experiment({"healthCheck": "alive", "failures": 3})
    [watch] = watches(chosen.hypothesis, chosen.halt_conditions, at(0))
    seen = Observed(health={"alive": looks(1, 12, misses=range(8, 11))})

    assert advance(watch, chosen.hypothesis, seen, at(12)).halt is not None
    assert advance(watch, chosen.hypothesis, Observed(health={"alive": looks(1, 12)}), at(12)).halt is None


def test_the_looks_of_a_command_may_come_later_since_they_come_by_a_log() -> None:
    chosen = experiment({"healthCheck": "alive", "failures": 3})
    asked = replace(chosen.hypothesis.health_checks[0], type=ProbeType.COMMAND, url=None, command=("true",))
    by_command = replace(chosen.hypothesis, health_checks=(asked,))
    seen = Observed(health={"alive": looks(1, 5)})
    [watch] = watches(chosen.hypothesis, chosen.halt_conditions, at(0))

    halted = [advance(watch, which, seen, at(9.5)).halt for which in (chosen.hypothesis, by_command)]

    assert [halt is not None for halt in halted] == [True, False]
    assert advance(watch, by_command, seen, at(14)).halt is not None, "missing looks halt all the same"


def test_recovery_is_over_when_all_is_steady_and_not_before() -> None:
    good = Observed(answers=answers(0, 44), health={"alive": looks(0, 44)})
    bad = Observed(answers=answers(0, 44, bad=range(40, 44)), health={"alive": looks(0, 44)})
    sick = Observed(answers=answers(0, 44), health={"alive": looks(0, 44, misses=range(40, 44))})
    spans = SPANS | {Window.RECOVERY: Span(begins=at(40), ends=at(44))}

    steady = [
        steady_again(Evidence(experiment=experiment(), seen=seen, spans=spans, reverted_at=at(40)))
        for seen in (good, bad, sick)
    ]

    assert steady == [True, False, False]


def test_each_condition_is_watched_at_the_pace_of_what_it_watches() -> None:
    chosen = experiment({"slo": "placed", "above": 50}, {"healthCheck": "alive"})

    found = watches(chosen.hypothesis, chosen.halt_conditions, NOON)

    assert [watch.interval for watch in found] == [SECOND, SECOND]
    assert isinstance(found[0].condition, HaltCondition)
