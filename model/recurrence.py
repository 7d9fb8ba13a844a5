"""Compute when a schedule is due, also on the days on which the clocks are changed.

The rules are those of docs/suites.md:
1. A cron expression, and an interval of whole days, go by the clock of their zone. Other intervals go by elapsed time.
2. A local time that does not exist, because the clocks are put forward, is due as much later: 02:30 at 03:30.
3. A local time that comes twice, because the clocks are put back, is due the first time. It is due both times if the
   expression also names the hour before or after it: what runs hourly runs each hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from model.cron import Cron, parse_cron
from model.schedule import Schedule

FIRST_DAY = date(2024, 1, 1)
"""Intervals are counted from midnight of this Monday in the zone of the schedule."""
_DAY = timedelta(days=1)
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTimes:
    """The local times at which a schedule is due: those of `cron`, on every `every`-th day since FIRST_DAY."""

    cron: Cron
    every: int = 1

    def on(self, day: date) -> list[datetime]:
        """Return the times of a day, without a zone."""
        if (day - FIRST_DAY).days % self.every or not self.cron.names(day):
            return []
        return [
            datetime.combine(day, time(hour, minute))
            for hour in sorted(self.cron.hours)
            for minute in sorted(self.cron.minutes)
        ]

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        """Return the times from `start` until before `end`, without a zone."""
        days = (start.date() + number * _DAY for number in range((end.date() - start.date()).days + 1))
        return [moment for day in days for moment in self.on(day) if start <= moment < end]


def local_times(schedule: Schedule) -> LocalTimes | None:
    """Return the local times of a schedule. None if it goes by elapsed time."""
    if schedule.cron is not None:
        return LocalTimes(cron=parse_cron(schedule.cron))
    if schedule.interval is None or schedule.interval % _SECONDS_A_DAY:
        return None
    return LocalTimes(cron=parse_cron("@daily"), every=schedule.interval // _SECONDS_A_DAY)


def due_from(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    """Yield the moments, in UTC, at which a schedule is due, from `moment` on and without an end."""
    times = local_times(schedule)
    found = _elapsed(schedule, moment) if times is None else _by_the_clock(times, ZoneInfo(schedule.timezone), moment)
    return (due for due in found if due >= moment)


def start_of_intervals(schedule: Schedule) -> datetime:
    """Return the moment, in UTC, from which the intervals of a schedule are counted."""
    return datetime.combine(FIRST_DAY, time(), ZoneInfo(schedule.timezone)).astimezone(UTC)


def _elapsed(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    step, due = timedelta(seconds=schedule.interval or 1), start_of_intervals(schedule)
    due += max(0, (moment - due) // step) * step
    while True:
        yield due
        due += step


def _by_the_clock(times: LocalTimes, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """Yield the due moments of each day in order. A time that is put forward may belong to the next day."""
    day, waiting = moment.astimezone(zone).date() - _DAY, set[datetime]()
    while True:
        waiting |= {due for local in times.on(day) for due in moments_of(local, times, zone)}
        day += _DAY
        midnight = moments_of(datetime.combine(day, time()), times, zone)[0]
        yield from sorted(due for due in waiting if due < midnight)
        waiting = {due for due in waiting if due >= midnight}


def moments_of(local: datetime, times: LocalTimes, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return the moments, in UTC, at which a local time is due, by rules 2 and 3."""
    first = local.replace(tzinfo=zone).astimezone(UTC)  # of a time that does not exist, this is the time put forward
    second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return (first, second) if second > first and times.cron.is_hourly_at(local.hour) else (first,)
