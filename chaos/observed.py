"""What was observed while an experiment ran, cut into its windows and into samples for its limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chaos.answers import Interval, LoadAnswer, load_counts, load_samples
from chaos.halting import Look, Watch
from chaos.hypothesis import HaltCondition, Hypothesis, ProbeType, Slo, SloKind, Source
from chaos.judge import Readings
from chaos.windows import Count, Sample, Window

LATE = timedelta(seconds=1)
"""How long after the end of a step its answers are counted for a limit. An answer that is later counts for no limit."""
COMMAND_LATE = timedelta(seconds=5)
"""The same for a health check of type command: its looks come by the log of another run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLook:
    """One look of a health check: when it began, and whether it was healthy."""

    at: datetime
    healthy: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of an execution, from begin to end."""

    begins: datetime
    ends: datetime

    def has(self, at: datetime) -> bool:
        """Say whether a moment lies in it. The begin does not belong to it, and the end does."""
        return self.begins < at <= self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen until now. `samples` and `counts` are those of a Prometheus, by SLO, in order of time."""

    answers: Sequence[LoadAnswer] = ()
    health: Mapping[str, Sequence[HealthLook]] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    counts: Mapping[str, Sequence[Count]] = field(default_factory=dict)


def readings(hypothesis: Hypothesis, seen: Observed, spans: Mapping[Window, Span]) -> dict[str, Readings]:
    """Return the readings of each SLO in each window."""
    return {slo.name: _readings(slo, seen, spans) for slo in hypothesis.slos}


def _readings(slo: Slo, seen: Observed, spans: Mapping[Window, Span]) -> Readings:
    if slo.kind is SloKind.RATIO:
        return Readings(counts={window: counts_in(slo, seen, span) for window, span in spans.items()})
    return Readings(samples={window: samples_in(slo, seen, span) for window, span in spans.items()})


def counts_in(slo: Slo, seen: Observed, span: Span) -> list[Count]:
    """Return the requests of each step of a span."""
    if slo.source is Source.LOAD:
        return load_counts(seen.answers, _interval(slo, span))
    return [count for count in seen.counts.get(slo.name, ()) if span.has(count.at)]


def samples_in(slo: Slo, seen: Observed, span: Span) -> list[Sample]:
    """Return the values of each step of a span."""
    if slo.source is Source.LOAD:
        return load_samples(seen.answers, _interval(slo, span), slo.percentile)
    return [sample for sample in seen.samples.get(slo.name, ()) if span.has(sample.at)]


def outcomes(seen: Observed, check: str, span: Span) -> list[bool]:
    """Return the looks of a health check within a span."""
    return [look.healthy for look in seen.health.get(check, ()) if span.has(look.at)]


def _interval(slo: Slo, span: Span) -> Interval:
    return Interval(begins=span.begins, ends=span.ends, step=timedelta(seconds=slo.step_seconds))


def watches(hypothesis: Hypothesis, conditions: Sequence[HaltCondition], since: datetime) -> tuple[Watch, ...]:
    """Return the state of each halt condition before the first look."""
    return tuple(
        Watch(condition=condition, interval=_step(hypothesis, condition), since=since) for condition in conditions
    )


def _step(hypothesis: Hypothesis, condition: HaltCondition) -> timedelta:
    steps = {slo.name: float(slo.step_seconds) for slo in hypothesis.slos}
    looks = {check.name: check.interval_seconds for check in hypothesis.health_checks}
    return timedelta(seconds=(looks if condition.health_check else steps)[condition.watched])


def advance(watch: Watch, hypothesis: Hypothesis, seen: Observed, now: datetime) -> Watch:
    """Return the state of a halt condition at `now`, with each look that came since, and those that are missing."""
    last = watch.looks[-1].at if watch.looks else watch.since
    until = now - _late(watch.condition, hypothesis)
    for look in _looks(watch, hypothesis, seen, until):
        if look.at > last:
            watch = watch.look(look)
    return watch.tick(until)


def _late(condition: HaltCondition, hypothesis: Hypothesis) -> timedelta:
    checks = {check.name: check.type for check in hypothesis.health_checks}
    return COMMAND_LATE if checks.get(condition.health_check or "") is ProbeType.COMMAND else LATE


def _looks(watch: Watch, hypothesis: Hypothesis, seen: Observed, until: datetime) -> list[Look]:
    condition = watch.condition
    if condition.health_check:
        found = seen.health.get(condition.health_check, ())
        return [Look(at=look.at, value=0.0 if look.healthy else 1.0) for look in found]
    last = watch.looks[-1].at if watch.looks else watch.since
    if until <= last:
        return []
    slo = next(slo for slo in hypothesis.slos if slo.name == condition.slo)
    span = Span(begins=last, ends=until)
    if slo.kind is SloKind.RATIO:
        return [Look(at=count.at, value=_percent(count)) for count in counts_in(slo, seen, span)]
    return [Look(at=sample.at, value=sample.value) for sample in samples_in(slo, seen, span)]


def _percent(count: Count) -> float | None:
    if not count.present or not count.total or count.bad is None:
        return None
    return min(100.0, 100 * count.bad / count.total)
