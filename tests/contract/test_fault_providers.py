"""What every fault provider must hold, for each of the ten fault types. Run on: the provider of local services."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness.environments import Environment, environment

from chaos.experiment_reading import PARAMETER_READERS
from chaos.fault_types import KILLS, Fault, FaultType
from chaos.provider import FaultId, FaultStatus
from chaos.targets import Target
from cluster.faults.local import LocalFaults, _state
from cluster.faults.marks import marked
from cluster.faults.provider import InjectError, Injection

PATIENCE = 60.0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A provider with a target in the world, and a way to ask the target something."""

    provider: LocalFaults
    world: Environment

    def fault(self, kind: FaultType, **change: Any) -> Fault:
        parameters = PARAMETER_READERS[kind].read({**PARAMETERS[kind], **change}).required()
        return Fault(type=kind, parameters=parameters, duration_seconds=60, name=kind.value)

    async def injection(self, name: str, fault: Fault, seconds: float = 60) -> Injection:
        target = await self.world.target()
        own = FaultId(f"{name}-{os.urandom(4).hex()}")  # faults are found by their id on the whole machine
        return Injection(id=own, fault=fault, target=target, expires_after=timedelta(seconds=seconds))

    async def asked(self) -> tuple[int | None, float]:
        """Ask the target. Return the status of its answer, None without one, and the seconds that it took."""
        began = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{self.world.port}/health")
        except httpx.TransportError:
            return None, time.monotonic() - began
        return answer.status_code, time.monotonic() - began


@pytest.fixture(scope="module")
async def bed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bed]:
    folder = tmp_path_factory.mktemp("chaos")
    async with environment(folder) as world:
        yield Bed(provider=LocalFaults(folder=folder / "faults", environments=folder), world=world)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  other processes, which send no event
            await asyncio.sleep(0.05)


async def injected(bed: Bed, name: str, kind: FaultType, **change: Any) -> FaultId:
    await bed.world.until_ready()
    injection = await bed.injection(name, bed.fault(kind, **change))
    await bed.provider.inject(injection)
    return injection.id


async def is_left_clean(bed: Bed, fault: FaultId) -> None:
    """Check that nothing of the fault is left and that the target answers again."""
    assert await bed.provider.verify(fault) == ()
    assert await bed.provider.status(fault) is FaultStatus.REVERTED
    await bed.world.until_ready()
    status, _ = await bed.asked()
    assert status == 200


@pytest.mark.parametrize("kind", FaultType)
async def test_a_fault_has_an_effect_and_leaves_nothing(bed: Bed, kind: FaultType) -> None:
    fault = await injected(bed, f"effect-{kind}", kind)

    async def has_effect() -> bool:
        await bed.asked()
        return (await bed.provider.effect(fault)).seen

    await until(has_effect)
    assert await bed.provider.status(fault) is FaultStatus.INJECTED
    await bed.provider.revert(fault)
    await is_left_clean(bed, fault)


@pytest.mark.parametrize("kind", sorted(KILLS))
async def test_a_kill_keeps_the_target_down_until_the_revert(bed: Bed, kind: FaultType) -> None:
    """The contract demands that it is down for at least 80% of the time; here it is down at every look."""
    fault = await injected(bed, f"down-{kind}", kind)
    await until(lambda: _is(bed, None))

    seen = [(await bed.asked())[0] for _ in range(20)]

    assert seen.count(None) >= 16
    await bed.provider.revert(fault)
    await is_left_clean(bed, fault)


async def _is(bed: Bed, status: int | None) -> bool:
    return (await bed.asked())[0] == status


async def test_a_kill_that_happens_once_lets_the_target_come_back(bed: Bed) -> None:
    before = (await bed.world.facts()).services["payments"].starts
    fault = await injected(bed, "once", FaultType.POD_KILL, once=True)

    async def is_back() -> bool:
        facts = (await bed.world.facts()).services["payments"]
        return facts.starts > before and facts.ready

    await until(is_back)
    assert (await bed.provider.effect(fault)).seen or await bed.provider.revert(fault) is None
    await bed.provider.revert(fault)
    await is_left_clean(bed, fault)


async def test_latency_delays_and_errors_are_those_that_were_asked_for(bed: Bed) -> None:
    slow = await injected(bed, "slow", FaultType.NETWORK_LATENCY)
    status, seconds = await bed.asked()
    await bed.provider.revert(slow)
    broken = await injected(bed, "broken", FaultType.EXCEPTION_INJECTION, pathPrefix="/health")
    wrong, _ = await bed.asked()
    await bed.provider.revert(broken)

    assert (status, wrong) == (200, 500)
    assert seconds >= 0.4


@pytest.mark.parametrize("kind", [FaultType.POD_KILL, FaultType.NETWORK_PARTITION, FaultType.CPU_STRESS])
async def test_a_fault_reverts_itself_when_it_expires(bed: Bed, kind: FaultType) -> None:
    await bed.world.until_ready()
    injection = await bed.injection(f"expires-{kind}", bed.fault(kind), seconds=2)
    await bed.provider.inject(injection)

    await until(lambda: _has_status(bed, injection.id, FaultStatus.REVERTED))

    await is_left_clean(bed, injection.id)


async def _has_status(bed: Bed, fault: FaultId, status: FaultStatus) -> bool:
    return await bed.provider.status(fault) is status


@pytest.mark.parametrize("kind", FaultType)
async def test_a_killed_guard_leaves_nothing(bed: Bed, kind: FaultType) -> None:
    fault = await injected(bed, f"killed-{kind}", kind)
    state = _state(bed.provider.folder / fault)
    assert state is not None

    os.kill(state.pid, signal.SIGKILL)

    async def nothing_is_left() -> bool:
        left = await bed.provider.verify(fault)
        return all("scratch" in one for one in left)  # a file stays until the revert, a fault does not

    await until(nothing_is_left)
    await bed.provider.revert(fault)
    await is_left_clean(bed, fault)


async def test_a_silent_worker_ends_its_fault(bed: Bed) -> None:
    await bed.world.until_ready()
    impatient = LocalFaults(folder=bed.provider.folder, environments=bed.provider.environments, heartbeat_seconds=1)
    injection = await bed.injection("silent", bed.fault(FaultType.NETWORK_LATENCY))
    await impatient.inject(injection)

    await until(lambda: _has_status(bed, injection.id, FaultStatus.REVERTED))

    state = _state(bed.provider.folder / injection.id)
    assert state is not None
    assert "heartbeat" in state.reason
    await is_left_clean(bed, injection.id)


async def test_a_beating_worker_keeps_its_fault(bed: Bed) -> None:
    await bed.world.until_ready()
    impatient = LocalFaults(folder=bed.provider.folder, environments=bed.provider.environments, heartbeat_seconds=3)
    injection = await bed.injection("beating", bed.fault(FaultType.NETWORK_LATENCY))
    await impatient.inject(injection)
    for _ in range(20):
        await impatient.beat(injection.id)
        await asyncio.sleep(0.2)

    assert await bed.provider.status(injection.id) is FaultStatus.INJECTED
    await bed.provider.revert(injection.id)
    await is_left_clean(bed, injection.id)


async def test_an_injection_that_is_repeated_injects_once(bed: Bed) -> None:
    await bed.world.until_ready()
    injection = await bed.injection("twice", bed.fault(FaultType.CPU_STRESS))
    await bed.provider.inject(injection)
    first = marked().get(injection.id, [])
    await bed.provider.inject(injection)

    assert sorted(first) == sorted(marked().get(injection.id, []))
    await bed.provider.revert(injection.id)
    with pytest.raises(InjectError):
        await bed.provider.inject(injection)
    await is_left_clean(bed, injection.id)


async def test_a_fault_that_was_taken_back_before_it_began_never_begins(bed: Bed) -> None:
    await bed.world.until_ready()
    injection = await bed.injection("void", bed.fault(FaultType.POD_KILL))
    await bed.provider.revert(injection.id)

    with pytest.raises(InjectError):
        await bed.provider.inject(injection)
    await is_left_clean(bed, injection.id)


async def test_an_unknown_fault_is_unknown(bed: Bed) -> None:
    assert await bed.provider.status(FaultId("nobody")) is FaultStatus.UNKNOWN


@pytest.mark.parametrize("service", ["sleeper", "payments", "nobody"])
async def test_only_the_process_that_was_resolved_is_a_target(bed: Bed, service: str) -> None:
    """The sleeper has not opted in, payments is another process by now, and nobody is no service."""
    target = Target(place="test", service=service, name=service, identity="another boot:1:1")
    injection = Injection(
        id=FaultId(f"refused-{service}"),
        fault=bed.fault(FaultType.POD_KILL),
        target=target,
        expires_after=timedelta(seconds=5),
    )

    with pytest.raises(InjectError):
        await bed.provider.inject(injection)
    assert await bed.provider.verify(injection.id) == ()


async def test_no_environment_no_fault(bed: Bed, tmp_path: Path) -> None:
    elsewhere = LocalFaults(folder=tmp_path / "faults", environments=tmp_path)
    injection = await bed.injection("nowhere", bed.fault(FaultType.POD_KILL))

    with pytest.raises(InjectError, match="assay services up"):
        await elsewhere.inject(injection)


@pytest.mark.parametrize("kind", [FaultType.CPU_STRESS, FaultType.NETWORK_LATENCY, FaultType.POD_KILL])
async def test_a_lost_supervisor_ends_the_fault(tmp_path: Path, kind: FaultType) -> None:
    """Its services end with it, so nothing may hold a fault on them."""
    async with environment(tmp_path) as world:
        own = Bed(provider=LocalFaults(folder=tmp_path / "faults", environments=tmp_path), world=world)
        fault = await injected(own, "lost", kind)
        world.supervisor.kill()
        await until(lambda: _has_status(own, fault, FaultStatus.REVERTED))

        assert marked().get(fault, []) == []
        assert await own.provider.verify(fault) == ()


async def test_a_guard_that_is_stopped_leaves_no_rule_after_its_time(tmp_path: Path) -> None:
    """The supervisor keeps the expiry too."""
    async with environment(tmp_path) as world:
        own = Bed(provider=LocalFaults(folder=tmp_path / "faults", environments=tmp_path), world=world)
        injection = await own.injection("stopped", own.fault(FaultType.NETWORK_PARTITION), seconds=3)
        await own.provider.inject(injection)
        state = _state(own.provider.folder / injection.id)
        assert state is not None
        os.kill(state.pid, signal.SIGSTOP)

        async def has_no_rule() -> bool:
            return (await world.facts()).services["payments"].rules == ()

        await until(has_no_rule)
        assert (await own.asked())[0] == 200
        os.kill(state.pid, signal.SIGKILL)
