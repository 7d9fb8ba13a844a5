"""Compare an execution with the last one of the same experiment: what became slower, or costs more.

Two runs of the same system are never equal, so a difference counts only beyond a bound:

    bound = max(resolution, share of the last value, 3 * sqrt(2) * 1.4826 * median absolute deviation of earlier runs)

The resolution of a time is two steps of its SLO. The third part, three standard deviations of a difference, needs
`ENOUGH` earlier runs; until then the share is larger. With these, a value must also differ so much from their median:
one odd run before makes no news.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median

from chaos.hypothesis import Slo
from chaos.judge import Judgement

SHARE_OF_TIME = 0.25
SHARE_OF_BUDGET = 0.5
"""Bad requests are few, and their number varies more than a time."""
UNKNOWN_SPREAD = 0.6
"""The share as long as there are fewer than `ENOUGH` earlier runs, so that the spread is not known."""
SMALLEST_BUDGET = 0.01
"""Percent of an error budget."""
STEPS = 2
ENOUGH = 4
MOST_EARLIER = 10
SPREAD = 3 * math.sqrt(2) * 1.4826


class Change(StrEnum):
    """What became of a value."""

    SAME = "the same"
    WORSE = "worse"
    BETTER = "better"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class SloResult:
    """What one execution found of one SLO: times in seconds, the budget in percent. None: not seen, or not known."""

    slo: str
    judgement: Judgement
    detect: float | None = None
    recover: float | None = None
    budget: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One execution. `timed` is false where times mean nothing: it was halted, or has none."""

    run: str
    ended_at: datetime
    word: str
    validated: bool | None
    timed: bool
    slos: tuple[SloResult, ...] = ()

    def of(self, slo: str) -> SloResult | None:
        """Return what was found of an SLO."""
        return next((one for one in self.slos if one.slo == slo), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value now and the last time. `bound` is how far apart they may be; None for verdicts."""

    part: str
    what: str
    before: str
    now: str
    bound: str
    change: Change
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An execution against the last one. `runs` is how many earlier ones the bounds come from."""

    run: str
    ended_at: datetime
    word: str
    runs: int
    differences: tuple[Difference, ...]

    @property
    def worse(self) -> tuple[Difference, ...]:
        """Return what became worse."""
        return tuple(one for one in self.differences if one.change is Change.WORSE)

    @property
    def sentence(self) -> str:
        """Return the comparison in one sentence."""
        last = f"the last run, {self.run} of {self.ended_at:%Y-%m-%d %H:%M}"
        if self.worse:
            return f"compared with {last}: {'; '.join(one.sentence for one in self.worse)}"
        better = [one.sentence for one in self.differences if one.change is Change.BETTER]
        return f"compared with {last}: {'; '.join(better) or 'nothing is worse'}"


def compare(now: Result, slos: Sequence[Slo], recovery: timedelta, earlier: Sequence[Result]) -> Comparison | None:
    """Return the comparison with the first of `earlier`, which are the newest first; None if there is none."""
    if not earlier:
        return None
    last, known = earlier[0], earlier[:MOST_EARLIER]
    differences = [_verdict("hypothesis", (now.word, now.validated), (last.word, last.validated))]
    for slo in slos:
        found, before = now.of(slo.name), last.of(slo.name)
        if found is None or before is None:
            continue
        differences.append(_judgement(slo.name, found.judgement, before.judgement))
        if now.timed and last.timed:
            others = [one for run in known if run.timed and (one := run.of(slo.name))]
            differences += _times(slo, recovery, (found, before), others)
            differences += _budget(slo.name, (found, before), others)
    return Comparison(
        run=last.run, ended_at=last.ended_at, word=last.word, runs=len(known), differences=tuple(differences)
    )


def _verdict(part: str, now: tuple[str, bool | None], before: tuple[str, bool | None]) -> Difference:
    (word, held), (word_before, held_before) = now, before
    if held is held_before:
        change = Change.SAME
    elif held is None or held_before is None:
        change = Change.UNCLEAR
    else:
        change = Change.BETTER if held else Change.WORSE
    said = f"{part} {word}, and {word_before} the last time"
    return Difference(part=part, what="verdict", before=word_before, now=word, bound="", change=change, sentence=said)


HELD = {Judgement.MET: True, Judgement.NOT_MET: False, Judgement.INCONCLUSIVE: None}


def _judgement(slo: str, now: Judgement, before: Judgement) -> Difference:
    return _verdict(slo, (now.value, HELD[now]), (before.value, HELD[before]))


def _times(
    slo: Slo, recovery: timedelta, pair: tuple[SloResult, SloResult], earlier: Sequence[SloResult]
) -> list[Difference]:
    noise = _Noise(smallest=float(STEPS * slo.step_seconds), share=SHARE_OF_TIME)
    recovered = _values(lambda one: one.recover, pair, earlier, noise)
    detected = _values(lambda one: one.detect, pair, earlier, noise)
    return [_recovery(slo.name, recovered, recovery.total_seconds()), *_detection(slo.name, detected)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noise:
    """The least that a difference must be: an amount, and a share of the value before."""

    smallest: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Values:
    """One value now and before, those of earlier runs, and what is noise."""

    now: float | None
    before: float | None
    earlier: tuple[float, ...]
    noise: _Noise

    @property
    def bound(self) -> float:
        before = self.before or 0.0
        if len(self.earlier) < ENOUGH:
            return max(self.noise.smallest, max(self.noise.share, UNKNOWN_SPREAD) * before)
        middle = median(self.earlier)
        spread = SPREAD * median(abs(one - middle) for one in self.earlier)
        return max(self.noise.smallest, self.noise.share * before, spread)

    def change(self, now: float, before: float) -> Change:
        """Return whether a larger value is worse beyond the bound, against the last run and against the usual one."""
        usual = [before] if len(self.earlier) < ENOUGH else [before, median(self.earlier)]
        if all(now > one + self.bound for one in usual):
            return Change.WORSE
        if all(now < one - self.bound for one in usual):
            return Change.BETTER
        return Change.SAME


def _values(
    of: Callable[[SloResult], float | None],
    pair: tuple[SloResult, SloResult],
    earlier: Sequence[SloResult],
    noise: _Noise,
) -> _Values:
    """Return one value of all results. Those that have none say nothing about what is usual."""
    now, before = map(of, pair)
    known = tuple(value for one in earlier if (value := of(one)) is not None)
    return _Values(now=now, before=before, earlier=known, noise=noise)


def _recovery(slo: str, values: _Values, longest: float) -> Difference:
    """Compare times to recover. Not steady again is at least as long as the window was."""
    now, before = values.now, values.before
    if now is not None and before is not None:
        change = values.change(now, before)
    elif now is None and before is None:
        change = Change.SAME
    elif now is None and before is not None:
        change = Change.WORSE if values.change(longest, before) is Change.WORSE else Change.UNCLEAR
    else:
        change = Change.BETTER if longest > (now or 0.0) + values.bound else Change.UNCLEAR
    words = {Change.WORSE: "slower recovery", Change.BETTER: "faster recovery"}.get(change, "recovery")
    return Difference(
        part=slo,
        what="time to recover",
        before=_seconds(before, "not steady again"),
        now=_seconds(now, "not steady again"),
        bound=f"{values.bound:.1f} s",
        change=change,
        sentence=f"{words} of {slo}: {_seconds(now, 'not steady again')}, "
        f"and {_seconds(before, 'not steady again')} the last time",
    )


def _detection(slo: str, values: _Values) -> list[Difference]:
    """Compare times to detect. Seen once and not the other time says nothing about which is better."""
    if values.now is None and values.before is None:
        return []
    change = Change.UNCLEAR
    if values.now is not None and values.before is not None:
        change = values.change(values.now, values.before)
    words = {Change.WORSE: "later", Change.BETTER: "earlier"}.get(change, "")
    now, before = _seconds(values.now, "not seen"), _seconds(values.before, "not seen")
    said = f"{slo} was seen {words}: after {now}, and {before} the last time".replace("seen :", "seen:")
    bound = f"{values.bound:.1f} s"
    return [
        Difference(part=slo, what="time to detect", before=before, now=now, bound=bound, change=change, sentence=said)
    ]


def _budget(slo: str, pair: tuple[SloResult, SloResult], earlier: Sequence[SloResult]) -> list[Difference]:
    now, before = pair
    if now.budget is None or before.budget is None:
        return []
    noise = _Noise(smallest=SMALLEST_BUDGET, share=SHARE_OF_BUDGET)
    values = _values(lambda one: one.budget, pair, earlier, noise)
    change = values.change(now.budget, before.budget)
    words = {Change.WORSE: "more", Change.BETTER: "less"}.get(change, "about as much")
    return [
        Difference(
            part=slo,
            what="error budget spent",
            before=f"{before.budget:.2g}%",
            now=f"{now.budget:.2g}%",
            bound=f"{values.bound:.2g}%",
            change=change,
            sentence=f"{words} of the error budget of {slo} was spent: {now.budget:.2g}%, "
            f"and {before.budget:.2g}% the last time",
        )
    ]


def _seconds(value: float | None, missing: str) -> str:
    return missing if value is None else f"{value:.1f} s"
