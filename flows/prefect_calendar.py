"""Writes a schedule in a form that Prefect's calendar plans as `model.recurrence` does.

Prefect's own calendar errs around the changes of the clocks. Measured with 3.8.8:
- An interval of days in a zone is stepped in local time from a start that is found in UTC, so days are planned twice.
- A cron time that does not exist is planned an hour early, and of an hour that comes twice only the first is planned.
- Its croniter skips the first days of a month after 31, 30 or 29 in a shorter month.

So intervals become UTC intervals or cron expressions, and hourly crons become UTC crons. If Prefect would get a time of
a cron wrong, the cron becomes an RRULE that leaves this time out and adds the right one.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from dateutil.tz import gettz
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

from model.cron import Cron
from model.recurrence import FIRST_DAY, LocalTimes, local_times, moments_of, start_of_intervals
from model.schedule import Schedule
from model.timezones import ClockChange, clock_changes

PrefectSchedule: TypeAlias = CronSchedule | IntervalSchedule | RRuleSchedule

MOST_YEARS = 10
"""The years ahead for which single times are corrected."""
_LONGEST_RRULE = 6500
"""Characters that Prefect accepts at most."""
_WEEKDAYS = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
_WEEK = 7
_AROUND = timedelta(hours=3)
"""The time around a change of the clocks in which dateutil may err, as in zones whose standard time is in summer."""


class _TooLongError(Exception):
    """There are more single times than Prefect accepts. Correct fewer years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """Single times that differ from the rule: local times, and moments in UTC.

    `left_out` and `put_in` are local times of the zone. `added` are moments that no local time names for Prefect, such
    as a local time that is due a second time.
    """

    left_out: tuple[datetime, ...] = ()
    put_in: tuple[datetime, ...] = ()
    added: tuple[datetime, ...] = ()


def as_prefect_plans(schedule: Schedule, year: int) -> tuple[PrefectSchedule, ...]:
    """Return the schedules of Prefect that together mean `schedule`, the main one first.

    Single times are corrected from the start of `year` on, for ten years or as many as Prefect's limit allows.
    """
    times = local_times(schedule)
    if times is None or (times.every % _WEEK and times.every > 1 and not _changes(schedule, year, MOST_YEARS)):
        return (_interval(schedule),)
    if (fixed := _in_utc(times, schedule, year)) is not None:
        return (fixed,)
    for years in range(MOST_YEARS, 0, -1):
        with suppress(_TooLongError):
            return tuple(_in_zone(_weekly(times), schedule, year, years))
    raise ValueError(f"the clocks of {schedule.timezone} are changed too often for so many times a day: use UTC")


def _interval(schedule: Schedule) -> IntervalSchedule:
    return IntervalSchedule(
        interval=timedelta(seconds=schedule.interval or 0), anchor_date=start_of_intervals(schedule), timezone="UTC"
    )


def _weekly(times: LocalTimes) -> LocalTimes:
    """Return times of every seventh day as those of a weekday, which Prefect's calendar knows."""
    monday = replace(times.cron, weekdays=frozenset({FIRST_DAY.isoweekday() % _WEEK}))
    return LocalTimes(cron=monday) if times.every == _WEEK else times


def _in_utc(times: LocalTimes, schedule: Schedule, year: int) -> CronSchedule | None:
    """Return a cron of every hour in UTC, where the changes of the clocks make no difference to its minutes."""
    offsets = {each for change in _changes(schedule, year, MOST_YEARS) for each in (change.before, change.after)}
    if not offsets or times.every > 1 or not times.cron.names_every_hour:
        return None
    minutes = {
        frozenset((minute - offset // timedelta(minutes=1)) % 60 for minute in times.cron.minutes) for offset in offsets
    }
    if len(minutes) > 1:
        return None
    return CronSchedule(cron=replace(times.cron, minutes=minutes.pop()).text(), timezone="UTC")


def _in_zone(times: LocalTimes, schedule: Schedule, year: int, years: int) -> Iterator[PrefectSchedule]:
    """Yield a cron in the zone of the schedule, or an RRULE with corrections, and a list of added moments."""
    zone, changes = schedule.timezone, _changes(schedule, year, years)
    by_cron = times.every == 1 and not _croniter_skips_days(times.cron) and _cron_is_harmless(times, changes)
    found = (
        Corrections(added=tuple(_second_times(times, changes, zone))) if by_cron else _corrected(times, changes, zone)
    )
    if by_cron:
        yield CronSchedule(cron=times.cron.text(), timezone=zone)
    else:
        yield _rrule_schedule(_rrule(times, found, year), zone)
    if found.added:
        yield _rrule_schedule(f"DTSTART:{_digits(found.added[0])}\nRDATE:{_listed(found.added)}", "UTC")


def _rrule_schedule(rrule: str, zone: str) -> RRuleSchedule:
    if len(rrule) > _LONGEST_RRULE:
        raise _TooLongError
    return RRuleSchedule(rrule=rrule, timezone=zone)


def _cron_is_harmless(times: LocalTimes, changes: Sequence[ClockChange]) -> bool:
    """Return whether Prefect may shift the missing times either way: the times before and after them are due anyway."""
    return all(
        _both_neighbours_are_due(times, local, change.shift)
        for change in changes
        if change.shift > timedelta()
        for local in times.between(*change.local)
    )


def _second_times(times: LocalTimes, changes: Sequence[ClockChange], zone: str) -> Iterator[datetime]:
    """Yield the moments at which local times are due a second time."""
    for change in changes:
        if change.shift < timedelta():
            for local in times.between(*change.local):
                yield from moments_of(local, times, ZoneInfo(zone))[1:]


def _corrected(times: LocalTimes, changes: Sequence[ClockChange], zone: str) -> Corrections:
    """Return the corrections of an RRULE. Prefect uses dateutil to turn local times into moments."""
    left_out, put_in, added = [], [], []
    for change in changes:
        start, end = change.local
        for local in times.between(start - _AROUND, end + _AROUND):
            due, *again = moments_of(local, times, ZoneInfo(zone))
            added += again
            if _as_prefect_reads(local, zone) == due:
                continue
            left_out.append(local)
            right = due.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            if _as_prefect_reads(right, zone) == due:
                put_in.append(right)
            else:
                added.append(due)
    return Corrections(left_out=tuple(left_out), put_in=tuple(put_in), added=tuple(added))


def _as_prefect_reads(local: datetime, zone: str) -> datetime:
    return local.replace(tzinfo=gettz(zone)).astimezone(UTC)


def _both_neighbours_are_due(times: LocalTimes, local: datetime, shift: timedelta) -> bool:
    """Return whether it does no harm if Prefect plans a missing time earlier or later by the shift."""
    near = times.between(local - shift, local + shift + timedelta(minutes=1))
    return local - shift in near and local + shift in near


def _croniter_skips_days(cron: Cron) -> bool:
    """Return whether Prefect's croniter skips days. From a short month it may step to the 3rd and go on there."""
    beyond = {length: [day for day in cron.days if day > length] for length in (28, 29, 30)}
    return any(min(cron.days) < min(days) - length for length, days in beyond.items() if days)


def _rrule(times: LocalTimes, found: Corrections, year: int) -> str:
    start = FIRST_DAY if times.every > 1 else date(year, 1, 1)
    lines = [f"DTSTART:{start:%Y%m%d}T000000", *_rules(times)]
    if found.left_out:
        lines.append(f"EXDATE:{_listed(found.left_out)}")
    if found.put_in:
        lines.append(f"RDATE:{_listed(found.put_in)}")
    return "\n".join(lines)


def _rules(times: LocalTimes) -> Iterator[str]:
    """Yield the rules of a cron: two where a day of the month or a day of the week suffices."""
    cron = times.cron
    hours = f"BYHOUR={_numbers(cron.hours)};BYMINUTE={_numbers(cron.minutes)};BYSECOND=0"
    months = f";BYMONTH={_numbers(cron.months)}" if len(cron.months) < 12 else ""  # noqa: PLR2004  of a year
    of_month = f";BYMONTHDAY={_numbers(cron.days)}" if len(cron.days) < 31 else ""  # noqa: PLR2004  of a month
    of_week = (
        f";BYDAY={','.join(_WEEKDAYS[day] for day in sorted(cron.weekdays))}" if len(cron.weekdays) < _WEEK else ""
    )
    for days in (of_month, of_week) if cron.either_suffices else (of_month + of_week,):
        yield f"RRULE:FREQ=DAILY;INTERVAL={times.every};{hours}{months}{days}"


def _changes(schedule: Schedule, year: int, years: int) -> tuple[ClockChange, ...]:
    return clock_changes(schedule.timezone, year, year + years - 1)


def _numbers(values: Iterable[int]) -> str:
    return ",".join(str(value) for value in sorted(values))


def _listed(moments: Iterable[datetime]) -> str:
    return ",".join(_digits(moment) for moment in moments)


def _digits(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}"
