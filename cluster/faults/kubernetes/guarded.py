"""What all providers of a cluster share: the fault is held by a guard Job, and is read from the guard's record."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from chaos.provider import FaultId, FaultStatus
from cluster.backend import UnavailableError
from cluster.faults.kubernetes.guard_jobs import GuardJobs, GuardState, Record
from cluster.faults.provider import Effect, InjectError, Injection
from cluster.kubernetes.connection import ApiError, Connection

START_SECONDS = 90.0
"""What the guard may take to inject: its image may have to be pulled."""
REVERT_SECONDS = 90.0
"""What a revert may take before what is left is looked at. The guard goes on."""
LOOK_SECONDS = 0.25
OVER = "reverted"
CLEAN_UP_SECONDS = 20.0
BEAT_SECONDS = 3.0
BEATS = ThreadPoolExecutor(8, thread_name_prefix="assay-beats")
"""Threads of their own: beats that hang must not keep the revert from its threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded(ABC):
    """The half of a provider that does not depend on what the fault is."""

    guards: GuardJobs
    start_seconds: float = START_SECONDS
    revert_seconds: float = REVERT_SECONDS
    beats: dict[FaultId, "asyncio.Future[None]"] = field(default_factory=dict, repr=False)
    """The last beat of each fault, which may hang."""

    @property
    def connection(self) -> Connection:
        """Return the connection to the cluster."""
        return self.guards.connection

    async def until_injected(self, injection: Injection) -> None:
        """Wait until the guard has injected; else take everything back. Raises: InjectError."""
        record = await self._until(injection.id, _is_begun, self.start_seconds)
        if record is not None and record.state.phase == "injected":
            return
        why = await self._why(injection.id, record)
        await self.revert(injection.id)
        raise InjectError(f"{injection.fault.name} was not injected into {injection.target.name}: {why}")

    async def _why(self, fault: FaultId, record: Record | None) -> str:
        if record is not None and record.state.phase:
            return record.state.error or record.state.reason or "the guard did not get ready"
        node = record.spec.get("node") if record else None
        trouble = await asyncio.to_thread(self.guards.trouble, fault, str(node) if node else None)
        return f"the guard did not start: {trouble}"

    async def beat(self, fault: FaultId) -> None:
        """Say that the worker is alive. A cluster that is away cannot hear it: then the guard reverts.

        It returns soon also if the API server hangs, and never sends a second beat of a fault beside the first.
        """
        running = self.beats.get(fault)
        if running is None or running.done():
            running = asyncio.get_running_loop().run_in_executor(BEATS, self._beat, fault)
            self.beats[fault] = running
        await asyncio.wait({running}, timeout=BEAT_SECONDS)

    def _beat(self, fault: FaultId) -> None:
        with suppress(ApiError, UnavailableError):
            self.guards.beat(fault)

    async def status(self, fault: FaultId) -> FaultStatus:
        """Return where the fault stands. A guard that could not take everything back leaves a residual."""
        record = await self._record(fault)
        if record is None:
            return FaultStatus.UNKNOWN
        if record.state.phase == OVER:
            left = record.state.left or await self.remains(fault, record)
            return FaultStatus.RESIDUAL if left else FaultStatus.REVERTED
        return FaultStatus(record.state.phase or "pending")

    async def remains(self, fault: FaultId, record: Record) -> tuple[str, ...]:
        """Return what is left that the guard does not look at. Raises: ApiError, UnavailableError."""
        del fault, record
        return ()

    @abstractmethod
    async def effect(self, fault: FaultId) -> Effect:
        """Return what the fault was seen to do until now, or until its end."""

    async def revert(self, fault: FaultId) -> None:
        """End the fault and wait until it is over. A guard that is gone is started again for that."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.revert_seconds
        record: Record | None = None
        while loop.time() < until:
            try:
                await asyncio.to_thread(self.guards.ask, fault)
                record = await asyncio.to_thread(self.guards.record, fault)
                if record is not None and record.state.phase == OVER:
                    break
                if record is not None:
                    await asyncio.to_thread(self.guards.ensure_guard, fault, record)
            except (ApiError, UnavailableError):
                await asyncio.sleep(LOOK_SECONDS)  # the cluster is away: the guard reverts when it is back
            record = await self._until(fault, lambda state: state.phase == OVER, 5.0)
        if record is not None and record.state.phase == OVER:
            await self._clean_up(fault, record)

    async def _clean_up(self, fault: FaultId, record: Record) -> None:
        """Remove the guard, and wait until it is gone. What is left of it is found by whoever verifies."""
        try:
            await asyncio.to_thread(self.guards.remove, fault, record)
            await self._until_ended(fault, record)
        except (ApiError, UnavailableError):
            return

    async def verify(self, fault: FaultId) -> tuple[str, ...]:
        """Return everything of the fault that is left, by the guard's last look and by a look at its own objects."""
        try:
            return await self._left(fault)
        except (ApiError, UnavailableError) as failed:
            return (f"it cannot be looked: {failed}",)

    async def _left(self, fault: FaultId) -> tuple[str, ...]:
        record = await self._record(fault)
        if record is None:
            return ()
        if record.state.phase == OVER:
            more = await self.remains(fault, record)
            return (*record.state.left, *more, *await self._until_ended(fault, record))
        left = await asyncio.to_thread(self.guards.left, fault, record)
        return ("the guard has not reverted it yet", *record.state.left, *left)

    async def _until_ended(self, fault: FaultId, record: Record) -> list[str]:
        """Return what still runs of a guard that has reverted: it ends right after."""
        loop = asyncio.get_running_loop()
        until = loop.time() + CLEAN_UP_SECONDS
        while True:
            left = await asyncio.to_thread(self.guards.left, fault, record)
            if not left or loop.time() >= until:
                return left
            await asyncio.sleep(LOOK_SECONDS)

    async def _record(self, fault: FaultId) -> Record | None:
        return await asyncio.to_thread(self.guards.record, fault)

    async def _until(self, fault: FaultId, over: Callable[[GuardState], bool], seconds: float) -> Record | None:
        """Return the record once its state is `over`, or whatever it is after so many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        record = await self._readable(self._record(fault))
        while (record is None or not over(record.state)) and loop.time() < until:
            await asyncio.sleep(LOOK_SECONDS)
            record = await self._readable(self._record(fault))
        return record

    async def _readable(self, reading: Awaitable[Record | None]) -> Record | None:
        try:
            return await reading
        except (ApiError, UnavailableError):
            return None


def _is_begun(state: GuardState) -> bool:
    return state.phase not in {"", "pending"}
