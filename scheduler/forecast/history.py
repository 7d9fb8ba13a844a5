"""How long runs of one kind take, from what earlier ones took: the next one falls into any gap between those alike.

Of n durations seen, the next is as likely to fall below all of them, between any two, or above all: n + 1 gaps, each of
the same weight, and even inside a gap. So few durations give a wide answer and many a narrow one. How far the outer
gaps reach is told by the longer half: by how much those exceed the median on average, and a twentieth of the longest at
least (`tail`). A run that has taken longer than all others takes that much more on average, and in proportion.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

LEAST = 5
"""With fewer durations a kind has no history of its own."""
LEAST_TAIL = 0.05
SHORTEST = 1e-3
"""Seconds; what took less counts as nothing, else a ratio of it could be anything."""


@dataclass(frozen=True, slots=True)
class History:
    """Bounds of the gaps in seconds, ascending: one more than there are gaps. The last but one is the longest seen."""

    bounds: tuple[float, ...]
    tail: float

    def draw(self, chance: float, elapsed: float = 0.0) -> float:
        """Return the duration in seconds that has `chance` (0..1) among those above `elapsed`."""
        longest = self.bounds[-2]
        if elapsed >= longest:
            return elapsed + 2 * chance * self.tail * (elapsed / longest if longest else 1.0)
        gaps = len(self.bounds) - 1
        passed = self._passed(elapsed)
        place = passed + chance * (gaps - passed)
        gap = min(int(place), gaps - 1)
        low, high = self.bounds[gap], self.bounds[gap + 1]
        return max(elapsed, low + (place - gap) * (high - low))

    def _passed(self, elapsed: float) -> float:
        """Return how many gaps lie below `elapsed`, the one that it falls into in part."""
        if elapsed <= self.bounds[0]:
            return 0.0
        gap = bisect_right(self.bounds, elapsed) - 1
        low, high = self.bounds[gap], self.bounds[gap + 1]
        return gap + (elapsed - low) / (high - low)


def history(seconds: Iterable[float]) -> History:
    """Return the history of some durations, of which there must be one at least. Raises: ValueError."""
    seen = sorted(second if second >= SHORTEST else 0.0 for second in seconds)
    if not seen:
        raise ValueError("a history needs one duration at least")
    shortest, longest = seen[0], seen[-1]
    half = len(seen) // 2
    tail = max(fmean(seen[half:]) - seen[half], LEAST_TAIL * longest)
    return History((max(shortest / 2, shortest - tail), *seen, longest + 2 * tail), tail)


def known(levels: Iterable[Sequence[float]]) -> History | None:
    """Return the history of the first level that has enough durations, None if none has."""
    enough = next((level for level in levels if len(level) >= LEAST), None)
    return None if enough is None else history(enough)
