"""When experiments may run: windows by the clock of a zone, over midnight, over changes of the clocks; freezes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.team_rules import check_team_rules
from chaos.time_windows import Period, TimeWindow, Weekday, is_within, open_from
from model.problems import InvalidError

BERLIN = "Europe/Berlin"
OFFICE = TimeWindow(days=tuple(Weekday)[:5], start="09:00", end="17:00", timezone=BERLIN)
NIGHT = TimeWindow(days=(Weekday.SATURDAY,), start="22:00", end="04:00", timezone=BERLIN)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "moment", "within"),
    [
        (OFFICE, "2027-01-04T08:59:59+01:00", False),  # a Monday
        (OFFICE, "2027-01-04T09:00:00+01:00", True),
        (OFFICE, "2027-01-04T17:00:00+01:00", False),
        (OFFICE, "2027-01-09T12:00:00+01:00", False),  # a Saturday
        (OFFICE, "2027-07-05T07:30:00+00:00", True),  # summer: 09:30 there
        (NIGHT, "2027-01-09T23:00:00+01:00", True),
        (NIGHT, "2027-01-10T03:59:00+01:00", True),  # Sunday, of the window that began on Saturday
        (NIGHT, "2027-01-10T23:00:00+01:00", False),
        (TimeWindow(), "2027-01-10T23:59:59+00:00", True),
    ],
)
def test_a_window_goes_by_the_clock_of_its_zone(window: TimeWindow, moment: str, within: bool) -> None:  # noqa: FBT001
    assert is_within([window], at(moment)) is within


def test_the_next_window_is_found_and_one_that_is_too_short_is_not() -> None:
    friday = at("2027-01-08T16:30:00+01:00")

    assert open_from([OFFICE], [], friday, timedelta(minutes=20)) == Period(
        begins=friday, ends=at("2027-01-08T17:00+01:00")
    )
    assert open_from([OFFICE], [], friday, timedelta(minutes=40)) == Period(
        begins=at("2027-01-11T09:00+01:00"), ends=at("2027-01-11T17:00+01:00")
    )
    assert open_from([OFFICE], [], friday, timedelta(hours=9)) is None


def test_windows_that_touch_are_one() -> None:
    halves = [TimeWindow(start="20:00", end="24:00"), TimeWindow(start="00:00", end="06:00")]

    found = open_from(halves, [], at("2027-01-04T23:00+00:00"), timedelta(hours=5))

    assert found == Period(begins=at("2027-01-04T23:00+00:00"), ends=at("2027-01-05T06:00+00:00"))


def test_a_freeze_closes_every_window_and_none_at_all() -> None:
    rules = check_team_rules(
        {"freezes": [{"start": "2027-01-04T00:00:00Z", "end": "2027-01-06T00:00:00Z", "reason": "a release"}]}
    )
    before, within = at("2027-01-03T23:00+00:00"), at("2027-01-05T12:00+00:00")

    assert open_from((), rules.freezes, before, timedelta(hours=1)) == Period(
        begins=before, ends=at("2027-01-04T00:00+00:00")
    )
    longer = open_from((), rules.freezes, before, timedelta(hours=2))
    assert longer is not None
    assert longer.begins == at("2027-01-06T00:00+00:00")
    after = open_from([OFFICE], rules.freezes, within, timedelta(hours=1))
    assert after is not None
    assert after.begins == at("2027-01-06T09:00+01:00")


def test_an_hour_that_comes_twice_closes_early_and_one_that_is_missing_is_later() -> None:
    """Berlin: clocks back on 31 October 2027 at 03:00, forward on 28 March 2027 at 02:00."""
    until = TimeWindow(start="01:00", end="02:30", timezone=BERLIN)
    since = TimeWindow(start="02:30", end="05:00", timezone=BERLIN)

    back = open_from([until], [], at("2027-10-31T01:30+02:00"), timedelta(minutes=5))
    forward = open_from([since], [], at("2027-03-28T00:30+01:00"), timedelta(minutes=5))

    assert back is not None
    assert back.ends == at("2027-10-31T02:30+02:00")
    assert forward is not None
    assert forward.begins == at("2027-03-28T03:30+02:00")


CLOCK = st.integers(0, 23).map(lambda hour: f"{hour:02}:30")


@given(
    windows=st.lists(
        st.builds(
            TimeWindow,
            days=st.sets(st.sampled_from(Weekday), min_size=1).map(lambda days: tuple(sorted(days))),
            start=CLOCK,
            end=CLOCK,
            timezone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Kolkata"]),
        ),
        min_size=1,
        max_size=3,
    ),
    minutes=st.integers(0, 60 * 24 * 400),
    needed=st.integers(1, 600),
)
def test_what_is_found_is_open_all_the_time_and_nothing_before_it_was_long_enough(
    windows: list[TimeWindow], minutes: int, needed: int
) -> None:
    """Compared with a clock that looks at every quarter of an hour, and knows nothing of periods."""
    moment = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    found = open_from(windows, [], moment, timedelta(minutes=needed))
    if found is None:
        assert all(_length(window) < needed + 60 for window in windows)
        return
    quarters = [found.begins + timedelta(minutes=15 * number) for number in range(needed // 15 + 1)]
    inside = [one for one in quarters if one < found.begins + timedelta(minutes=needed)]
    assert all(_by_the_clock(windows, one) for one in inside)
    if found.begins > moment:
        assert not _by_the_clock(windows, moment) or not all(
            _by_the_clock(windows, moment + timedelta(minutes=number)) for number in range(needed)
        )


def _length(window: TimeWindow) -> int:
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (window.start, window.end))
    return end - start if end > start else end - start + 24 * 60


def _by_the_clock(windows: list[TimeWindow], moment: datetime) -> bool:
    return any(_is_open(window, moment.astimezone(ZoneInfo(window.timezone))) for window in windows)


def _is_open(window: TimeWindow, local: datetime) -> bool:
    clock, days = local.strftime("%H:%M"), tuple(Weekday)
    today, yesterday = days[local.weekday()] in window.days, days[local.weekday() - 1] in window.days
    if window.start < window.end:
        return today and window.start <= clock < window.end
    return (today and clock >= window.start) or (yesterday and clock < window.end)


@pytest.mark.parametrize(
    ("raw", "problems"),
    [
        ({"windows": [{"start": "9:00"}]}, ["windows[0].start"]),
        ({"windows": [{"days": ["monday"], "timezone": "Berlin"}]}, ["windows[0].days[0]", "windows[0].timezone"]),
        ({"windows": [{"days": []}]}, ["windows[0].days"]),
        (
            {"freezes": [{"start": "2027-01-02T00:00:00Z", "end": "2027-01-01T00:00:00Z", "reason": "why"}]},
            ["freezes[0].end"],
        ),
        (
            {"freezes": [{"start": "2027-01-02", "end": "x", "reason": ""}]},
            ["freezes[0].end", "freezes[0].reason", "freezes[0].start"],
        ),
        ({"rules": [{"name": "a", "effect": "refuse", "approvers": ["b"]}]}, ["rules[0].approvers"]),
        ({"rules": [{"name": "a", "effect": "approve"}, {"name": "a", "effect": "refuse"}]}, ["rules[1].name"]),
        ({"rules": [{"name": "a", "effect": "maybe", "where": ["prod"]}]}, ["rules[0].effect", "rules[0].where[0]"]),
        ({"maxBudgetPercent": 0, "approvalHours": 0, "outside": "x"}, ["approvalHours", "maxBudgetPercent", "outside"]),
        ({"window": []}, ["window"]),
    ],
)
def test_wrong_rules_are_refused_with_all_paths(raw: Any, problems: list[str]) -> None:
    with pytest.raises(InvalidError) as refused:
        check_team_rules(raw)

    assert sorted(problem.path for problem in refused.value.problems) == problems
