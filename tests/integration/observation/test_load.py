"""The open-loop load: its rate does not depend on the answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from chaos.hypothesis import Load
from cluster.addresses import AddressError
from cluster.observation.load import OpenLoad

LOOPBACK = frozenset({"127.0.0.1"})


def clock() -> datetime:
    return datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC)


@asynccontextmanager
async def target(answer: bytes | None) -> AsyncIterator[str]:
    """A server that gives one answer to all, or none to anybody."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def run_until(load: OpenLoad, number: int) -> None:
    """Run a load until it has asked so often, then end it."""
    running = asyncio.create_task(load.run())
    async with asyncio.timeout(60):
        while len(load.answers) + len(load._open) < number and not running.done():  # noqa: ASYNC110  no event
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def until_answered(load: OpenLoad, number: int) -> None:
    """Run a load until it has so many answers, then end it."""
    running = asyncio.create_task(load.run())
    async with asyncio.timeout(60):
        while len(load.answers) < number and not running.done():  # noqa: ASYNC110  no event
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def made(url: str, **change: float) -> OpenLoad:
    return OpenLoad(load=Load(url=url, **{"per_second": 100.0, **change}), clock=clock, allowed_hosts=LOOPBACK)


@pytest.mark.parametrize(("status", "good"), [(200, True), (302, True), (404, False), (503, False)])
async def test_a_status_below_400_is_good(status: int, *, good: bool) -> None:
    async with target(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()) as url:
        load = made(url)
        await until_answered(load, 10)

    assert {answer.good for answer in load.answers[:10]} == {good}


async def test_a_target_that_hangs_is_asked_as_often_and_all_of_it_is_bad() -> None:
    async with target(None) as url:
        load = made(url, timeout_seconds=30.0)
        await run_until(load, 50)

    assert len(load.answers) >= 50
    assert not any(answer.good for answer in load.answers)


async def test_a_late_answer_is_bad() -> None:
    async with target(None) as url:
        load = made(url, timeout_seconds=0.2, per_second=10.0)
        await until_answered(load, 5)

    late = [answer for answer in load.answers if answer.took.total_seconds() >= 0.2]
    assert late
    assert not any(answer.good for answer in late)


async def test_a_private_address_must_be_allowed() -> None:
    load = OpenLoad(load=Load(url="http://127.0.0.1:1/"), clock=clock)

    with pytest.raises(AddressError):
        await load.run()
