"""Finished steps as Prefect task runs, against a real server: what 011.2 and 011.3 say."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.states import Pending

from flows import engine, recorded_tasks
from flows.recorded_tasks import Step

BEGAN = datetime(2026, 11, 29, 12, tzinfo=UTC)
CHECKED = Step(name="validate", began_at=BEGAN, ended_at=BEGAN + timedelta(seconds=2), message="no problems")
REFUSED = Step(name="check-quota", began_at=BEGAN, ended_at=BEGAN, message="over quota", failed=True)
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
    """Return the task runs of a flow run once `number` have a state; Prefect writes a run first and its state later."""
    mine = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    async with asyncio.timeout(SECONDS):
        while True:
            found = await client.read_task_runs(flow_run_filter=mine)
            if sum(task_run.state is not None for task_run in found) >= number:
                return sorted(found, key=lambda task_run: task_run.name)
            await asyncio.sleep(0.1)  # Prefect tells nobody when it has written them


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


async def test_a_step_under_way_is_shown_running_until_it_is_recorded_as_ended(client: PrefectClient) -> None:
    waiting = Step(name="gate", began_at=BEGAN, message="waits for CPU")

    @flow(name="waits", persist_result=False)
    async def waits(ends: bool) -> None:  # noqa: FBT001  a parameter of a flow
        recorded_tasks.record(replace(waiting, ended_at=BEGAN + timedelta(minutes=1)) if ends else waiting)

    flow_id = await client.create_flow(waits)
    deployment = await client.create_deployment(flow_id=flow_id, name="default", entrypoint="flows.none.such")
    flow_run = await client.create_flow_run_from_deployment(deployment)

    await engine.run(waits, flow_run, {"ends": False})
    [running] = await shown(client, flow_run.id, 1)
    assert running.state is not None
    assert (running.state.name, running.end_time) == ("Running", None)

    await client.set_flow_run_state(flow_run.id, Pending(), force=True)
    await engine.run(waits, await client.read_flow_run(flow_run.id), {"ends": True})
    async with asyncio.timeout(SECONDS):
        while not (ended := (await shown(client, flow_run.id, 1))[0]).end_time:  # noqa: ASYNC110  Prefect tells nobody
            await asyncio.sleep(0.1)
    assert (ended.id, ended.total_run_time) == (running.id, timedelta(minutes=1))


def test_outside_of_a_flow_run_nothing_is_recorded() -> None:
    recorded_tasks.record(CHECKED)
