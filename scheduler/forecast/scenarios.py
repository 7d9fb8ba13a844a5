"""One possible future of a pool: the plan run forward over durations that are drawn, and newcomers that are drawn.

- A run that waits takes what its history says (`scheduler.forecast.history`), its limit at most; one that runs takes
  what those took that lasted longer than it has by now. Where nothing is known, any part of the limit is as likely as
  any other.
- The same run draws the same chance in the same trial, from one estimate to the next. So what moves an estimate is what
  has happened, not the dice.
- Runs that are not submitted yet, and may start before some that wait, come as they came lately
  (`scheduler.forecast.arrivals`), as many in one trial as are asked about. From then on the time is stretched instead.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from model.ids import ExecutionId, RunId
from scheduler.admission.state import State
from scheduler.forecast.history import History
from scheduler.forecast.question import Question, Scenario
from scheduler.placement.node_usage import NodeUsage
from scheduler.simulation.event_simulation import Started, forward
from scheduler.values.pool import Strategy
from scheduler.values.run import Queued, Running

HORIZON = timedelta(days=7)
GRACE = timedelta(seconds=10)
"""A run that has reached its limit is given so long to end."""
TICK = timedelta(seconds=10)
"""Waits are counted in these, so that not every run brings a pass of its own when it comes of age."""
FEWEST_NEWCOMERS = 50
"""So many may come in a trial, however few runs are asked about."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORD = 2**64 - 1
_LATER = 1 << 53
"""A newcomer's place in the order of arrival comes after all others'."""
_NEW = 1 << 127
"""From here on ids are newcomers'; the numbers that follow say no version of a UUID, so nobody else has one."""


def trial(question: Question, random: Random) -> Scenario:
    """Run the pool forward once, until all runs that are asked about have started or nothing more can happen."""
    course = _Course(question, _Dice(question, random.getrandbits(64)), Random(random.getrandbits(64)))
    for event in forward(_twin(question.state), question.now, course.dice.duration, course.newcomers()):
        if event.at - question.now > HORIZON:
            break
        if isinstance(event, Started):
            course.note(event)
            if not course.waiting:
                break
    return Scenario(starts=course.starts, order=tuple(course.order), pace=course.pace)


def _twin(state: State) -> State:
    """Return a state that can be used up. Its waits are whole ticks."""
    twin = State(
        limits=state.limits,
        owners=state.owners,
        workers=state.workers,
        node_usage=NodeUsage(),
        exclusive_elsewhere=state.exclusive_elsewhere,
        usage_at=state.usage_at,
        rules=state.rules,
    )
    for place in state.running.values():
        twin.start(replace(place, queued=_in_whole_ticks(place.queued)))
    twin.node_usage = state.node_usage.copy()  # which has the places taken already
    for run in state.queued.values():
        twin.enqueue(_in_whole_ticks(run))
    return twin


def _in_whole_ticks(run: Queued) -> Queued:
    return replace(run, enqueued_at=run.enqueued_at - (run.enqueued_at - _EPOCH) % TICK)


class _Course:
    """One trial under way: who comes in it, and when those who wait now start.

    Once no more newcomers are drawn, time is stretched by the part of all starts that would be theirs.
    """

    def __init__(self, question: Question, dice: "_Dice", random: Random) -> None:
        self.dice = dice
        self.starts: dict[ExecutionId, datetime] = {}
        self.order: list[datetime] = []
        self.waiting = set(question.near)
        self.pace = (question.coming or question.arrivals).pace(random)
        self._question = question
        self._random = random
        self._drawn = 0
        self._last: datetime | None = None
        self._left: float | None = None

    def newcomers(self) -> Iterator[Queued]:
        """Tell who comes, in order, until nobody could start before those who wait now, or too many have come."""
        question, most = self._question, max(FEWEST_NEWCOMERS, len(self._question.near))
        for at, newcomer in question.coming.come(question.now, self.pace, self._random):
            if at >= question.overtaken_until:
                return
            self._drawn += 1
            self._last = at if self._drawn == most else None
            identifier = ExecutionId(RunId(UUID(int=_NEW + self._drawn)))
            self.dice.newcomers[identifier] = newcomer.history
            yield replace(newcomer.run, execution_id=identifier, seq=_LATER + self._drawn, enqueued_at=at)
            if self._drawn == most:
                return

    def note(self, event: Started) -> None:
        """Note a start: of one who waits now its first; whoever is stopped for another starts again."""
        run = event.run.execution_id
        self.order.append(event.at + self._question.lag)
        if run in self.starts or run in self.dice.newcomers:
            return
        self.starts[run] = self._stretched(event) + self._question.lag
        self.waiting.discard(run)

    def _stretched(self, event: Started) -> datetime:
        """Return when a start really happens: those that come in time to be before it, and were not drawn, start first.

        Under FAIR_SHARE an aged run starts before all that wait, however many came before.
        """
        at, last = event.at, self._last
        until = self._question.until(event.run)
        passes_all = self._question.state.limits.strategy is Strategy.FAIR_SHARE and at >= until
        if last is None or at <= last or until <= last or passes_all:
            return at
        if self._left is None:
            self._left = self._share_left(at, last)
        if (at - last) <= self._left * (until - last):
            return last + (at - last) / self._left
        return until + (at - last) - self._left * (until - last)

    def _share_left(self, at: datetime, last: datetime) -> float:
        """Return which part of the starts is left for those who wait now, if newcomers come on as they came.

        It is below zero where more come than can start.
        """
        now = self._question.now
        if last <= now:
            return 0.0
        return 1 - (self._drawn / len(self.order)) * ((at - now) / (last - now))


class _Dice:
    """How long runs take in one trial."""

    def __init__(self, question: Question, salt: int) -> None:
        self._question = question
        self._salt = salt
        self.newcomers: dict[ExecutionId, History | None] = {}

    def duration(self, run: Queued | Running) -> timedelta:
        """Return how long a run holds its place from its admission on; how much longer, if it has one already."""
        queued, began = (run.queued, run.started_at) if isinstance(run, Running) else (run, None)
        if began is None:
            return self._question.lag + timedelta(seconds=self._seconds(queued, 0.0))
        elapsed = max(timedelta(), self._question.now - began)
        if elapsed >= queued.limit:
            return GRACE
        return max(timedelta(), timedelta(seconds=self._seconds(queued, elapsed.total_seconds())) - elapsed)

    def _seconds(self, run: Queued, elapsed: float) -> float:
        chance = self._chance(run.execution_id)
        limit = run.limit.total_seconds()
        known = self._question.history.get(run.execution_id) or self.newcomers.get(run.execution_id)
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
