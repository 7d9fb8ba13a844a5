"""Judge a whole experiment once, at its end: every SLO, every health check, and whether the faults did anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chaos.experiment import Experiment
from chaos.hypothesis import HealthCheck
from chaos.judge import (
    HealthJudgement,
    Judgement,
    Readings,
    SloJudgement,
    judge_health,
    judge_slos,
    longest_miss,
    worst,
)
from chaos.observed import Observed, Span, outcomes, readings
from chaos.recovery import Times, times
from chaos.windows import Window

NO_EFFECT = "no effect of {faults} was seen, so the hypothesis was not tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is judged. `without_effect` names the faults that were active and were not seen to do anything.

    `broke_off` says what was to go on through all windows and did not.
    """

    experiment: Experiment
    seen: Observed
    spans: Mapping[Window, Span]
    reverted_at: datetime | None = None
    without_effect: tuple[str, ...] = ()
    broke_off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedExperiment:
    """What is said about the hypothesis. `reason` has the reasons of its worst parts."""

    judgement: Judgement
    reason: str
    readings: Mapping[str, Readings] = field(default_factory=dict)
    slos: tuple[SloJudgement, ...] = ()
    health: tuple[HealthJudgement, ...] = ()
    times: tuple[Times, ...] = ()


def judge_experiment(evidence: Evidence) -> JudgedExperiment:
    """Judge the hypothesis. The worst part decides.

    A fault without an effect, or a load that broke off, makes it inconclusive at best.
    """
    hypothesis = evidence.experiment.hypothesis
    found = readings(hypothesis, evidence.seen, evidence.spans)
    slos = judge_slos(hypothesis, found, evidence.experiment.alpha)
    health = _health(evidence)
    said = [(one.slo, one.judgement, one.reason) for one in slos]
    said += [(one.check, one.judgement, one.reason) for one in health]
    if evidence.without_effect:
        idle = ", ".join(evidence.without_effect)
        said.insert(0, ("faults", Judgement.INCONCLUSIVE, NO_EFFECT.format(faults=idle)))
    said += [("observation", Judgement.INCONCLUSIVE, sentence) for sentence in evidence.broke_off]
    judgement = worst([part for _, part, _ in said])
    return JudgedExperiment(
        judgement=judgement,
        reason="; ".join(f"{name}: {reason}" for name, part, reason in said if part is judgement),
        readings=found,
        slos=slos,
        health=health,
        times=_times(evidence, found),
    )


def _health(evidence: Evidence) -> tuple[HealthJudgement, ...]:
    return tuple(
        judge_health(
            check.name,
            check.failures,
            _looks(evidence, check.name, Window.FAULT),
            _looks(evidence, check.name, Window.BASELINE),
        )
        for check in evidence.experiment.hypothesis.health_checks
    )


def _looks(evidence: Evidence, check: str, window: Window) -> list[bool]:
    span = evidence.spans.get(window)
    return outcomes(evidence.seen, check, span) if span else []


def unhealthy_before(checks: Sequence[HealthCheck], seen: Observed, baseline: Span) -> tuple[str, ...]:
    """Return a sentence for each health check that failed without a fault: then there is no steady state to test."""
    missed = [(check, longest_miss(outcomes(seen, check.name, baseline))) for check in checks]
    return tuple(
        f"before the fault, the health check {check.name} missed {longest} times in a row{why_missed(check.name, seen)}"
        for check, longest in missed
        if longest >= check.failures
    )


def why_missed(check: str, seen: Observed) -> str:
    """Return what the last look of a health check found that was not healthy, in brackets; empty if it said nothing."""
    details = [look.detail for look in seen.health.get(check, ()) if not look.healthy and look.detail]
    return f" ({details[-1]})" if details else ""


def _times(evidence: Evidence, found: Mapping[str, Readings]) -> tuple[Times, ...]:
    span, hypothesis = evidence.spans.get(Window.FAULT), evidence.experiment.hypothesis
    if span is None or evidence.reverted_at is None:
        return ()
    return tuple(
        times(slo, hypothesis.tolerance(slo), found[slo.name], span.begins, evidence.reverted_at)
        for slo in hypothesis.slos
    )


def steady_again(evidence: Evidence) -> bool:
    """Say whether every SLO and every health check is steady since the revert, so that the recovery is over."""
    spans: dict[Window, Span] = {window: span for window, span in evidence.spans.items() if window is not Window.FAULT}
    found = readings(evidence.experiment.hypothesis, evidence.seen, spans)
    recovered = _times(evidence, found)
    span = evidence.spans.get(Window.RECOVERY)
    if span is None or len(recovered) < len(evidence.experiment.hypothesis.slos):
        return False
    looks = [outcomes(evidence.seen, check.name, span) for check in evidence.experiment.hypothesis.health_checks]
    healthy = all(len(one) >= HEALTHY_IN_A_ROW and all(one[-HEALTHY_IN_A_ROW:]) for one in looks)
    return healthy and all(one.time_to_recover is not None for one in recovered)


HEALTHY_IN_A_ROW = 3
