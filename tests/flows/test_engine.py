"""Flows in our own entry into Prefect's engine, against a real server: what 005.1 and 005.2 promise."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.flow_engine import run_flow_async
from prefect.flows import Flow
from prefect.states import Cancelled, Cancelling, Failed

from flows import engine

MANY = 12
SECONDS = 90.0
"""More than anything here takes on a busy machine."""


@pytest.fixture
async def client(prefect_server: str) -> AsyncIterator[PrefectClient]:
    async with get_client() as made:
        assert str(made.api_url).rstrip("/") == prefect_server.rstrip("/")
        yield made


async def deployed(client: PrefectClient, flow: Flow[..., Any]) -> FlowRun:
    """A flow run of a deployment, as our worker takes it up: only for those does Prefect observe suspensions."""
    flow_id = await client.create_flow(flow)
    deployment = await client.create_deployment(flow_id=flow_id, name="default", entrypoint="flows.none.such")
    return await client.create_flow_run_from_deployment(deployment)


async def state_of(client: PrefectClient, flow_run: FlowRun) -> State[Any]:
    found = (await client.read_flow_run(flow_run.id)).state
    assert found is not None
    return found


@task
async def double(number: int) -> int:
    return 2 * number


@flow(persist_result=False)
async def doubles(number: int) -> int:
    return await double(number)


@flow(persist_result=False)
async def ends_as_told() -> State[None]:
    return Failed(name="TimedOut", message="it took too long")


@flow(persist_result=False)
async def breaks() -> None:
    raise LookupError("what it needs is not there")


async def test_a_flow_with_a_task_runs_here_and_completes(client: PrefectClient) -> None:
    flow_run = await deployed(client, doubles)

    state = await engine.run(doubles, flow_run, {"number": 21})

    assert (state.type, await state.result()) == (StateType.COMPLETED, 42)
    assert (await state_of(client, flow_run)).type is StateType.COMPLETED


async def test_a_returned_state_is_what_prefect_shows(client: PrefectClient) -> None:
    flow_run = await deployed(client, ends_as_told)

    state = await engine.run(ends_as_told, flow_run, {})

    shown = await state_of(client, flow_run)
    assert (state.name, shown.name, shown.message) == ("TimedOut", "TimedOut", "it took too long")


async def test_a_flow_that_raises_has_failed_and_raises_nothing_here(client: PrefectClient) -> None:
    flow_run = await deployed(client, breaks)

    state = await engine.run(breaks, flow_run, {})

    assert state.type is StateType.FAILED
    assert "what it needs is not there" in str((await state_of(client, flow_run)).message)


async def test_a_flow_that_hears_of_cancelling_and_returns_cancelled_is_cancelled(client: PrefectClient) -> None:
    began, asked = asyncio.Event(), asyncio.Event()

    @flow(name="gives-up", persist_result=False)
    async def gives_up() -> State[None]:
        began.set()
        await asked.wait()
        return Cancelled(message="as asked")

    flow_run = await deployed(client, gives_up)
    running = asyncio.create_task(engine.run(gives_up, flow_run, {}))
    async with asyncio.timeout(SECONDS):
        await began.wait()
    await client.set_flow_run_state(flow_run.id, Cancelling())
    assert (await state_of(client, flow_run)).type is StateType.CANCELLING

    asked.set()
    state = await running

    shown = await state_of(client, flow_run)
    assert (state.type, shown.type, shown.message) == (StateType.CANCELLED, StateType.CANCELLED, "as asked")


Runner = Callable[[Flow[..., Any], FlowRun], Awaitable[object]]


async def threads_of_many(client: PrefectClient, runner: Runner) -> tuple[int, int]:
    """Return how many threads there are more with many flows that wait than with one, and how many watch."""
    began, go_on = asyncio.Semaphore(0), asyncio.Event()

    @flow(name="waits", persist_result=False)
    async def waits() -> None:
        began.release()
        await go_on.wait()

    runs = [await deployed(client, waits) for _ in range(MANY)]
    tasks, counts = [], []
    async with asyncio.timeout(SECONDS):
        for flow_run in runs:
            tasks.append(asyncio.ensure_future(runner(waits, flow_run)))
            await began.acquire()
            counts.append(threading.active_count())
        watching = sum("observer" in thread.name for thread in threading.enumerate())
        go_on.set()
        await asyncio.gather(*tasks)
    return counts[-1] - counts[0], watching


async def test_many_flows_wait_without_a_thread_for_each(client: PrefectClient) -> None:
    more, watching = await threads_of_many(client, lambda flow, flow_run: engine.run(flow, flow_run, {}))

    assert (more, watching) == (0, 0)


async def test_prefects_own_entry_would_start_one_for_each(client: PrefectClient) -> None:
    """Else there would be no need for ours, nor would the test above see anything."""
    more, watching = await threads_of_many(
        client, lambda flow, flow_run: run_flow_async(flow, flow_run=flow_run, parameters={})
    )

    assert more >= MANY - 1
    assert watching == MANY
