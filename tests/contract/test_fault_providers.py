"""What every fault provider must hold, for each fault that is real with it. Run on: `tests/harness/fault_beds`."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness.environments import environment
from harness.fault_beds import FaultBed, MakeBed, fault_beds, fault_of, injection
from harness.fault_beds.local import Bed as LocalBed
from harness.fault_beds.local import fault_bed as local_bed

from chaos.fault_types import KILLS, Fault, FaultType
from chaos.provider import FaultId, FaultStatus
from cluster.faults.local import LocalFaults
from cluster.faults.marks import marked
from cluster.faults.provider import FaultProvider, InjectError

PATIENCE = 60.0


@pytest.fixture(scope="module", params=fault_beds())
async def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultBed]:
    """Each provider in turn."""
    make: MakeBed = request.param
    async with make(tmp_path_factory.mktemp("chaos")) as world:
        yield world


def real(bed: FaultBed, kind: FaultType, **change: Any) -> Fault:
    """Return a fault as it is real with this provider."""
    return fault_of(kind, **{**bed.more(kind), **change})


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  other processes, which send no event
            await asyncio.sleep(0.05)


async def injected(bed: FaultBed, name: str, kind: FaultType, **change: Any) -> FaultId:
    """Inject a fault; skip the test where it is refused, after the refusal was seen."""
    await bed.until_ready()
    wanted = await injection(bed, name, real(bed, kind, **change))
    if bed.refuses(kind):
        with pytest.raises(InjectError, match=r"cannot inject|needs a network"):
            await bed.provider().inject(wanted)
        assert await bed.provider().verify(wanted.id) == ()
        pytest.skip(f"{kind} is refused here, and leaves nothing")
    await bed.provider().inject(wanted)
    return wanted.id


async def is_left_clean(bed: FaultBed, fault: FaultId) -> None:
    """Check that nothing of the fault is left and that the target answers again."""
    assert await bed.provider().verify(fault) == ()
    assert await bed.provider().status(fault) is FaultStatus.REVERTED
    await bed.until_ready()
    await until(lambda: _is(bed, 200))


@pytest.mark.parametrize("kind", FaultType)
async def test_a_fault_has_an_effect_and_leaves_nothing(bed: FaultBed, kind: FaultType) -> None:
    """And a kill keeps the target down for at least 80% of the time."""
    fault = await injected(bed, f"effect-{kind}", kind)

    async def has_effect() -> bool:
        await bed.asked()
        return (await bed.provider().effect(fault)).seen

    await until(has_effect)
    assert await bed.provider().status(fault) is FaultStatus.INJECTED
    if kind in KILLS and not bed.unreal:
        await until(lambda: _is(bed, None))
        seen = await watched(bed)
        assert seen.count(None) >= 0.8 * len(seen)
    await bed.provider().revert(fault)
    await is_left_clean(bed, fault)
    if kind in KILLS and bed.unreal:
        pytest.skip(f"all else holds, but that the target is down was not seen: {bed.unreal}")


async def watched(bed: FaultBed) -> list[int | None]:
    """Return what the target answers for a while."""
    seen, until_then = [], time.monotonic() + bed.watch_seconds
    while time.monotonic() < until_then:
        seen.append((await bed.asked())[0])
        await asyncio.sleep(0.05)
    return seen


async def _is(bed: FaultBed, status: int | None) -> bool:
    return (await bed.asked())[0] == status


async def test_a_kill_that_happens_once_lets_the_target_come_back(bed: FaultBed) -> None:
    if bed.unreal:
        pytest.skip(bed.unreal)
    await bed.until_ready()
    before = await bed.target()
    fault = await injected(bed, "once", FaultType.POD_KILL, once=True)
    await until(lambda: _is(bed, 200))
    after = await bed.target()

    assert after.identity != before.identity
    assert (await bed.provider().effect(fault)).seen
    await bed.provider().revert(fault)
    await is_left_clean(bed, fault)


@pytest.mark.parametrize("kind", [FaultType.POD_KILL, FaultType.NETWORK_PARTITION, FaultType.CPU_STRESS])
async def test_a_fault_reverts_itself_when_it_expires(bed: FaultBed, kind: FaultType) -> None:
    await bed.until_ready()
    if bed.refuses(kind):
        pytest.skip(f"{kind} is refused here")
    wanted = await injection(bed, f"expires-{kind}", real(bed, kind), seconds=2)
    await bed.provider().inject(wanted)

    await until(lambda: _has_status(bed, wanted.id, FaultStatus.REVERTED))

    assert await bed.reason(wanted.id) == "expired"
    await is_left_clean(bed, wanted.id)


async def _has_status(bed: FaultBed, fault: FaultId, status: FaultStatus) -> bool:
    return await bed.provider().status(fault) is status


@pytest.mark.parametrize("kind", FaultType)
async def test_a_killed_guard_leaves_nothing(bed: FaultBed, kind: FaultType) -> None:
    if not bed.in_short(kind):
        pytest.skip("`make sweep` kills the guard of every fault in a cluster")
    fault = await injected(bed, f"killed-{kind}", kind)

    await bed.kill_guard(fault)

    async def nothing_is_left() -> bool:
        left = await bed.provider().verify(fault)
        return all("scratch" in one for one in left)  # a file stays until the revert, a fault does not

    await until(nothing_is_left)
    await bed.provider().revert(fault)
    await is_left_clean(bed, fault)


@pytest.fixture
def gentle(bed: FaultBed) -> FaultType:
    """A fault that disturbs little and is real with every provider."""
    return FaultType.NETWORK_LATENCY if not bed.refuses(FaultType.NETWORK_LATENCY) else FaultType.CPU_STRESS


async def test_a_silent_worker_ends_its_fault(bed: FaultBed, gentle: FaultType) -> None:
    await bed.until_ready()
    wanted = await injection(bed, "silent", real(bed, gentle))
    await bed.provider(patience=1).inject(wanted)

    await until(lambda: _has_status(bed, wanted.id, FaultStatus.REVERTED))

    assert "heartbeat" in await bed.reason(wanted.id)
    await is_left_clean(bed, wanted.id)


async def test_a_beating_worker_keeps_its_fault(bed: FaultBed, gentle: FaultType) -> None:
    await bed.until_ready()
    wanted, impatient = await injection(bed, "beating", real(bed, gentle)), bed.provider(patience=3)
    await impatient.inject(wanted)
    for _ in range(20):
        await impatient.beat(wanted.id)
        await asyncio.sleep(0.2)

    assert await bed.provider().status(wanted.id) is FaultStatus.INJECTED
    await bed.provider().revert(wanted.id)
    await is_left_clean(bed, wanted.id)


async def test_an_injection_that_is_repeated_injects_once(bed: FaultBed) -> None:
    await bed.until_ready()
    wanted = await injection(bed, "twice", real(bed, FaultType.CPU_STRESS))
    await bed.provider().inject(wanted)
    first = await bed.held_by(wanted.id)
    await bed.provider().inject(wanted)

    assert first == await bed.held_by(wanted.id)
    await bed.provider().revert(wanted.id)
    with pytest.raises(InjectError):
        await bed.provider().inject(wanted)
    await is_left_clean(bed, wanted.id)


async def test_a_fault_that_was_taken_back_before_it_began_never_begins(bed: FaultBed) -> None:
    await bed.until_ready()
    wanted = await injection(bed, "void", real(bed, FaultType.POD_KILL))
    await bed.provider().revert(wanted.id)

    with pytest.raises(InjectError):
        await bed.provider().inject(wanted)
    await is_left_clean(bed, wanted.id)


async def test_an_unknown_fault_is_unknown(bed: FaultBed) -> None:
    assert await bed.provider().status(FaultId("nobody")) is FaultStatus.UNKNOWN
    assert await bed.provider().verify(FaultId("nobody")) == ()


async def test_only_what_was_resolved_and_has_opted_in_is_a_target(bed: FaultBed) -> None:
    await bed.until_ready()
    wanted = await injection(bed, "refused", real(bed, FaultType.POD_KILL))
    for number, target in enumerate(bed.forbidden()):
        one = replace(wanted, id=FaultId(f"{wanted.id}-{number}"), target=target)
        with pytest.raises(InjectError):
            await bed.provider().inject(one)
        assert await bed.provider().verify(one.id) == ()
    assert (await bed.asked())[0] == 200


# What follows is about the guard and the supervisor of local services.


@pytest.fixture(scope="module")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalBed]:
    async with local_bed(tmp_path_factory.mktemp("chaos")) as world:
        yield world


async def test_latency_delays_and_errors_are_those_that_were_asked_for(local: LocalBed) -> None:
    slow = await injected(local, "slow", FaultType.NETWORK_LATENCY)
    status, seconds = await local.asked()
    await local.provider().revert(slow)
    broken = await injected(local, "broken", FaultType.EXCEPTION_INJECTION, pathPrefix="/health")
    wrong, _ = await local.asked()
    await local.provider().revert(broken)

    assert (status, wrong) == (200, 500)
    assert seconds >= 0.4


async def test_no_environment_no_fault(local: LocalBed, tmp_path: Path) -> None:
    elsewhere: FaultProvider = LocalFaults(folder=tmp_path / "faults", environments=tmp_path)
    wanted = await injection(local, "nowhere", fault_of(FaultType.POD_KILL))

    with pytest.raises(InjectError, match="assay services up"):
        await elsewhere.inject(wanted)


async def test_a_folder_that_is_not_there_is_told_and_nothing_is_left(local: LocalBed, tmp_path: Path) -> None:
    """Otherwise nothing is written, and the experiment only says that no effect was seen."""
    missing = tmp_path / "missing"
    wanted = await injection(local, "missing", fault_of(FaultType.DISK_IO_STRESS, path=str(missing)))

    with pytest.raises(InjectError, match="missing is not there, or may not be written into"):
        await local.provider().inject(wanted)
    assert await local.provider().verify(wanted.id) == ()


@pytest.mark.parametrize("kind", [FaultType.CPU_STRESS, FaultType.NETWORK_LATENCY, FaultType.POD_KILL])
async def test_a_lost_supervisor_ends_the_fault(tmp_path: Path, kind: FaultType) -> None:
    """Its services end with it, so nothing may hold a fault on them."""
    async with environment(tmp_path) as world:
        own = LocalBed(tmp_path, world)
        fault = await injected(own, "lost", kind)
        world.supervisor.kill()
        await until(lambda: _has_status(own, fault, FaultStatus.REVERTED))

        assert marked().get(fault, []) == []
        assert await own.provider().verify(fault) == ()


async def test_a_guard_that_is_stopped_leaves_no_rule_after_its_time(tmp_path: Path) -> None:
    """The supervisor keeps the expiry too."""
    async with environment(tmp_path) as world:
        own = LocalBed(tmp_path, world)
        wanted = await injection(own, "stopped", fault_of(FaultType.NETWORK_PARTITION), seconds=3)
        await own.provider().inject(wanted)
        guard = own.state(wanted.id).pid
        os.kill(guard, signal.SIGSTOP)

        async def has_no_rule() -> bool:
            return (await world.facts()).services["payments"].rules == ()

        await until(has_no_rule)
        assert (await own.asked())[0] == 200
        os.kill(guard, signal.SIGKILL)
