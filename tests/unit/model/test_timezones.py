"""Tests of time zones: whose names are accepted, and when clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from model.timezones import clock_changes, timezone_name, zone_names

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "GB"])
def test_names_of_the_list_are_accepted(name: str) -> None:
    assert timezone_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("localtime", "Factory", "posixrules", "posix/Europe/Berlin", "right/Europe/Berlin", "posix/UTC"),
        *("europe/berlin", "Berlin", "CEST", "+01:00", "UTC+1", "", "../etc/passwd", "Europe", "tzdata.zi", "zone.tab"),
    ],
)
def test_files_of_a_machine_and_other_words_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="IANA list"):
        timezone_name(name)


def test_every_name_has_a_zone() -> None:
    assert all(ZoneInfo(name) for name in zone_names())


def test_the_changes_of_a_year_have_their_moment_and_offsets() -> None:
    spring, autumn = clock_changes("Europe/Berlin", 2027, 2027)

    assert (spring.at, spring.shift) == (datetime(2027, 3, 28, 1, tzinfo=UTC), HOUR)
    assert [f"{local:%d %H:%M}" for local in spring.local] == ["28 02:00", "28 03:00"]
    assert (autumn.at, autumn.shift) == (datetime(2027, 10, 31, 1, tzinfo=UTC), -HOUR)
    assert [f"{local:%d %H:%M}" for local in autumn.local] == ["31 02:00", "31 03:00"]


def test_a_zone_without_summer_time_has_no_changes() -> None:
    assert clock_changes("Asia/Kolkata", 2026, 2035) == ()
