"""When experiments may run: weekly windows by the clock of a zone, less freezes. Times in, times out.

1. Without a window it is always open. A window that ends at or before its start ends on the next day.
2. A local time that does not exist, because the clocks are put forward, is as much later. Of one that comes twice, the
   first counts: a window closes early rather than late.
3. A freeze closes every window.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from chaos.instants import instant
from model.fields import FORBID
from model.timezones import timezone_name

HORIZON = timedelta(days=400)
"""How far ahead an open time is looked for. What is open until then counts as open."""
DAY = timedelta(days=1)
MIDNIGHT = "24:00"
_CLOCK = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]|24:00")


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError("must be a time of the day such as 09:00, at most 24:00")
    return text


ClockTime = Annotated[str, Field(max_length=5), AfterValidator(_clock)]


class Weekday(StrEnum):
    """The days, in the order of `date.weekday`."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


WEEK = tuple(Weekday)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """A time of each of these days, by the clock of a zone."""

    __pydantic_config__ = FORBID

    days: Annotated[
        tuple[Weekday, ...], Field(min_length=1, max_length=7, description="On which days it begins; default: all")
    ] = WEEK
    start: Annotated[ClockTime, Field(description="HH:MM")] = "00:00"
    end: Annotated[ClockTime, Field(description="HH:MM; at or before the start it is that of the next day")] = MIDNIGHT
    timezone: Annotated[
        str, Field(min_length=1, max_length=100, description="A name of the IANA list"), AfterValidator(timezone_name)
    ] = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A time in which nothing may run, such as the days before a release."""

    __pydantic_config__ = FORBID

    start: Annotated[str, Field(max_length=40, description="A time with its zone"), AfterValidator(instant)]
    end: Annotated[str, Field(max_length=40, description="A time with its zone"), AfterValidator(instant)]
    reason: Annotated[str, Field(min_length=3, max_length=500, description="Why, for everybody who is refused")]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Period:
    """A time without a break, in UTC. It has its begin, and not its end."""

    begins: datetime
    ends: datetime


def is_within(windows: Sequence[TimeWindow], moment: datetime) -> bool:
    """Say whether a moment lies in any of the windows."""
    return any(one.begins <= moment < one.ends for window in windows for one in _around(window, moment))


def open_from(
    windows: Sequence[TimeWindow], freezes: Sequence[Freeze], moment: datetime, needed: timedelta
) -> Period | None:
    """Return the first time from `moment` on that is open for as long as needed; None within `HORIZON`."""
    for period in _open(windows, freezes, moment):
        begins = max(period.begins, moment)
        if begins + needed <= period.ends:
            return Period(begins=begins, ends=period.ends)
    return None


def freeze_at(freezes: Sequence[Freeze], moment: datetime) -> Freeze | None:
    """Return the freeze that closes a moment, the first to end if there are several."""
    found = [one for one in freezes if _instant(one.start) <= moment < _instant(one.end)]
    return min(found, key=lambda one: (_instant(one.end), one.reason), default=None)


def _open(windows: Sequence[TimeWindow], freezes: Sequence[Freeze], moment: datetime) -> Iterator[Period]:
    """Yield the open times that end after `moment`, in order."""
    last = moment + HORIZON
    if windows:
        found = sorted(one for window in windows for one in _periods(window, moment, last) if one.ends > moment)
    else:
        found = [Period(begins=moment.astimezone(UTC), ends=last.astimezone(UTC))]
    for period in _joined(found):
        yield from _without(period, freezes)


def _around(window: TimeWindow, moment: datetime) -> Iterator[Period]:
    return _periods(window, moment, moment)


def _periods(window: TimeWindow, first: datetime, last: datetime) -> Iterator[Period]:
    """Yield the times of a window from the day before `first` to the day after `last`."""
    zone = ZoneInfo(window.timezone)
    day, until = first.astimezone(zone).date() - DAY, last.astimezone(zone).date() + DAY
    while day <= until:
        if WEEK[day.weekday()] in window.days:
            ends_on = day if window.end > window.start else day + DAY
            period = Period(begins=_at(day, window.start, zone), ends=_at(ends_on, window.end, zone))
            if period.begins < period.ends:
                yield period
        day += DAY


def _at(day: date, clock: str, zone: ZoneInfo) -> datetime:
    if clock == MIDNIGHT:
        day, clock = day + DAY, "00:00"
    return datetime.combine(day, time.fromisoformat(clock), zone).astimezone(UTC)


def _joined(periods: Sequence[Period]) -> Iterator[Period]:
    """Yield sorted periods, those that touch as one."""
    current: Period | None = None
    for period in periods:
        if current is not None and period.begins <= current.ends:
            current = Period(begins=current.begins, ends=max(current.ends, period.ends))
            continue
        if current is not None:
            yield current
        current = period
    if current is not None:
        yield current


def _without(period: Period, freezes: Sequence[Freeze]) -> Iterator[Period]:
    """Yield what is left of a period, in order."""
    begins = period.begins
    for start, end in sorted((_instant(one.start), _instant(one.end)) for one in freezes):
        if end <= begins or start >= period.ends:
            continue
        if start > begins:
            yield Period(begins=begins, ends=start)
        begins = max(begins, end)
    if begins < period.ends:
        yield Period(begins=begins, ends=period.ends)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
