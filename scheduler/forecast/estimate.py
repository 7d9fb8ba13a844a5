"""When runs will start: what many possible futures of the pool say in all (`scheduler.forecast.scenarios`).

A run starts before its `p50` in half of them, and before its `p90` in nine of ten.

- Where nothing has a history, any duration up to the limit is as likely as any other. That is wide, and the estimate
  says so (`Basis.LIMITS`): half the limit is its median.
- Of the runs farther behind than those simulated the start is drawn out from the rate of starts (`Basis.RATE`), less
  those that will come before them.
- An estimate that counts on runs that are not submitted yet says so too (`Basis.foreseeing`).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil, floor
from typing import NamedTuple, TypeAlias

from model.ids import ExecutionId
from scheduler.forecast.arrivals import overtakes
from scheduler.forecast.question import Question, Scenario
from scheduler.values.order import overtaken_until

SLACK = timedelta(seconds=5)
SLACK_SHARE = 0.1
FEWEST_STARTS = 20
"""From fewer starts no rate is drawn out."""


class Basis(StrEnum):
    """What an estimate rests on."""

    HISTORY = "history"
    LIMITS = "limits"
    RATE = "rate"
    HISTORY_ARRIVALS = "history and arrivals"
    LIMITS_ARRIVALS = "limits and arrivals"
    RATE_ARRIVALS = "rate and arrivals"

    def foreseeing(self) -> "Basis":
        """Return the same where it also counts on runs that are not submitted yet, as they came lately."""
        return Basis(f"{self.value} and arrivals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """When a run will start: as likely as not by `p50`, nine times out of ten by `p90`."""

    execution_id: ExecutionId
    p50: datetime
    p90: datetime
    basis: Basis


Published: TypeAlias = Estimate | None


def estimates(question: Question, trials: Sequence[Scenario]) -> list[Estimate]:
    """Return what the trials say. Of a run that did not start in nine of ten nothing is known, and nothing said."""
    if not trials:
        return []
    near = [
        _estimate(run, [t.starts.get(run) for t in trials], basis)
        for run, basis in zip(question.near, _bases(question), strict=True)
    ]
    return [found for found in near + _far(question, trials) if found is not None]


def steady(fresh: Estimate, published: Published, now: datetime) -> Estimate:
    """Return what to publish: the last one, unless it is off by more than a tenth of what is left, or by 5 seconds."""
    if published is None or published.basis is not fresh.basis or published.p50 <= now:
        return fresh
    p50 = _steady(fresh.p50, published.p50, now)
    return replace(fresh, p50=p50, p90=max(p50, _steady(fresh.p90, published.p90, now)))


def _steady(fresh: datetime, published: datetime, now: datetime) -> datetime:
    return published if abs(fresh - published) <= max(SLACK, SLACK_SHARE * (published - now)) else fresh


def _estimate(run: ExecutionId, starts: Sequence[datetime | None], basis: Basis) -> Estimate | None:
    """Return the quantiles of some starts; None is later than all."""
    began = sorted(start for start in starts if start is not None)
    p50, p90 = (_quantile(began, share, len(starts)) for share in (0.5, 0.9))
    return None if p50 is None or p90 is None else Estimate(execution_id=run, p50=p50, p90=p90, basis=basis)


def _quantile(began: Sequence[datetime], share: float, number: int) -> datetime | None:
    """Return what the next start comes before with a chance of `share`, after `number` of which `began` came at all."""
    place = min(share * (number + 1), number) - 1
    low, high = floor(place), ceil(place)
    return None if high >= len(began) else began[low] + (place - low) * (began[high] - began[low])


def _bases(question: Question) -> Iterator[Basis]:
    """Tell what the estimate of each run that is simulated rests on."""
    coming = list(question.coming.all())
    known = all(run in question.history for run in (*question.state.running, *question.near))
    basis = Basis.HISTORY if known and all(newcomer.history for newcomer in coming) else Basis.LIMITS
    priorities = {newcomer.run.priority for newcomer in coming}
    for run in question.near:
        yield basis.foreseeing() if _put_off(question, run, priorities) else basis


def _put_off(question: Question, run_id: ExecutionId, priorities: Collection[int]) -> bool:
    """Return whether newcomers of these priorities may start before a run."""
    run, limits = question.state.queued[run_id], question.state.limits
    return any(
        overtakes(priority, run.priority, limits.strategy)
        and overtaken_until(run.enqueued_at, run.priority, limits, by=priority) > question.now
        for priority in priorities
    )


def _far(question: Question, trials: Sequence[Scenario]) -> list[Estimate | None]:
    """Draw out the starts of each trial by the rate of its second half."""
    courses = [_Course(max(t.starts.values(), default=question.now), _gap(t.order), t.pace) for t in trials]
    streams = {priority: _streams(question, priority) for priority in {run.priority for run in question.far}}
    found = []
    for place, run in enumerate(question.far, start=1):
        limits = question.state.limits
        ahead = [
            (stream, overtaken_until(run.enqueued_at, run.priority, limits, by=stream.priority))
            for stream in streams[run.priority]
        ]
        starts = [_drawn_out(place, ahead, course, question.now) for course in courses]
        basis = Basis.RATE.foreseeing() if any(until > question.now for _, until in ahead) else Basis.RATE
        found.append(_estimate(run.execution_id, starts, basis))
    return found


def _streams(question: Question, priority: int) -> list["_Stream"]:
    """Return the newcomers of each priority that may start before a run of this one."""
    simulated = {newcomer.run.priority for newcomer in question.coming.all()}
    priorities = {newcomer.run.priority for newcomer in question.before(priority).all()}
    rates = {one: question.rate(one) for one in sorted(priorities)}
    return [_Stream(one, rate, one in simulated) for one, rate in rates.items() if rate]


def _gap(order: Sequence[datetime]) -> float | None:
    """Return the mean time between starts in seconds, None for too few of them."""
    half = len(order) // 2
    enough = len(order) >= FEWEST_STARTS
    return (order[-1] - order[half]).total_seconds() / (len(order) - 1 - half) if enough else None


class _Stream(NamedTuple):
    """Newcomers of one priority: how many come in a second, and whether they were a part of the trials."""

    priority: int
    rate: float
    simulated: bool


_Ahead: TypeAlias = Sequence[tuple[_Stream, datetime]]
"""The newcomers that start before a run, each until when."""


class _Course(NamedTuple):
    """How a trial went: its last start, the seconds from one start to the next, and how fast newcomers came."""

    last: datetime
    gap: float | None
    pace: float


def _drawn_out(place: int, ahead: _Ahead, course: _Course, now: datetime) -> datetime | None:
    """Return when a run starts, None if nobody knows. It shares the starts with newcomers as long as those pass it."""
    last, gap, pace = course
    if gap is None:
        return None
    passed = sum(
        stream.rate * max(0.0, (min(last, until) - now).total_seconds())
        for stream, until in ahead
        if not stream.simulated
    )
    taken = [(max(0.0, (until - last).total_seconds()), stream.rate * pace * gap) for stream, until in ahead]
    return last + timedelta(seconds=_shared((place + pace * passed) * gap, sorted(taken)))


def _shared(needed: float, taken: Sequence[tuple[float, float]]) -> float:
    """Return after how many seconds so many are left over, if others take parts of them, each until a time."""
    begun = 0.0
    for number, (until, _) in enumerate(taken):
        left = 1 - sum(part for _, part in taken[number:])
        if needed <= left * (until - begun):
            break
        needed -= left * (until - begun)
        begun = until
    else:
        left = 1.0
    return begun + needed / left
