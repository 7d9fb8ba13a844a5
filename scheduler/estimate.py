"""When runs will start: the plan run forward many times over durations that are drawn anew each time.

Each trial is one possible future of the pool. In all trials together a run starts before its `p50` in half of them, and
before its `p90` in nine of ten.

- A run that waits takes what its history says (`scheduler.history`), its limit at most; one that runs takes what those
  took that lasted longer than it has by now.
- Where nothing has a history, any duration up to the limit is as likely as any other. That is wide, and the estimate
  says so (`Basis.LIMITS`): half the limit is its median.
- The same run draws the same chance in the same trial, from one estimate to the next. So what moves an estimate is what
  has happened, not the dice.
- Of the runs farther behind than those simulated the start is drawn out from the rate of starts (`Basis.RATE`).
- Runs that are not submitted yet are left out, unless `coming` brings them: more important ones make estimates early.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil, floor
from random import Random
from typing import TypeAlias

from model.ids import ExecutionId
from scheduler.fleet import Fleet
from scheduler.forward import Started, forward
from scheduler.history import History
from scheduler.run import Queued, Running
from scheduler.state import State

HORIZON = timedelta(days=7)
GRACE = timedelta(seconds=10)
"""A run that has reached its limit is given so long to end."""
SLACK = timedelta(seconds=5)
SLACK_SHARE = 0.1
FEWEST_STARTS = 20
"""From fewer starts no rate is drawn out."""
TICK = timedelta(seconds=10)
"""Waits are counted in these, so that not every run brings a pass of its own when it comes of age."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORD = 2**64 - 1


class Basis(StrEnum):
    """What an estimate rests on."""

    HISTORY = "history"
    LIMITS = "limits"
    RATE = "rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """When a run will start: as likely as not by `p50`, nine times out of ten by `p90`."""

    execution_id: ExecutionId
    p50: datetime
    p90: datetime
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A pool at `now`, of which nothing is changed, and the runs asked about, in order.

    `near` are simulated, `far` come after those. `lag` passes between an admission and its start.
    """

    state: State
    now: datetime
    near: tuple[ExecutionId, ...]
    far: tuple[ExecutionId, ...] = ()
    history: Mapping[ExecutionId, History] = field(default_factory=dict)
    lag: timedelta = timedelta()
    coming: Callable[[Random], Iterable[Queued]] = lambda _: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One possible future: when each run started, those that did; and all starts in order, of whomever."""

    starts: Mapping[ExecutionId, datetime]
    order: tuple[datetime, ...]


Told: TypeAlias = Estimate | None


def trial(question: Question, random: Random) -> Trial:
    """Run the pool forward once, until all runs that are asked about have started or nothing more can happen."""
    dice = _Dice(question, random.getrandbits(64))
    waiting = set(question.near)
    starts: dict[ExecutionId, datetime] = {}
    order: list[datetime] = []
    now = question.now
    for event in forward(_twin(question.state), now, dice.duration, question.coming(random)):
        if event.at - now > HORIZON:
            break
        if isinstance(event, Started) and event.run.execution_id not in starts:
            starts[event.run.execution_id] = event.at + question.lag
            order.append(event.at + question.lag)
            waiting.discard(event.run.execution_id)
            if not waiting:
                break
    return Trial(starts=starts, order=tuple(order))


def estimates(question: Question, trials: Sequence[Trial]) -> list[Estimate]:
    """Return what the trials say. Of a run that did not start in nine of ten nothing is known, and nothing said."""
    if not trials:
        return []
    known = all(run in question.history for run in (*question.state.running, *question.near))
    basis = Basis.HISTORY if known else Basis.LIMITS
    near = [_estimate(run, [t.starts.get(run) for t in trials], basis) for run in question.near]
    return [found for found in near + _far(question, trials) if found is not None]


def steady(fresh: Estimate, told: Told, now: datetime) -> Estimate:
    """Return what to tell: what was told, unless it is off by more than a tenth of what is left, or by 5 seconds."""
    if told is None or told.basis is not fresh.basis or told.p50 <= now:
        return fresh
    p50 = _steady(fresh.p50, told.p50, now)
    return replace(fresh, p50=p50, p90=max(p50, _steady(fresh.p90, told.p90, now)))


def _steady(fresh: datetime, told: datetime, now: datetime) -> datetime:
    return told if abs(fresh - told) <= max(SLACK, SLACK_SHARE * (told - now)) else fresh


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


def _far(question: Question, trials: Sequence[Trial]) -> list[Estimate | None]:
    """Draw out the starts of each trial by the rate of its second half."""
    if not question.far:
        return []
    rates = [_gap(t.order) for t in trials]
    return [
        _estimate(run, [_drawn_out(t, rate, place) for t, rate in zip(trials, rates, strict=True)], Basis.RATE)
        for place, run in enumerate(question.far, start=1)
    ]


def _gap(order: Sequence[datetime]) -> timedelta | None:
    """Return the mean time between starts, None for too few of them."""
    half = len(order) // 2
    return (order[-1] - order[half]) / (len(order) - 1 - half) if len(order) >= FEWEST_STARTS else None


def _drawn_out(found: Trial, gap: timedelta | None, place: int) -> datetime | None:
    return None if gap is None else found.order[-1] + place * gap


def _twin(state: State) -> State:
    """Return a state that can be used up. Its waits are whole ticks."""
    twin = State(
        limits=state.limits,
        owners=state.owners,
        workers=state.workers,
        fleet=Fleet(),
        exclusive_elsewhere=state.exclusive_elsewhere,
        usage_at=state.usage_at,
    )
    for place in state.running.values():
        twin.start(place)
    twin.fleet = state.fleet.copy()  # which has the places taken already
    for run in state.queued.values():
        twin.enqueue(replace(run, enqueued_at=run.enqueued_at - (run.enqueued_at - _EPOCH) % TICK))
    return twin


class _Dice:
    """How long runs take in one trial."""

    def __init__(self, question: Question, salt: int) -> None:
        self._question = question
        self._salt = salt

    def duration(self, run: Queued | Running) -> timedelta:
        """Return how long a run holds its place from its admission on; how much longer, if it has one already."""
        lag, began = self._question.lag, None
        if isinstance(run, Running):
            began = run.started_at
        if began is None:
            return lag + timedelta(seconds=self._seconds(run, 0.0))
        elapsed = max(timedelta(), self._question.now - began)
        if elapsed >= run.limit:
            return GRACE
        return max(timedelta(), timedelta(seconds=self._seconds(run, elapsed.total_seconds())) - elapsed)

    def _seconds(self, run: Queued | Running, elapsed: float) -> float:
        chance = self._chance(run.execution_id)
        limit = run.limit.total_seconds()
        known = self._question.history.get(run.execution_id)
        if known is None:
            return elapsed + chance * (limit - elapsed)
        return min(limit, known.draw(chance, elapsed))

    def _chance(self, run: ExecutionId) -> float:
        """Return a number from 0 to 1 that is always the same for this run in this trial.

        Source: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
        """
        word = (run.int ^ (run.int >> 64) ^ self._salt) & _WORD
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
        return (word ^ (word >> 31)) / (_WORD + 1)
