"""Judge the hypothesis of an experiment once, at its end, from the readings of its windows.

An SLO of kind ratio is judged by all requests of the window against the objective. (A test of medians passes a total
outage of 20 s in a minute.) An SLO of kind value is judged by `chaos.judge_value`. The worst decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from chaos.hypothesis import Better, Hypothesis, Slo, SloKind, Source
from chaos.judge_value import Comparison, compare, too_noisy
from chaos.rank_sum import holm, lag_one, pooled
from chaos.windows import Count, Sample, Window, completeness, totals, values

ROOM = 1e-9
"""Sums of rates are not exact in their last digits."""
KEPT = 0.8
"""A value must have so large a share of the readings that it had in the baseline: an outage takes readings away."""

LARGEST_SHOWN = 100.0


class Judgement(StrEnum):
    """What the readings say about one part of a hypothesis, the best first."""

    MET = "met"
    INCONCLUSIVE = "inconclusive"
    NOT_MET = "not met"


WORST_FIRST = (Judgement.NOT_MET, Judgement.INCONCLUSIVE, Judgement.MET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What was read of one SLO, by window: samples of a value, or counts of requests."""

    samples: Mapping[Window, Sequence[Sample]] = field(default_factory=dict)
    counts: Mapping[Window, Sequence[Count]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SloJudgement:
    """What is said about one SLO. `reason` is a sentence; `advice` says what to change where it is inconclusive.

    A ratio is in percent of bad requests; a value is the median of its readings.
    """

    slo: str
    judgement: Judgement
    reason: str
    advice: str = ""
    baseline: float | None = None
    fault: float | None = None
    recovery: float | None = None
    budget_spent: float | None = None
    comparison: Comparison | None = None
    noise_check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthJudgement:
    """What is said about one health check over a window: `longest` misses in a row, of which `failures` are allowed."""

    check: str
    judgement: Judgement
    longest: int
    reason: str


def judge_slos(hypothesis: Hypothesis, readings: Mapping[str, Readings], alpha: float) -> tuple[SloJudgement, ...]:
    """Judge each SLO. `alpha` bounds the false alarms of all values together, by Holm's method."""
    compared = _compared([slo for slo in hypothesis.slos if slo.kind is SloKind.VALUE], readings)
    names = list(compared)
    rejected = dict(zip(names, holm([compared[name].p for name in names], alpha), strict=True))
    judged = []
    for slo in hypothesis.slos:
        seen = readings.get(slo.name, Readings())
        tolerance = hypothesis.tolerance(slo)
        if slo.kind is SloKind.RATIO:
            judged.append(judge_ratio(slo, seen.counts, tolerance))
        elif slo.name in compared:
            value = _Value(slo=slo, tolerance=tolerance, alpha=alpha, family=len(names), rejected=rejected[slo.name])
            judged.append(value.judge(compared[slo.name], seen.samples))
        else:
            judged.append(_no_data(slo))
    return tuple(judged)


def _compared(slos: Sequence[Slo], readings: Mapping[str, Readings]) -> dict[str, Comparison]:
    """Return the comparison of each SLO that has readings in both windows."""
    there = [(slo, windows) for slo in slos if (windows := _windows(readings.get(slo.name, Readings())))]
    correlations = pooled([lag_one(windows) for _, windows in there])
    return {
        slo.name: compare(*windows, higher_is_better=slo.better is Better.HIGHER, correlation=correlation or 0.0)
        for (slo, windows), correlation in zip(there, correlations, strict=True)
    }


def _windows(seen: Readings) -> tuple[list[float], list[float]] | None:
    """Return the readings of baseline and fault, None if one of them has none."""
    before = values(seen.samples.get(Window.BASELINE, ()))
    during = values(seen.samples.get(Window.FAULT, ()))
    return (before, during) if before and during else None


def _no_data(slo: Slo) -> SloJudgement:
    return SloJudgement(
        slo=slo.name,
        judgement=Judgement.INCONCLUSIVE,
        reason="there are no readings in the baseline or under the fault",
        advice="check the query and that its source was reachable",
    )


def judge_ratio(slo: Slo, counts: Mapping[Window, Sequence[Count]], tolerance: float) -> SloJudgement:
    """Judge the bad requests of the whole fault window against the error budget and the tolerance.

    Raises: ValueError if the SLO has no objective.
    """
    if slo.objective is None:
        msg = f"the SLO {slo.name} of kind ratio has no objective"
        raise ValueError(msg)
    allowed = (1 - slo.objective / 100) * (1 + tolerance)
    shares = {window: _share(counts.get(window, ())) for window in Window}
    bad, total = totals(counts.get(Window.FAULT, ()))
    judged = SloJudgement(
        slo=slo.name,
        judgement=Judgement.MET,
        reason=f"{bad:g} of {total:g} requests were bad; {allowed:.3%} are allowed",
        baseline=_percent(shares[Window.BASELINE]),
        fault=_percent(shares[Window.FAULT]),
        recovery=_percent(shares[Window.RECOVERY]),
        budget_spent=bad / (total * (1 - slo.objective / 100)) if total else None,
    )
    weighed = _weighed(judged, total, allowed, shares)
    hidden = _hidden(counts) if slo.source is Source.PROMETHEUS else 0
    if weighed.judgement is Judgement.MET and _could_be_over(counts, hidden, allowed):
        return replace(
            weighed,
            judgement=Judgement.INCONCLUSIVE,
            reason=f"{hidden} readings are missing under the fault, which could hide more than {allowed:.3%} bad ones",
            advice="use metrics of the callers, which go on while the target is away, and a window of the rate that "
            "holds two scrapes or more",
        )
    return weighed


def _hidden(counts: Mapping[Window, Sequence[Count]]) -> int:
    """Return how many readings are missing under the fault, beyond those that are missing without one."""
    during = counts.get(Window.FAULT, ())
    expected = completeness(counts.get(Window.BASELINE, ())) * len(during)
    return int(expected - sum(count.present for count in during) + ROOM)


def _could_be_over(counts: Mapping[Window, Sequence[Count]], hidden: int, allowed: float) -> bool:
    """Say whether the budget would be exceeded if every request of the missing readings had been bad."""
    during = counts.get(Window.FAULT, ())
    bad, total = totals(during)
    unseen = hidden * total / max(1, sum(count.present for count in during))
    return hidden > 0 and bad + unseen > (allowed + ROOM) * (total + unseen)


def _weighed(judged: SloJudgement, total: float, allowed: float, shares: Mapping[Window, float | None]) -> SloJudgement:
    """Return `judged` with its judgement. Few requests can show that an objective is missed, not that it is met."""
    before, during = shares[Window.BASELINE], shares[Window.FAULT]
    if before is None or during is None:
        return replace(
            judged,
            judgement=Judgement.INCONCLUSIVE,
            reason="no request was counted in the baseline or under the fault",
            advice="add `load`, or check the queries",
        )
    if before > allowed + ROOM:
        return replace(
            judged,
            judgement=Judgement.INCONCLUSIVE,
            reason=f"the baseline was not steady: {before:.3%} of its requests were bad; {allowed:.3%} are allowed",
            advice="find out why the objective is missed without a fault, then try again",
        )
    if during > allowed + ROOM:
        return replace(judged, judgement=Judgement.NOT_MET)
    needed = 1 / allowed
    if total < needed:
        return replace(
            judged,
            judgement=Judgement.INCONCLUSIVE,
            reason=f"{total:g} requests are too few: with fewer than {needed:.0f}, one bad request is over the budget",
            advice=f"make {needed:.0f} requests or more: a higher rate in `load`, or a longer duration",
        )
    return judged


def _share(counts: Sequence[Count]) -> float | None:
    bad, total = totals(counts)
    return bad / total if total and math.isfinite(total) else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


@dataclass(frozen=True, slots=True, kw_only=True)
class _Value:
    """The judgement of one SLO of kind value, with what its family of SLOs decided about it."""

    slo: Slo
    tolerance: float
    alpha: float
    family: int
    rejected: bool

    def judge(self, seen: Comparison, samples: Mapping[Window, Sequence[Sample]]) -> SloJudgement:
        baseline = values(samples.get(Window.BASELINE, ()))
        noisy = too_noisy(baseline, self.tolerance, self.alpha)
        judgement, reason, advice = self._decide(seen, noisy)
        if judgement is Judgement.MET and (missing := _missing(samples)):
            judgement, reason = Judgement.INCONCLUSIVE, f"{missing}; {reason}"
            advice = "add an SLO of kind ratio or a health check, which see an outage, or check the query"
        recovery = values(samples.get(Window.RECOVERY, ()))
        return SloJudgement(
            slo=self.slo.name,
            judgement=judgement,
            reason=reason,
            advice=advice,
            baseline=_median(baseline),
            fault=_median(values(samples.get(Window.FAULT, ()))),
            recovery=_median(recovery),
            comparison=seen,
            noise_check="not possible" if noisy is None else "failed" if noisy else "passed",
        )

    def _decide(self, seen: Comparison, noisy: bool | None) -> tuple[Judgement, str, str]:  # noqa: FBT001  three-valued
        shown = f"{_share_in_words(seen.worse_by)} (allowed {self.tolerance:.0%}), p = {seen.p:.2g}"
        if noisy:
            reason = f"the baseline is too noisy: its halves differ as if there had been a fault; {shown}"
            return Judgement.INCONCLUSIVE, reason, "take a longer baseline at a quieter time, or a coarser step"
        if self.rejected and seen.large(self.tolerance):
            return Judgement.NOT_MET, f"became worse by {shown}", ""
        if not self.rejected and seen.reachable > self.alpha / self.family:
            reason = f"too few readings: the smallest p they can have is {seen.reachable:.2g}; {shown}"
            return Judgement.INCONCLUSIVE, reason, "a shorter step, or a longer duration and baseline"
        return Judgement.MET, f"changed by {shown}", ""


def _share_in_words(share: float) -> str:
    """Return a change in percent; one from zero, or nearly so, has none."""
    return f"{share:+.1%}" if abs(share) < LARGEST_SHOWN else f"more than {LARGEST_SHOWN:g} times"


def _missing(samples: Mapping[Window, Sequence[Sample]]) -> str:
    """Return a sentence if too many readings are missing under the fault to say that a value is as before."""
    before, during = samples.get(Window.BASELINE, ()), samples.get(Window.FAULT, ())
    if completeness(during) >= KEPT * completeness(before):
        return ""
    return f"only {len(values(during))} of {len(during)} readings are there under the fault"


def _median(readings: Sequence[float]) -> float | None:
    ordered = sorted(readings)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def judge_health(
    check: str, failures: int, outcomes: Sequence[bool | None], before: Sequence[bool | None] = ()
) -> HealthJudgement:
    """Judge the looks of a health check under the fault: `failures` misses in a row are a failure. None: no look.

    `before` are those of the baseline: what failed there says nothing about the fault.
    """
    longest = longest_miss(outcomes)
    if (already := longest_miss(before)) >= failures:
        reason = f"missed {already} times in a row before the fault already; {failures} are a failure"
        return HealthJudgement(check=check, judgement=Judgement.INCONCLUSIVE, longest=longest, reason=reason)
    if longest >= failures:
        reason = f"missed {longest} times in a row; {failures} are a failure"
        return HealthJudgement(check=check, judgement=Judgement.NOT_MET, longest=longest, reason=reason)
    made = sum(outcome is not None for outcome in outcomes)
    if made < failures:
        reason = f"was made {made} times, and {failures} misses are a failure" if made else "was never made"
        return HealthJudgement(check=check, judgement=Judgement.INCONCLUSIVE, longest=longest, reason=reason)
    reason = f"longest row of misses: {longest}; {failures} are a failure"
    return HealthJudgement(check=check, judgement=Judgement.MET, longest=longest, reason=reason)


def longest_miss(outcomes: Sequence[bool | None]) -> int:
    """Return the largest number of misses in a row. A look that was not made neither adds nor ends a row."""
    longest = row = 0
    for outcome in outcomes:
        row = row if outcome is None else 0 if outcome else row + 1
        longest = max(longest, row)
    return longest


def worst(judgements: Sequence[Judgement]) -> Judgement:
    """Return the worst of several judgements. Nothing judged is inconclusive."""
    return next((judgement for judgement in WORST_FIRST if judgement in judgements), Judgement.INCONCLUSIVE)
