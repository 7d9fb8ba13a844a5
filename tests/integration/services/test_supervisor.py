"""The supervisor of local services: restarts, its socket, and its end."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from harness.environments import PATIENCE, Environment, environment

from chaos.provider import ProxyRule
from cluster.local import proc
from cluster.services.client import NoEnvironmentError, ask, look
from cluster.services.control import REQUEST, Request
from cluster.services.processes import Hold
from cluster.services.supervisor import SOCKET

RULE = ProxyRule(error_percent=100)
HOLD = Hold(grace_seconds=0, once=True, whole_tree=True)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Environment]:
    async with environment(tmp_path) as running:
        yield running


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  other processes, which send no event
            await asyncio.sleep(0.05)


async def answers(world: Environment) -> int | None:
    try:
        async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{world.port}/health")).status_code
    except httpx.TransportError:
        return None


def lives(pid: int) -> bool:
    stat = proc.stat_of(pid)
    return stat is not None and stat.state != "Z"


async def test_a_service_that_is_killed_comes_back(world: Environment) -> None:
    before = (await world.facts()).services["payments"]
    os.kill(before.processes[0][0], signal.SIGKILL)

    async def is_back() -> bool:
        now = (await world.facts()).services["payments"]
        return now.starts > before.starts and now.ready

    await until(is_back)
    assert await answers(world) == 200


async def test_a_killed_supervisor_leaves_no_service(world: Environment) -> None:
    pids = [pid for service in (await world.facts()).services.values() for pid, _ in service.processes]
    world.supervisor.kill()

    async def none_lives() -> bool:
        return not any(map(lives, pids))

    await until(none_lives)
    with pytest.raises(NoEnvironmentError):
        await look(world.folder)


async def test_what_a_connection_asked_for_ends_with_it(world: Environment) -> None:
    await ask(world.folder, Request(ask="rule", service="payments", fault="f", seconds=60, rule=RULE))

    async def is_over() -> bool:
        return (await world.facts()).services["payments"].rules == ()

    await until(is_over)
    assert await answers(world) == 200


async def test_a_lease_ends_while_the_connection_lives(world: Environment) -> None:
    request = Request(ask="rule", service="payments", fault="f", seconds=1, rule=RULE)
    reader, writer = await asyncio.open_unix_connection(world.folder / SOCKET)
    writer.write(REQUEST.dump_json(request) + b"\n")
    assert b'"rules": ["f"]' in await reader.readline()

    async def is_over() -> bool:
        return (await world.facts()).services["payments"].rules == ()

    await until(is_over)
    writer.close()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(ask="rule", service="sleeper", fault="f", seconds=9, rule=RULE), "not for experiments"),
        (
            Request(
                ask="hold",
                service="nobody",
                fault="f",
                seconds=9,
                hold=Hold(grace_seconds=0, once=True, whole_tree=True),
            ),
            "no service",
        ),
        (Request(ask="rule", service="payments", fault="f", rule=RULE), "an expiry"),
        (Request(ask="rule", service="payments", seconds=9, rule=RULE), "an id"),
        (Request(ask="dance"), "nothing known"),
    ],
)
async def test_what_may_not_be_is_refused(world: Environment, request_: Request, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        await ask(world.folder, request_)


async def test_the_socket_is_only_for_its_user(world: Environment) -> None:
    assert (world.folder / "control.sock").stat().st_mode & 0o777 == 0o600


async def test_it_ends_when_it_is_asked_to(world: Environment) -> None:
    await ask(world.folder, Request(ask="stop"))

    assert await asyncio.to_thread(world.supervisor.wait, PATIENCE) == 0


async def test_a_partition_ends_at_once_when_it_is_taken_back(world: Environment) -> None:
    reader, writer = await asyncio.open_unix_connection(world.folder / SOCKET)
    cut = Request(ask="rule", service="payments", fault="f", seconds=60, rule=ProxyRule(partition=True))
    writer.write(REQUEST.dump_json(cut) + b"\n")
    await reader.readline()
    waiting = asyncio.create_task(answers(world))
    await asyncio.sleep(0.5)
    held = not waiting.done()
    began = time.monotonic()
    writer.close()

    assert held
    assert await waiting == 200
    assert time.monotonic() >= began
