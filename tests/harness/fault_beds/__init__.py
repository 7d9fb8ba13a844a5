"""Fault providers under test, each with a target in its world: what a test needs to know from outside of the port."""

import os
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import pytest

from chaos.experiment_reading import PARAMETER_READERS
from chaos.fault_types import Fault, FaultType
from chaos.provider import FaultId
from chaos.targets import Target
from cluster.faults.provider import FaultProvider, Injection

PARAMETERS: dict[FaultType, dict[str, Any]] = {
    FaultType.POD_DELETE: {"gracePeriodSeconds": 2},
    FaultType.POD_KILL: {},
    FaultType.CONTAINER_KILL: {},
    FaultType.NETWORK_LATENCY: {"latencyMs": 400},
    FaultType.NETWORK_PARTITION: {},
    FaultType.NETWORK_PACKET_LOSS: {"percent": 100},
    FaultType.CPU_STRESS: {"loadPercent": 80},
    FaultType.MEMORY_STRESS: {"megabytes": 16},
    FaultType.DISK_IO_STRESS: {"megabytes": 1},
    FaultType.EXCEPTION_INJECTION: {"status": 500},
}


class FaultBed(Protocol):
    """A provider with a target in its world. `patience` is the longest heartbeat gap that its guards bear."""

    watch_seconds: float
    """How long a target that is held down is watched."""

    unreal: str
    """Why no effect on the target is asked for; empty where there must be one."""

    def in_short(self, kind: FaultType) -> bool:
        """Say whether a killed guard of this fault is tried in each run of the tests, and not in `make sweep` alone."""
        ...

    def more(self, kind: FaultType) -> dict[str, Any]:
        """Return the parameters without which this fault is not real here."""
        ...

    def provider(self, patience: float = 15.0) -> FaultProvider:
        """Return the provider; called again it is another worker's."""
        ...

    def refuses(self, kind: FaultType) -> bool:
        """Say whether this fault is not real here."""
        ...

    async def target(self) -> Target:
        """Return the target as it is resolved now."""
        ...

    async def until_ready(self) -> None:
        """Wait until the target answers, and is as new."""
        ...

    async def asked(self) -> tuple[int | None, float]:
        """Ask the target. Return the status of its answer, None without one, and the seconds that it took."""
        ...

    def forbidden(self) -> Sequence[Target]:
        """Return targets that no fault may be injected into."""
        ...

    async def kill_guard(self, fault: FaultId) -> None:
        """Kill what holds the fault, as a lost node would."""
        ...

    async def held_by(self, fault: FaultId) -> Sequence[str]:
        """Return what holds the fault now: it must never be two."""
        ...

    async def reason(self, fault: FaultId) -> str:
        """Return why the fault was reverted, as its guard says."""
        ...


def fault_of(kind: FaultType, **change: Any) -> Fault:
    """Return a fault with some of its parameters changed; None leaves one out."""
    given = {key: value for key, value in {**PARAMETERS[kind], **change}.items() if value is not None}
    parameters = PARAMETER_READERS[kind].read(given).required()
    return Fault(type=kind, parameters=parameters, duration_seconds=60, name=kind.value)


async def injection(bed: FaultBed, name: str, fault: Fault, seconds: float = 60) -> Injection:
    own = FaultId(f"{name}-{os.urandom(4).hex()}")  # faults are found by their id on the whole machine
    return Injection(id=own, fault=fault, target=await bed.target(), expires_after=timedelta(seconds=seconds))


MakeBed = Callable[[Path], AbstractAsyncContextManager[FaultBed]]


def fault_beds() -> Iterator[Any]:
    """Yield what makes each bed, as parameters of a fixture."""
    for module in pkgutil.iter_modules(__path__):
        bed = import_module(f"{__name__}.{module.name}")
        yield pytest.param(bed.fault_bed, id=module.name, marks=bed.MARKS)
