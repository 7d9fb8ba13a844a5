"""Fair shares: who has had the least, over its weight, goes first (FAIR_SHARE).

A share is dominant: the largest part that an owner has of any one kind of what the pool has. Usage is its average over
the past, of which half is forgotten in a half-life. Whoever is admitted is charged at once for what one interval of its
run will come to, so that bursts of runs shorter than an interval do not slip through between two measurements.
Sources: Ghodsi et al., Dominant Resource Fairness (NSDI 2011); Kueue, KEP-4136, for the entry penalty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


def dominant(amounts: Sequence[int], totals: Sequence[int]) -> float:
    """Return the largest part that `amounts` are of `totals`, 0..1; a kind of which there is none does not count."""
    return max((have / total for have, total in zip(amounts, totals, strict=True) if total > 0), default=0.0)


def decayed(usage: float, share: float, elapsed: timedelta, half_life: timedelta) -> float:
    """Return the average after `elapsed` with a constant share. A clock that went back changes nothing."""
    if elapsed <= timedelta():
        return usage
    return share + (usage - share) * _left(elapsed, half_life)


def penalty(request: float, interval: timedelta, half_life: timedelta) -> float:
    """Return what is charged at admission: A * request, with A = 1 - 0.5 ** (interval / half_life)."""
    return (1.0 - _left(interval, half_life)) * request


def _left(elapsed: timedelta, half_life: timedelta) -> float:
    return 0.5 ** (elapsed / half_life) if half_life > timedelta() else 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """An owner's average at a time, and the share that it has had since."""

    average: float
    share: float
    at: datetime

    def now(self, now: datetime, half_life: timedelta) -> float:
        """Return the average of now."""
        return decayed(self.average, self.share, now - self.at, half_life)
