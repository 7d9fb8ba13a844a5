"""Tests of when a schedule is due, in the nights in which clocks are changed above all."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.recurrence import due_from
from model.schedule import Schedule
from model.timezones import clock_changes

ZONES = (
    *("Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Santiago", "America/Havana", "Atlantic/Azores"),
    *(
        "Africa/Cairo",
        "Africa/Casablanca",
        "Australia/Sydney",
        "Australia/Lord_Howe",
        "Pacific/Auckland",
        "Asia/Beirut",
    ),
)
SPRING = datetime(2027, 3, 27, 12, tzinfo=UTC)
AUTUMN = datetime(2027, 10, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def local(schedule: Schedule, start: datetime, number: int) -> list[str]:
    """The next times on the clock of the zone, with the offset."""
    zone = ZoneInfo(schedule.timezone)
    return [f"{due.astimezone(zone):%d %H:%M %z}" for due in islice(due_from(schedule, start), number)]


def berlin(cron: str) -> Schedule:
    return Schedule(cron=cron, timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("cron", "start", "expected"),
    [
        ("30 2 * * *", SPRING, ["28 03:30 +0200", "29 02:30 +0200"]),
        ("30 2 * * *", AUTUMN, ["31 02:30 +0200", "01 02:30 +0100"]),
        ("*/30 2 * * *", SPRING, ["28 03:00 +0200", "28 03:30 +0200", "29 02:00 +0200"]),
        ("15 1-3 * * *", SPRING, ["28 01:15 +0100", "28 03:15 +0200", "29 01:15 +0200"]),
        ("15 1-3 * * *", AUTUMN, ["31 01:15 +0200", "31 02:15 +0200", "31 02:15 +0100", "31 03:15 +0100"]),
        ("0 */2 * * 0", AUTUMN, ["31 00:00 +0200", "31 02:00 +0200", "31 04:00 +0100"]),
        ("0 9 * * 1-5", SPRING, ["29 09:00 +0200", "30 09:00 +0200"]),
    ],
)
def test_a_missing_time_is_put_forward_and_a_repeated_one_is_due_once_unless_it_is_hourly(
    cron: str, start: datetime, expected: list[str]
) -> None:
    assert local(berlin(cron), start, len(expected)) == expected


def test_a_time_that_is_put_forward_to_midnight_is_due_then() -> None:
    """In Nuuk the clocks go from 23:00 to midnight."""
    nightly = Schedule(cron="0 23 * * *", timezone="America/Nuuk")

    assert local(nightly, SPRING, 2) == ["28 00:00 -0100", "28 23:00 -0100"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("schedule", "apart"),
    [
        ({"cron": "0 * * * *"}, timedelta(hours=1)),
        ({"cron": "*/15 * * * *"}, timedelta(minutes=15)),
        ({"interval": 3600}, timedelta(hours=1)),
        ({"interval": 5400}, timedelta(hours=1.5)),
        ({"interval": 90_000}, timedelta(hours=25)),
    ],
)
def test_what_goes_by_elapsed_time_is_equally_far_apart_over_a_year(
    zone: str, schedule: dict[str, str | int], apart: timedelta
) -> None:
    if zone == "Australia/Lord_Howe" and schedule.get("cron") == "0 * * * *":
        pytest.skip("its clocks are changed by half an hour, so that full hours are not an hour apart")
    made = Schedule(timezone=zone, **schedule)  # type: ignore[arg-type]  # one of both has the type of its key
    for change in clock_changes(zone, 2027, 2027):
        found = list(takewhile(lambda due: due < change.at + 3 * DAY, due_from(made, change.at - 3 * DAY)))  # noqa: B023  used at once

        assert {later - due for due, later in pairwise(found)} == {apart}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("days", [1, 2, 7, 30])
def test_an_interval_of_days_is_due_once_on_each_of_its_days(zone: str, days: int) -> None:
    schedule = Schedule(interval=days * 86_400, timezone=zone)

    found = [due.astimezone(ZoneInfo(zone)) for due in islice(due_from(schedule, SPRING), 400 // days)]

    assert {later.date() - due.date() for due, later in pairwise(found)} == {days * DAY}
    assert {due.hour for due in found} <= {0, 1}, "midnight, or an hour later where there is no midnight"
    assert sum(due.hour == 1 for due in found) <= 2


@given(st.sampled_from(ZONES), st.integers(0, 59), st.integers(0, 22), st.integers(0, 3 * 365 * 86_400))
def test_a_daily_time_is_due_once_a_day_and_never_early(zone: str, minute: int, hour: int, after: int) -> None:
    """Only a time that does not exist is later, by what the clocks are put forward."""
    start, time = SPRING + timedelta(seconds=after), timedelta(hours=hour, minutes=minute)
    schedule = Schedule(cron=f"{minute} {hour} * * *", timezone=zone)

    found = [due.astimezone(ZoneInfo(zone)) for due in islice(due_from(schedule, start), 10)]

    assert found[0] >= start
    assert {later.date() - due.date() for due, later in pairwise(found)} == {DAY}
    late = [timedelta(hours=due.hour, minutes=due.minute) - time for due in found]
    assert set(late) <= {timedelta(), timedelta(minutes=30), timedelta(hours=1)}
    assert late.count(timedelta()) >= 9


def test_the_29th_of_february_is_found_years_ahead() -> None:
    found = [due.year for due in islice(due_from(Schedule(cron="0 0 29 2 *"), SPRING), 3)]

    assert found == [2028, 2032, 2036]


def test_intervals_are_counted_from_one_midnight_and_not_from_now() -> None:
    """A deploy must not put off the next run."""
    schedule = Schedule(interval=7 * 86_400 + 1)

    first, second = (next(due_from(schedule, SPRING + shift)) for shift in (timedelta(), timedelta(hours=1)))

    assert first == second
    assert (first - datetime(2024, 1, 1, tzinfo=UTC)) % timedelta(days=7, seconds=1) == timedelta()
