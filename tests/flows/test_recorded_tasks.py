"""Finished steps as Prefect task runs, against a real server: what 011.2 and 011.3 say."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, TaskRun

from flows import engine, recorded_tasks
from flows.recorded_tasks import FinishedStep

BEGAN = datetime(2026, 11, 29, 12, tzinfo=UTC)
CHECKED = FinishedStep(name="validate", began_at=BEGAN, ended_at=BEGAN + timedelta(seconds=2), message="no problems")
REFUSED = FinishedStep(name="check-quota", began_at=BEGAN, ended_at=BEGAN, message="over quota", failed=True)
SECONDS = 60.0


@pytest.fixture
async def client(prefect_server: str) -> AsyncIterator[PrefectClient]:
    async with get_client() as made:
        assert str(made.api_url).rstrip("/") == prefect_server.rstrip("/")
        yield made


@flow(persist_result=False)
async def records(times: int = 1) -> None:
    for _ in range(times):
        recorded_tasks.record(CHECKED)
        recorded_tasks.record(REFUSED)


async def shown(client: PrefectClient, flow_run_id: UUID, number: int) -> list[TaskRun]:
    """Return the task runs of a flow run once there are `number`; Prefect writes them a moment later."""
    mine = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    async with asyncio.timeout(SECONDS):
        while len(found := await client.read_task_runs(flow_run_filter=mine)) < number:  # noqa: ASYNC110  Prefect tells nobody
            await asyncio.sleep(0.1)
    return sorted(found, key=lambda task_run: task_run.name)


async def deployed(client: PrefectClient) -> FlowRun:
    flow_id = await client.create_flow(records)
    deployment = await client.create_deployment(flow_id=flow_id, name="default", entrypoint="flows.none.such")
    return await client.create_flow_run_from_deployment(deployment)


async def test_a_finished_step_is_shown_with_its_own_times_and_message(client: PrefectClient) -> None:
    flow_run = await deployed(client)

    await engine.run(records, flow_run, {})

    quota, checked = await shown(client, flow_run.id, 2)
    assert (checked.name, checked.start_time, checked.end_time) == ("validate", BEGAN, BEGAN + timedelta(seconds=2))
    assert checked.state is not None
    assert (checked.state.name, checked.state.message) == ("Completed", "no problems")
    assert quota.state is not None
    assert (quota.state.name, quota.state.message) == ("Failed", "over quota")


async def test_a_step_that_is_recorded_again_is_shown_once(client: PrefectClient) -> None:
    flow_run = await deployed(client)

    await engine.run(records, flow_run, {"times": 3})

    assert len(await shown(client, flow_run.id, 2)) == 2


def test_outside_of_a_flow_run_nothing_is_recorded() -> None:
    recorded_tasks.record(CHECKED)
