"""Pauses between the tries of something that fails.

tenacity runs the loops; the few that cannot be its own (a thread with a wake pipe, a supervisor's tick) ask for the
pause alone.
"""

from dataclasses import dataclass

_MOST_DOUBLINGS = 60
"""More would leave no number that a float can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses in seconds: `first` after the first failure, then twice as long each time, at most `longest`."""

    first: float
    longest: float

    def pause(self, failures: int) -> float:
        """Return the pause after so many failures in a row, one at least."""
        return min(self.first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), self.longest)
