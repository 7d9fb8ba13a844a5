"""Time zones: the names of the IANA list, and when the clocks of a zone are changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_NO_PLACE = "Factory"
"""A name in the list that stands for a clock that nobody has set. Prefect does not know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChange:
    """A moment at which the clocks of a zone are changed, and the offsets from UTC before and after it."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def shift(self) -> timedelta:
        """How far the clocks are put forward. It is negative if they are put back."""
        return self.after - self.before

    @property
    def local(self) -> tuple[datetime, datetime]:
        """The local times that do not exist, or that come twice: the first one, and the one after the last."""
        start, end = sorted((self.at + self.before, self.at + self.after))
        return start.replace(tzinfo=None), end.replace(tzinfo=None)


@cache
def zone_names() -> frozenset[str]:
    """Return the names of the IANA list. They do not depend on the files of this machine."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="ascii").split()) - {_NO_PLACE}


def timezone_name(text: str) -> str:
    """Accept the name of a time zone. Raises: ValueError."""
    if text not in zone_names():
        raise ValueError("is not a time zone of the IANA list, such as Europe/Berlin")
    return text


@cache
def clock_changes(zone: str, first: int, last: int) -> tuple[ClockChange, ...]:
    """Return the changes of a zone's clocks in the years from `first` to `last`, both included."""
    return tuple(_changes(ZoneInfo(zone), datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)))


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[ClockChange]:
    while start < end:
        following = start + timedelta(days=1)
        if _offset(zone, start) != _offset(zone, following):
            at = _change_between(zone, start, following)
            yield ClockChange(at=at, before=_offset(zone, start), after=_offset(zone, following))
        start = following


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the first second at which the zone has the offset of `after`."""
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if _offset(zone, middle) == _offset(zone, before) else (before, middle)
    return after


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
