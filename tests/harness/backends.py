"""Backends under test: each with what a test needs to know from outside of the port, and orders to launch on it."""

import asyncio
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

import harness.beds
from cluster.backend import AttemptId, Backend, Launched, LaunchOrder
from model.command import Command, Where
from model.content import InlineContent
from model.ending import Ending
from model.ids import ExecutionId, NodeName
from model.ports import Contents

SECRET = "the-value-of-the-secret"
SHELL = Command(argv=("sh", "run.sh"), folder=Where.ENTRY)
FOREVER = "echo up; sleep 600"
PATIENCE = 60.0


class Bed(Protocol):
    """One backend with a folder of its own."""

    contents: Contents

    def open(self) -> Backend:
        """Return the backend; called again it is another worker's view of the same one."""
        ...

    def node(self) -> NodeName:
        """Return a node that takes attempts."""
        ...

    def living(self, attempt: AttemptId) -> bool:
        """Return whether anything of an attempt is alive, as seen from outside."""
        ...

    def kill_supervisor(self, attempt: AttemptId) -> None:
        """Kill what watches over the attempt and would report its end."""
        ...

    def take_place(self, attempt: AttemptId) -> None:
        """Have the node end the attempt for reasons of its own. Skip the test where nothing but a person does that."""
        ...

    def holds(self, text: str) -> bool:
        """Return whether any file or object that the backend keeps holds `text`."""
        ...

    def close(self) -> None:
        """End what is left, and close all that was opened."""
        ...


def beds() -> Iterator[tuple[str, Callable[[Path], Bed], Sequence[pytest.MarkDecorator]]]:
    """Yield name, bed and marks of each backend: the modules of `harness.beds`, so none is registered here."""
    for name in sorted(module.name for module in pkgutil.iter_modules(harness.beds.__path__)):
        module = importlib.import_module(f"harness.beds.{name}")
        yield name, module.Bed, getattr(module, "MARKS", ())


def order(bed: Bed, script: str, **more: Any) -> LaunchOrder:
    """Return the order to run a shell script as the first attempt of a new execution."""
    given = {"content": InlineContent(files={"run.sh": script}), "command": SHELL} | more
    attempt = AttemptId(execution_id=ExecutionId(uuid4()), number=1)
    return LaunchOrder(attempt=attempt, node=bed.node(), **given)


async def ended(backend: Backend, attempt: AttemptId) -> Ending:
    assert await backend.wait(attempt, PATIENCE)
    ending = await backend.ending(attempt)
    assert ending is not None
    return ending


async def run(backend: Backend, wanted: LaunchOrder) -> Ending:
    await backend.launch(wanted)
    return await ended(backend, wanted.attempt)


async def printed(backend: Backend, attempt: AttemptId) -> str:
    output = (await backend.spool(attempt)).output
    return output.read_text() if output.exists() else ""


async def until_printed(backend: Backend, attempt: AttemptId, text: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while text not in await printed(backend, attempt):
            assert not await backend.wait(attempt, 0.02), await printed(backend, attempt)


async def up(backend: Backend, wanted: LaunchOrder) -> Launched:
    """Launch it, and wait until its script has printed that it is up."""
    launched = await backend.launch(wanted)
    await until_printed(backend, wanted.attempt, "up\n")
    return launched
