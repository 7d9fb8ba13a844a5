"""Translates the schedules of suite files and prefect.yaml into schedules of Prefect, and compares both."""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import DeploymentSchedule, FlowRun, StateType
from prefect.client.schemas.schedules import SCHEDULE_TYPES, CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.exceptions import ObjectNotFound
from pydantic import TypeAdapter

from flows.prefect_calendar import as_prefect_plans
from model.schedule import Schedule

BY_SCHEDULE = "auto-scheduled"
"""The tag that Prefect gives to the flow runs that its scheduler plans."""
PAGE = 200
"""Flow runs that Prefect returns at most in one call."""
SCHEDULER_SECONDS = 1.0
"""Longer than one round of Prefect's scheduler takes."""
_SCHEDULE = TypeAdapter(Schedule)
_KEYS = ("cron", "interval", "timezone")
_SINGLE_TIMES = ("DTSTART:", "EXDATE:", "RDATE:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A schedule, and the schedules of Prefect that together mean it, the main one first."""

    schedule: Schedule
    parts: tuple[DeploymentScheduleCreate, ...]

    @property
    def active(self) -> bool:
        """True if it is turned on."""
        return self.parts[0].active is True


def read(entry: Mapping[str, Any]) -> Schedule:
    """Read a schedule as prefect.yaml writes it: cron or interval in seconds, and a time zone."""
    return _SCHEDULE.validate_json(json.dumps({key: entry[key] for key in _KEYS if entry.get(key)}))


def planned(schedule: Schedule, known: Sequence[DeploymentSchedule], now: datetime, *, active: bool = True) -> Planned:
    """Write a schedule in the form that Prefect plans rightly. One that a person turned off in Prefect stays off."""
    parts = as_prefect_plans(schedule, now.year)
    standing = [each.active for each in known if _rule(each.schedule) == _rule(parts[0])]
    on = active and (not standing or any(standing))
    return Planned(schedule=schedule, parts=tuple(DeploymentScheduleCreate(schedule=part, active=on) for part in parts))


def equal(known: Sequence[DeploymentSchedule], wanted: Sequence[DeploymentScheduleCreate]) -> bool:
    """Return whether both have the same schedules, in any order."""
    plans = [sorted((*_plan(each.schedule), str(each.active)) for each in either) for either in (known, wanted)]
    return plans[0] == plans[1]


async def forget_removed(client: PrefectClient, deployment_id: UUID) -> None:
    """Delete planned runs of schedules that are gone.

    The server does that itself, but its scheduler may have read the old schedules just before, and plan their runs
    just after. So this looks again until it finds none.
    """
    while True:
        await asyncio.sleep(SCHEDULER_SECONDS)
        schedules = (await client.read_deployment(deployment_id)).schedules
        left = await _planned_by_others(client, deployment_id, {schedule.id for schedule in schedules})
        if not left:
            return
        for flow_run_id in left:
            with contextlib.suppress(ObjectNotFound):
                await client.delete_flow_run(flow_run_id)


async def _planned_by_others(client: PrefectClient, deployment_id: UUID, schedules: set[UUID]) -> list[UUID]:
    """Return the planned runs of a deployment that belong to none of its schedules."""
    planned = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        tags=FlowRunFilterTags(all_=[BY_SCHEDULE]),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=datetime.now(UTC)),  # noqa: TID251  a command
    )
    found: list[FlowRun] = []
    while len(page := await client.read_flow_runs(flow_run_filter=planned, limit=PAGE, offset=len(found))) == PAGE:
        found += page
    return [run.id for run in (*found, *page) if run.created_by is None or run.created_by.id not in schedules]


def _plan(schedule: SCHEDULE_TYPES) -> tuple[str, ...]:
    if isinstance(schedule, IntervalSchedule):
        anchor = schedule.anchor_date.timestamp()
        return ("interval", str(schedule.interval.total_seconds()), str(schedule.timezone), str(anchor))
    if isinstance(schedule, CronSchedule):
        return ("cron", schedule.cron, str(schedule.timezone))
    if isinstance(schedule, RRuleSchedule):
        return ("rrule", schedule.rrule, str(schedule.timezone))
    return ("none",)


def _rule(schedule: SCHEDULE_TYPES) -> tuple[str, ...]:
    """Return the plan without its single times, since those differ from year to year."""
    return tuple(
        "\n".join(line for line in part.splitlines() if not line.startswith(_SINGLE_TIMES)) for part in _plan(schedule)
    )
