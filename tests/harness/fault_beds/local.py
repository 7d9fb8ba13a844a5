"""The shop's payments behind a real supervisor on this machine."""

import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from chaos.fault_types import FaultType
from chaos.provider import FaultId
from chaos.targets import Target
from cluster.faults.local import GuardState, LocalFaults, _state
from cluster.faults.marks import marked
from harness.environments import Environment, environment

MARKS = ()


class Bed:
    """An environment of local services."""

    watch_seconds = 1.0
    unreal = ""

    def __init__(self, folder: Path, world: Environment) -> None:
        self.folder = folder
        self.world = world

    def provider(self, patience: float = 15.0) -> LocalFaults:
        return LocalFaults(folder=self.folder / "faults", environments=self.folder, heartbeat_seconds=patience)

    def more(self, _kind: FaultType) -> dict[str, Any]:
        return {}

    def in_short(self, _kind: FaultType) -> bool:
        return True

    def refuses(self, _kind: FaultType) -> bool:
        return False

    async def target(self) -> Target:
        return await self.world.target()

    async def until_ready(self) -> None:
        await self.world.until_ready()

    async def asked(self) -> tuple[int | None, float]:
        began = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{self.world.port}/health")
        except httpx.TransportError:
            return None, time.monotonic() - began
        return answer.status_code, time.monotonic() - began

    def forbidden(self) -> Sequence[Target]:
        """Return the sleeper, which has not opted in, payments as another process, and a service that is none."""
        names = ("sleeper", "payments", "nobody")
        return [Target(place="test", service=name, name=name, identity="another boot:1:1") for name in names]

    async def kill_guard(self, fault: FaultId) -> None:
        os.kill(self.state(fault).pid, signal.SIGKILL)

    async def held_by(self, fault: FaultId) -> Sequence[str]:
        return sorted(map(str, marked().get(fault, [])))

    async def reason(self, fault: FaultId) -> str:
        return self.state(fault).reason

    def state(self, fault: FaultId) -> GuardState:
        state = _state(self.folder / "faults" / fault)
        assert state is not None
        return state


@asynccontextmanager
async def fault_bed(folder: Path) -> AsyncIterator[Bed]:
    """Run the environment in a folder whose path is too long for a socket, as a checkout deep in a CI's folders is."""
    deep = folder.joinpath(*["a folder of a continuous integration"] * 3)
    deep.mkdir(parents=True)
    async with environment(deep) as world:
        yield Bed(deep, world)
