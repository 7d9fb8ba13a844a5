"""Times of an experiment: when the fault was seen, when the system was steady again, and what that cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.hypothesis import Better, Slo, SloKind
from chaos.judge import Readings
from chaos.windows import Count, Sample, Window, totals, values

BUDGET_WINDOW = timedelta(days=30)
IN_A_ROW = 3
"""So many readings within the tolerance, one after the other, are steady; outside of it, seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What one SLO shows. None: not seen, or not steady again within the recovery window."""

    slo: str
    time_to_detect: timedelta | None
    time_to_recover: timedelta | None
    budget_spent_percent: float | None


def times(slo: Slo, tolerance: float, readings: Readings, injected_at: datetime, reverted_at: datetime) -> Times:
    """Return the times of an SLO.

    Detected: the first reading outside of the tolerance after the injection. Recovered: the first of `IN_A_ROW`
    readings within it after the revert; at once, if none was ever outside. Budget: bad requests under the fault and in
    the recovery, as a share of those that the objective allows in 30 days at the rate of the experiment.
    """
    outside = _outside(slo, tolerance, readings)
    detected = next((at for at, bad in outside if at > injected_at and bad), None)
    recovered = _recovered([(at, bad) for at, bad in outside if at > reverted_at], reverted_at)
    if detected is None and recovered is not None:
        recovered = timedelta(0)  # its first reading says only how often it is read
    return Times(
        slo=slo.name,
        time_to_detect=detected - injected_at if detected else None,
        time_to_recover=recovered,
        budget_spent_percent=_budget(slo, readings),
    )


def _outside(slo: Slo, tolerance: float, readings: Readings) -> list[tuple[datetime, bool]]:
    """Return each reading of fault and recovery, and whether it is outside of the tolerance. Missing data is."""
    windows = (Window.FAULT, Window.RECOVERY)
    if slo.kind is SloKind.RATIO:
        counts = [count for window in windows for count in readings.counts.get(window, ())]
        allowed = (1 - (slo.objective or 0.0) / 100) * (1 + tolerance)
        return [(count.at, _is_bad(count, allowed)) for count in counts]
    baseline = sorted(values(readings.samples.get(Window.BASELINE, ())))
    samples = [sample for window in windows for sample in readings.samples.get(window, ())]
    if not baseline:
        return []
    middle = baseline[len(baseline) // 2]
    return [(sample.at, _is_worse(slo, sample, middle, tolerance)) for sample in samples]


def _is_bad(count: Count, allowed: float) -> bool:
    if not count.present or count.total is None or count.bad is None:
        return True
    return count.bad > allowed * count.total


def _is_worse(slo: Slo, sample: Sample, middle: float, tolerance: float) -> bool:
    if sample.value is None or not sample.present:
        return True
    room = abs(middle) * tolerance
    if slo.better is Better.HIGHER:
        return sample.value < middle - room
    return sample.value > middle + room


def _recovered(outside: Sequence[tuple[datetime, bool]], reverted_at: datetime) -> timedelta | None:
    row: list[datetime] = []
    for at, bad in outside:
        row = [] if bad else [*row, at]
        if len(row) == IN_A_ROW:
            return row[0] - reverted_at
    return None


def _budget(slo: Slo, readings: Readings) -> float | None:
    if slo.kind is not SloKind.RATIO or slo.objective is None:
        return None
    counts = [count for window in (Window.FAULT, Window.RECOVERY) for count in readings.counts.get(window, ())]
    bad, total = totals(counts)
    seconds = _span(counts)
    if not total or not seconds:
        return None
    in_30_days = total / seconds * BUDGET_WINDOW.total_seconds() * (1 - slo.objective / 100)
    return 100 * bad / in_30_days


def _span(counts: Sequence[Count]) -> float:
    """Return the seconds that the counts cover, with one interval before the first."""
    moments = sorted(count.at for count in counts)
    if len(moments) < 2:  # noqa: PLR2004  one moment has no length
        return 0.0
    return (moments[-1] - moments[0]).total_seconds() * len(moments) / (len(moments) - 1)
