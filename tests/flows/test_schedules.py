"""How schedules are read, and what is left as it was."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import DeploymentSchedule

from flows import schedules

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAILY = {"cron": "0 2 * * *", "timezone": "Europe/Berlin"}
HOURLY = {"interval": 3600}


def wanted(*entries: dict[str, Any], known: Sequence[DeploymentSchedule] = ()) -> list[DeploymentScheduleCreate]:
    """Schedules as they are deployed."""
    planned = [schedules.planned(schedules.read(each), known, NOW, active=each.get("active", True)) for each in entries]
    return [part for each in planned for part in each.parts]


def known(*entries: dict[str, Any], active: bool = True) -> list[DeploymentSchedule]:
    """Schedules as the server tells them."""
    return [
        DeploymentSchedule.model_validate_json(
            DeploymentSchedule(id=uuid4(), schedule=each.schedule, active=active).model_dump_json()
        )
        for each in wanted(*entries)
    ]


@pytest.mark.parametrize("entries", [(DAILY, HOURLY), (HOURLY, DAILY), ()])
def test_what_the_server_has_is_known_again_in_any_order(entries: tuple[dict[str, Any], ...]) -> None:
    assert schedules.equal(known(*reversed(entries)), wanted(*entries))


@pytest.mark.parametrize(
    "other",
    [
        [HOURLY],
        [HOURLY, HOURLY],
        [HOURLY | {"timezone": "Asia/Kathmandu"}, DAILY],
        [{"interval": 3601}, DAILY],
        [HOURLY, DAILY | {"cron": "0 3 * * *"}],
        [HOURLY, DAILY | {"active": False}],
    ],
)
def test_any_difference_is_one(other: list[dict[str, Any]]) -> None:
    assert not schedules.equal(known(HOURLY, DAILY), wanted(*other))


def test_what_a_person_turned_off_stays_off_and_only_that() -> None:
    off, on = known(HOURLY, active=False), known(DAILY)

    after = wanted(HOURLY, DAILY, {"interval": 60}, known=[*off, *on])

    assert [schedule.active for schedule in after] == [False, True, True]
    assert schedules.equal([*off, *on], after[:2])


def test_what_was_turned_off_stays_off_in_a_later_year_with_all_its_parts() -> None:
    """The single times that Prefect is told differ from year to year."""
    nightly = {"cron": "15 0-6 * * *", "timezone": "Europe/Berlin"}
    off = known(nightly, active=False)

    later = schedules.planned(schedules.read(nightly), off, NOW.replace(year=NOW.year + 1))

    assert [part.active for part in later.parts] == [False, False]
    assert not later.active
