"""Who will come: what came in a recent window is drawn again, piece by piece, the newer pieces more often.

A piece is a sixtieth of the window and keeps what came together, such as all tests of a suite. Pieces are drawn with
replacement and laid one after the other (a block bootstrap), each future at a pace of its own: 1 on average, and spread
by how little the counts tell, and by how much they rose and fell for longer than a piece.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import TypeAlias

from scheduler.forecast.history import History
from scheduler.values.pool import Strategy
from scheduler.values.run import Queued

WINDOW = timedelta(hours=1)
PIECES = 60
HALF_LIFE = 20
"""Pieces after which one counts half as much as a newer one."""
EPISODE = 5
"""Pieces to which a longer rise or fall is measured."""
DRIFT = 0.01
"""Of the pace, squared: the next hour is never quite like the last."""
SLOWEST = 1e-3
LAST = 9
"""The lowest priority."""

_WEIGHTS: tuple[float, ...] = tuple(0.5 ** ((age + 0.5) / HALF_LIFE) for age in range(PIECES))
_TOTAL = sum(_WEIGHTS)
_CUMULATED = tuple(accumulate(_WEIGHTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A run that comes at its `enqueued_at`, and how long runs of its kind take, where that is known."""

    run: Queued
    history: History | None = None


Piece: TypeAlias = tuple[tuple[float, Newcomer], ...]
"""Who came, each so many seconds after the piece began."""
Wanted: TypeAlias = Callable[[Queued], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Who came in each piece of `seconds`, the newest piece first. Nobody at all: `NOBODY`."""

    seconds: float
    pieces: tuple[Piece, ...] = ()

    def __bool__(self) -> bool:
        return any(self.pieces)

    def all(self) -> Iterator[Newcomer]:
        """Tell who came, the newest piece first."""
        return (newcomer for piece in self.pieces for _, newcomer in piece)

    def only(self, wanted: Wanted) -> "Arrivals":
        """Return those among them that are wanted."""
        pieces = (tuple(came for came in piece if wanted(came[1].run)) for piece in self.pieces)
        return Arrivals(seconds=self.seconds, pieces=tuple(pieces))

    def rate(self) -> float:
        """Return how many come in a second, as far as the window tells."""
        return _mean([len(piece) for piece in self.pieces]) / self.seconds

    def pace(self, random: Random) -> float:
        """Draw how much faster than in the window they come in one future."""
        spread = _spread([len(piece) for piece in self.pieces])
        return max(SLOWEST, random.gammavariate(1 / spread, spread))

    def come(self, now: datetime, pace: float, random: Random) -> Iterator[tuple[datetime, Newcomer]]:
        """Tell without end who comes when, in order."""
        if not self:
            return
        begun = 0.0
        while True:
            [piece] = random.choices(self.pieces, cum_weights=_CUMULATED)
            for offset, newcomer in piece:
                yield now + timedelta(seconds=(begun + offset) / pace), newcomer
            begun += self.seconds


NOBODY = Arrivals(seconds=1.0)


def learn(came: Iterable[Newcomer], now: datetime, window: timedelta = WINDOW) -> Arrivals:
    """Return who came in the window before `now`, of which nobody is left out. Those outside of it do not count."""
    seconds = window.total_seconds() / PIECES
    pieces: list[list[tuple[float, Newcomer]]] = [[] for _ in range(PIECES)]
    for newcomer in came:
        age = _age(newcomer.run.enqueued_at, now, seconds)
        if 0 <= age < PIECES:
            pieces[int(age)].append(((1 - age % 1) * seconds, newcomer))
    return Arrivals(seconds=seconds, pieces=tuple(tuple(sorted(piece, key=lambda one: one[0])) for piece in pieces))


def hourly(times: Iterable[datetime], now: datetime, window: timedelta = WINDOW) -> float:
    """Return how many come in an hour, as forecasts count on it, where some came at these times."""
    seconds = window.total_seconds() / PIECES
    counts = [0] * PIECES
    for age in (_age(at, now, seconds) for at in times):
        if 0 <= age < PIECES:
            counts[int(age)] += 1
    return _mean(counts) / seconds * 3600


def overtakes(newcomer: int, waiting: int, strategy: Strategy) -> bool:
    """Return whether a run of one priority may start before one of another that came earlier and is not aged."""
    return newcomer <= last_before(waiting, strategy)


def last_before(waiting: int, strategy: Strategy) -> int:
    """Return the last priority of which a newcomer may start before a run that waits; -1 for none."""
    match strategy:
        case Strategy.FIFO:
            return -1
        case Strategy.PRIORITY:
            return waiting - 1
        case Strategy.RESOURCE_AWARE:  # the equal too, where the earlier one finds no node
            return waiting
        case Strategy.FAIR_SHARE:
            return LAST


def _age(at: datetime, now: datetime, seconds: float) -> float:
    return (now - at).total_seconds() / seconds


def _mean(counts: Sequence[float]) -> float:
    """Return the mean of what came in pieces, the newest first."""
    return sum(weight * count for weight, count in zip(_WEIGHTS, counts, strict=False)) / _TOTAL


def _spread(counts: Sequence[int]) -> float:
    """Return the variance of the pace: that of the mean of the pieces, and that of episodes beyond their pieces'."""
    mean = _mean(counts)
    if mean == 0:
        return DRIFT
    variance = _mean([(count - mean) ** 2 for count in counts])
    of_mean = variance * sum(weight**2 for weight in _WEIGHTS) / _TOTAL**2
    episodes = [sum(counts[first : first + EPISODE]) / EPISODE for first in range(0, len(counts), EPISODE)]
    lasting = _mean([(episodes[age // EPISODE] - mean) ** 2 for age in range(len(counts))]) - variance / EPISODE
    return DRIFT + (of_mean + max(0.0, lasting)) / mean**2
