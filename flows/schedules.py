"""Schedules as suite files and prefect.yaml write them, and what Prefect has of them."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

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
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectNotFound

BY_SCHEDULE = "auto-scheduled"
"""The tag that Prefect gives to what its scheduler made."""
ANCHOR = datetime(2024, 1, 1)  # noqa: DTZ001  midnight in the zone of the schedule
"""From here intervals are counted; were it the time of the deploy, each deploy would put off the next run."""
PAGE = 200
"""What Prefect returns at most."""
SCHEDULER_SECONDS = 1.0
"""Longer than one look of Prefect's scheduler takes."""


def read(entry: Mapping[str, Any]) -> DeploymentScheduleCreate:
    """Read a schedule as prefect.yaml writes it: cron or interval in seconds, and a time zone."""
    zone = entry.get("timezone") or "UTC"
    schedule: CronSchedule | IntervalSchedule
    if entry.get("cron"):
        schedule = CronSchedule(cron=entry["cron"], timezone=zone)
    else:
        anchor = ANCHOR.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        schedule = IntervalSchedule(interval=timedelta(seconds=entry["interval"]), anchor_date=anchor, timezone=zone)
    return DeploymentScheduleCreate(schedule=schedule, active=entry.get("active", True))


def equal(known: Sequence[DeploymentSchedule], wanted: Sequence[DeploymentScheduleCreate]) -> bool:
    """Return whether both are the same, in whatever order."""
    plans = [sorted((*_plan(schedule), str(schedule.active)) for schedule in each) for each in (known, wanted)]
    return plans[0] == plans[1]


def as_before(wanted: DeploymentScheduleCreate, known: Sequence[DeploymentSchedule]) -> DeploymentScheduleCreate:
    """Return `wanted`, turned off where the same plan stands turned off: a person did that."""
    same = [schedule.active for schedule in known if _plan(schedule) == _plan(wanted)]
    return wanted.model_copy(update={"active": False}) if same and not any(same) else wanted


async def forget_removed(client: PrefectClient, deployment_id: UUID) -> None:
    """Delete planned runs of schedules that are gone.

    The server does that itself, but its scheduler may have read the old ones just before and plan their runs just
    after: so look again until nothing of the kind is found.
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
    """Return the runs of a deployment that are planned, and by none of its schedules."""
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


def _plan(each: DeploymentSchedule | DeploymentScheduleCreate) -> tuple[str, ...]:
    schedule = each.schedule
    if isinstance(schedule, IntervalSchedule):
        anchor = schedule.anchor_date.timestamp()
        return ("interval", str(schedule.interval.total_seconds()), str(schedule.timezone), str(anchor))
    if isinstance(schedule, CronSchedule):
        return ("cron", schedule.cron, str(schedule.timezone))
    return ("another", schedule.model_dump_json())
