"""How schedules are read, and what is left as it was."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import DeploymentSchedule

from flows import schedules

DAILY = {"cron": "0 2 * * *", "timezone": "Europe/Berlin"}
HOURLY = {"interval": 3600}


def known(*entries: dict[str, Any], active: bool = True) -> list[DeploymentSchedule]:
    """Schedules as the server tells them."""
    made = [schedules.read(entry) for entry in entries]
    return [
        DeploymentSchedule.model_validate_json(
            DeploymentSchedule(id=uuid4(), schedule=each.schedule, active=active).model_dump_json()
        )
        for each in made
    ]


def test_an_interval_is_counted_from_a_midnight_in_its_zone_and_not_from_now() -> None:
    schedule = schedules.read({"interval": 86_400, "timezone": "Europe/Berlin"}).schedule

    assert schedule.anchor_date == datetime(2023, 12, 31, 23, tzinfo=UTC)
    assert (schedule.interval, schedule.timezone) == (timedelta(days=1), "Europe/Berlin")


@pytest.mark.parametrize("entries", [(DAILY, HOURLY), (HOURLY, DAILY), ()])
def test_what_the_server_has_is_known_again_in_any_order(entries: tuple[dict[str, Any], ...]) -> None:
    wanted = [schedules.read(entry) for entry in entries]

    assert schedules.equal(known(*reversed(entries)), wanted)


@pytest.mark.parametrize(
    "other",
    [
        [HOURLY],
        [HOURLY, HOURLY],
        [HOURLY | {"timezone": "Asia/Tokyo"}, DAILY],
        [{"interval": 3601}, DAILY],
        [HOURLY, DAILY | {"cron": "0 3 * * *"}],
        [HOURLY, DAILY | {"active": False}],
    ],
)
def test_any_difference_is_one(other: list[dict[str, Any]]) -> None:
    assert not schedules.equal(known(HOURLY, DAILY), [schedules.read(entry) for entry in other])


def test_what_a_person_turned_off_stays_off_and_only_that() -> None:
    off, on = known(HOURLY, active=False), known(DAILY)

    after = [schedules.as_before(schedules.read(entry), [*off, *on]) for entry in (HOURLY, DAILY, {"interval": 60})]

    assert [schedule.active for schedule in after] == [False, True, True]
    assert schedules.equal([*off, *on], after[:2])
