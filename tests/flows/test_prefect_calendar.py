"""What Prefect's own calendar plans for a schedule is what `model.recurrence` says, for all that the check accepts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest
from dateutil.tz import gettz
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prefect._vendor.croniter import croniter
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, is_valid_timezone
from prefect.server.schemas.schedules import SCHEDULE_TYPES
from prefect.types._datetime import get_timezones
from pydantic import TypeAdapter

from flows.prefect_calendar import as_prefect_plans
from model.cron import cron_expression, parse_cron
from model.recurrence import due_from
from model.schedule import Schedule
from model.timezones import ClockChange, clock_changes, zone_names

YEAR = 2027
DAY = timedelta(days=1)
ON_SERVER: TypeAdapter[SCHEDULE_TYPES] = TypeAdapter(SCHEDULE_TYPES)
ZONES = (
    *("Europe/Berlin", "Europe/Dublin", "America/New_York", "Australia/Sydney", "Pacific/Auckland"),
    *("America/Santiago", "America/Havana", "Atlantic/Azores", "Africa/Cairo", "Asia/Beirut"),  # at midnight
    *("Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca"),  # by half an hour, by two; backwards in spring
    *("UTC", "Asia/Kathmandu", "America/St_Johns"),
)
USUAL = (
    *({"cron": cron} for cron in ("15 * * * *", "*/15 * * * *", "30 2 * * *", "0 0 * * *", "0 2 * * 0", "@weekly")),
    *({"interval": seconds} for seconds in (900, 3600, 21_600, 86_400, 2 * 86_400, 7 * 86_400, 90_000)),
)
RARE = (
    *("15 0-6 * * *", "30 2-5 * * *", "*/20 2 * * 0", "5 23,0 * * *", "0 * * * 0", "45 1,2,3 * * *"),
    *("0 */2 * * *", "0 3 1,31 * *", "0 0 */10 * *", "30 2 29-31 * 6", "30 1 * * *"),
)


def planned(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """Plan as Prefect's scheduler does: again and again, from whatever moment it is."""
    moments = set()
    for part in as_prefect_plans(schedule, YEAR):
        on_server = ON_SERVER.validate_json(part.model_dump_json())
        at = start
        while at < end:
            moments |= {each.astimezone(UTC) for each in on_server._get_dates_generator(n=100, start=at, end=end)}
            at += max((end - start) / 8, timedelta(hours=11, minutes=17))
    return sorted(moment for moment in moments if start <= moment < end)


def due(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    return list(takewhile(lambda moment: moment < end, due_from(schedule, start)))


def around_changes(zone: str) -> Iterator[tuple[datetime, datetime]]:
    """Yield a week around each change of the clocks, and one week where there is none."""
    usual = ClockChange(at=datetime(YEAR, 3, 28, 1, tzinfo=UTC), before=timedelta(), after=timedelta())
    for change in clock_changes(zone, YEAR, YEAR) or (usual,):
        yield change.at - 3 * DAY - timedelta(minutes=7), change.at + 3 * DAY


@pytest.mark.parametrize("zone", ZONES)
def test_prefect_plans_each_run_once_over_every_change_of_the_clocks(zone: str) -> None:
    for written in USUAL:
        schedule = Schedule(timezone=zone, **written)  # type: ignore[arg-type]  # one key of two

        for start, end in around_changes(zone):
            assert planned(schedule, start, end) == due(schedule, start, end), (written, start)


@pytest.mark.parametrize("cron", RARE)
def test_prefect_plans_rare_expressions_right(cron: str) -> None:
    for zone in ("Europe/Berlin", "America/Havana", "Africa/Casablanca"):
        schedule = Schedule(cron=cron, timezone=zone)

        for start, end in around_changes(zone):
            assert planned(schedule, start, end) == due(schedule, start, end), (zone, start)


def test_no_day_is_skipped_after_a_short_month() -> None:
    schedule = Schedule(cron="0 3 1,31 * *", timezone="Europe/Berlin")
    start, end = datetime(YEAR, 1, 20, tzinfo=UTC), datetime(YEAR, 6, 20, tzinfo=UTC)

    assert planned(schedule, start, end) == due(schedule, start, end)
    assert [f"{moment:%d.%m.}" for moment in due(schedule, start, end)][2] == "01.03."


FIELDS = [(0, 59, ""), (0, 23, ""), (1, 31, ""), (1, 12, "jan feb jul dec"), (0, 7, "sun mon fri sat")]


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """Cron expressions of all forms, right and wrong ones."""
    fields = []
    for low, high, names in FIELDS:
        number = st.integers(low, high).map(str) | st.sampled_from([*names.split(), "*"])
        part = st.builds(
            lambda first, last, step: f"{first}{last}{step}",
            number,
            st.just("") | number.map(lambda last: f"-{last}"),
            st.just("") | st.integers(1, high).map(lambda step: f"/{step}"),
        )
        fields.append(draw(st.just("*") | st.lists(part, min_size=1, max_size=2).map(",".join)))
    return " ".join(fields)


@settings(max_examples=150, deadline=None)
@given(expressions(), st.integers(0, 4 * 366))
@example("8-8 * * * *", 0)
@example("15 19 16 * */1", 0)
@example("0 12 30 2 mon-6", 0)
@example("0 0 1,31 * *", 35)
@example("0 0 30 2 *", 0)
@example("0 0 29 2 *", 790)
def test_what_is_accepted_has_the_same_days_for_prefect(text: str, days: int) -> None:
    try:
        cron_expression(text)
    except ValueError:
        return
    moment = datetime(2026, 1, 1, 5, 3, tzinfo=UTC) + days * DAY
    (part,) = as_prefect_plans(Schedule(cron=text), moment.year)

    on_server = ON_SERVER.validate_json(part.model_dump_json())

    found = list(islice(on_server._get_dates_generator(n=4, start=moment), 4))
    assert found == list(islice(due_from(Schedule(cron=text), moment), 4))


def test_prefects_croniter_reads_the_plainest_form_alone() -> None:
    """Why the written text is not handed on."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert croniter("8-8 * * * *", start).get_next(datetime).minute == 1
    assert croniter(parse_cron("8-8 * * * *").text(), start).get_next(datetime).minute == 8


def test_prefect_knows_every_zone_that_is_accepted() -> None:
    """The checks of Prefect's client and server, and the two libraries that its calendar asks."""
    assert zone_names() <= set(get_timezones())
    assert all(is_valid_timezone(zone) for zone in zone_names())
    assert all(gettz(zone) is not None for zone in zone_names())


@pytest.mark.parametrize("zone", ["GB", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "EST5EDT", "Zulu"])
def test_prefect_plans_in_zones_of_all_forms(zone: str) -> None:
    start = datetime(YEAR, 6, 1, tzinfo=UTC)

    assert planned(Schedule(cron="0 2 * * *", timezone=zone), start, start + 3 * DAY)


@pytest.mark.parametrize("seconds", [1, 59, 3600, 86_399, 31_536_000])
def test_prefect_takes_every_interval_that_is_accepted(seconds: int) -> None:
    schedule = Schedule(interval=seconds)
    start = datetime(YEAR, 5, 1, tzinfo=UTC)

    (part,) = as_prefect_plans(schedule, YEAR)

    on_server = ON_SERVER.validate_json(part.model_dump_json())
    assert list(on_server._get_dates_generator(n=5, start=start)) == list(islice(due_from(schedule, start), 5))


@pytest.mark.parametrize(
    ("written", "kinds"),
    [
        ({"cron": "0 9 * * *", "timezone": "Europe/Berlin"}, [CronSchedule]),
        ({"cron": "15 * * * *", "timezone": "Europe/Berlin"}, [CronSchedule]),
        ({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, [RRuleSchedule]),
        ({"cron": "30 2 * * *", "timezone": "Asia/Tokyo"}, [CronSchedule]),
        ({"cron": "15 0-6 * * *", "timezone": "Europe/Berlin"}, [CronSchedule, RRuleSchedule]),
        ({"interval": 3600, "timezone": "Europe/Berlin"}, [IntervalSchedule]),
        ({"interval": 86_400, "timezone": "Europe/Berlin"}, [CronSchedule]),
        ({"interval": 172_800, "timezone": "Europe/Berlin"}, [RRuleSchedule]),
        ({"interval": 172_800, "timezone": "Asia/Tokyo"}, [IntervalSchedule]),
    ],
)
def test_a_schedule_stays_what_it_is_where_prefect_gets_it_right(written: dict[str, str], kinds: list[type]) -> None:
    schedule = Schedule(**written)  # type: ignore[arg-type]  # of one of the two kinds

    assert [type(part) for part in as_prefect_plans(schedule, YEAR)] == kinds


@pytest.mark.parametrize("cron", ["* 2 * * *", "* 0-6 * * *", "*/2 2 * * *"])
def test_many_corrections_keep_to_the_length_that_prefect_takes(cron: str) -> None:
    for part in as_prefect_plans(Schedule(cron=cron, timezone="Europe/Berlin"), YEAR):
        assert ON_SERVER.validate_json(part.model_dump_json())
