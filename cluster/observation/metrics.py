"""The port for metrics: one value now, or one series over a window."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

MOST_POINTS = 11_000
"""The longest series that Prometheus answers with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of a series. The value may be infinite: the quantile of a histogram whose last bucket is hit."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryWindow:
    """The points in time from `start` to `end`, both included, that are `step` apart.

    The step should be the window of the query's `rate()`: a shorter one makes neighbouring samples depend on each
    other, and tests of significance then raise false alarms.

    Raises: ValueError for times without a zone or with fractions of a second, and for windows without points or with
    too many of them.
    """

    start: datetime
    end: datetime
    step: timedelta

    def __post_init__(self) -> None:
        """Check what the class says."""
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("start and end need a time zone")
        if self.start.microsecond or self.end.microsecond or self.step % timedelta(seconds=1):
            raise ValueError("start, end and step are whole seconds: Prometheus rounds others")
        if self.step <= timedelta(0) or self.end < self.start:
            raise ValueError("the step must be positive, and the end must not be before the start")
        if self.points > MOST_POINTS:
            raise ValueError(
                f"{self.points:,} points: at most {MOST_POINTS:,}; choose a longer step or a shorter window"
            )

    @property
    def points(self) -> int:
        """Return how many points there are: how many samples a series without gaps has."""
        return (self.end - self.start) // self.step + 1


class MetricsSource(Protocol):
    """Where metrics are read. Each query must describe one series.

    A point without data is left out. So an empty answer means "no data", and never "nothing happened".
    """

    async def value(self, query: str) -> Sample | None:
        """Return the newest value, None without data. Raises: UnreachableError, RefusedError."""
        ...

    async def series(self, query: str, window: QueryWindow) -> tuple[Sample, ...]:
        """Return the samples of a window in order of time. Raises: UnreachableError, RefusedError."""
        ...


def at_seconds(seconds: float) -> datetime:
    """Return the time that is this many seconds after the epoch."""
    return datetime.fromtimestamp(seconds, UTC)
