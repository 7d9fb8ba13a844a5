"""A health check that failed before the fault says nothing about it, and lets none begin."""

from datetime import timedelta

from harness.chaos_readings import second

from chaos.experiment_reading import stored_experiment
from chaos.hypothesis import CONDITION_KINDS, HealthCheck, ProbeType
from chaos.judge import Judgement, judge_health
from chaos.judge_experiment import unhealthy_before
from chaos.observed import HealthLook, Observed, Span
from cluster.observation import probes

CHECK = HealthCheck(name="orders", type=ProbeType.HTTP, url="http://127.0.0.1/", failures=3)
BASELINE = Span(begins=second(0) - timedelta(seconds=1), ends=second(9))


def seen(outcomes: list[bool]) -> Observed:
    looks = [HealthLook(at=second(number), healthy=healthy) for number, healthy in enumerate(outcomes)]
    return Observed(health={"orders": looks})


def test_what_failed_before_the_fault_is_inconclusive() -> None:
    assert judge_health("orders", 3, [False] * 20, [False] * 10).judgement is Judgement.INCONCLUSIVE
    assert judge_health("orders", 3, [True] * 20, [True, False, False, False]).judgement is Judgement.INCONCLUSIVE
    assert judge_health("orders", 3, [False] * 20, [True, False, False] * 3).judgement is Judgement.NOT_MET


def test_an_unhealthy_baseline_is_told() -> None:
    [sentence] = unhealthy_before([CHECK], seen([True, True, False, False, False, True]), BASELINE)

    assert sentence == "before the fault, the health check orders missed 3 times in a row"
    assert unhealthy_before([CHECK], seen([False, False, True, True]), BASELINE) == ()
    assert unhealthy_before([CHECK], seen([True] * 10 + [False] * 10), BASELINE) == ()


def test_a_check_may_name_the_kinds_that_can_be_asked() -> None:
    assert set(probes.CONDITION_KINDS) == set(CONDITION_KINDS)


def test_a_run_goes_on_with_what_later_rules_refuse() -> None:
    """The rules of a later version are for what is submitted then."""
    raw = {
        "name": "of an older version",
        "fault": {"type": "pod-kill"},
        "target": {"environment": "shop", "service": "payments"},
        "hypothesis": {"healthChecks": [{"name": "a", "type": "http", "url": "http://127.0.0.1/", "failures": 100}]},
        "haltConditions": [{"healthCheck": "a"}],
        "durationSeconds": 10,
    }

    assert stored_experiment(raw).hypothesis.health_checks[0].failures == 100
