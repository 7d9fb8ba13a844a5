"""The backend of this machine: each attempt is a process tree under a shim that outlives the worker.

Blocking work runs in threads. Waiting for an attempt takes one file descriptor and no thread.
"""

import asyncio
import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from cluster.backend import (
    AttemptId,
    CalledOffError,
    Fault,
    Launched,
    LaunchError,
    LaunchOrder,
    Spooled,
    UnavailableError,
    Usage,
)
from cluster.local import cleanup, commits, living, masking, processes
from cluster.local.guarded_command import LOOK_SECONDS, StoppedError
from cluster.local.machine import this_node
from cluster.local.preparation import Machine, Preparation
from model.content import GitContent
from model.ending import Consumption, Ending, How
from model.ids import BackendName
from model.ports import Contents
from scheduler.values.node import Node

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
ENDERS = 4
LAUNCHERS = 3
LONGEST_DETAIL = 1000
LOST = Ending(how=How.LOST, detail="its process was killed from outside, and nobody saw its end")


class LocalBackend:
    """Processes of this machine: the port `cluster.backend.Backend`.

    Ending and launching have threads of their own, since both may take long. Installing has one thread: a long
    installation holds up no launch but those that install, too.
    """

    def __init__(self, name: BackendName, machine: Machine, contents: Contents) -> None:
        self._name = name
        self._machine = machine
        self._contents = contents
        self._handles: dict[AttemptId, processes.Handle] = {}
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="assay-local")
        self._enders = ThreadPoolExecutor(ENDERS, thread_name_prefix="assay-end")
        self._launchers = ThreadPoolExecutor(LAUNCHERS, thread_name_prefix="assay-launch")
        self._builders = ThreadPoolExecutor(1, thread_name_prefix="assay-build")

    @property
    def name(self) -> BackendName:
        """The name under which the gate admits runs to it."""
        return self._name

    async def nodes(self) -> list[Node]:
        """Return this machine."""
        with _no_room():
            return [await _run(self._readers, this_node, self._machine.cpu_share, self._machine.state)]

    async def adopt(self, attempt: AttemptId, secrets: Collection[str]) -> Launched | None:
        """Return an attempt that was started before, by what stands in its run folder and by nothing else."""
        folder = self._folder(attempt)
        handle = await _run(self._readers, processes.adopt, folder)
        if handle is None:
            return None
        self._handles[attempt] = handle
        return await _run(self._readers, _launched, attempt, folder, secrets)

    async def launch(self, order: LaunchOrder) -> Launched:
        """Start the attempt, or find it started. Raises: LaunchError, CalledOffError."""
        try:
            return await self.adopt(order.attempt, order.secrets) or await self._launch(order)
        except StoppedError as stopped:
            raise CalledOffError("called off before it was started") from stopped
        except OSError as failed:
            raise LaunchError(Fault.INFRASTRUCTURE, f"this machine could not start it: {failed}") from failed

    async def wait(self, attempt: AttemptId, seconds: float | None = None) -> bool:
        """Wait for the end of the attempt, at most `seconds`; return whether it has ended."""
        handle = await self._handle(attempt)
        if handle is None:
            return True
        with _no_room():
            return await _has_ended(handle, seconds)

    async def stop(self, attempt: AttemptId) -> None:
        """Ask the attempt to end: SIGTERM, a grace period, SIGKILL."""
        handle = await self._handle(attempt)
        if handle is not None:
            with _no_room():
                await _run(self._readers, processes.stop, handle)

    async def end(self, attempt: AttemptId) -> None:
        """Leave nothing of the attempt alive, and nothing that could start it later. Raises: EndError."""
        with _no_room():
            await _run(self._enders, processes.end, self._folder(attempt), attempt.execution_id, attempt.number)

    async def ending(self, attempt: AttemptId) -> Ending | None:
        """Return how the attempt ended; None while it runs. Raises: EndError."""
        handle = await self._handle(attempt)
        return await _run(self._enders, _ending, handle, attempt, self._folder(attempt))

    async def usage(self, attempt: AttemptId) -> Usage | None:
        """Return what the attempt used at the last sample, at most two seconds ago."""
        return await _run(self._readers, processes.usage, self._folder(attempt))

    async def spool(self, attempt: AttemptId) -> Spooled:
        """Return the files of the run folder. There is nothing to bring: the attempt writes to this disk itself."""
        folder = self._folder(attempt)
        return Spooled(output=folder / "output.log", results=folder / "results")

    async def forget(self, attempt: AttemptId) -> None:
        """Remove all of the run folder but the shim's small records."""
        await _run(self._readers, cleanup.forget, self._folder(attempt))
        self._handles.pop(attempt, None)

    async def running(self) -> list[AttemptId]:
        """Return the attempts of which a process is alive, in order."""
        return await _run(self._readers, living.attempts, self._machine.runs)

    async def kept(self) -> list[AttemptId]:
        """Return the attempts whose run folder has more than the shim's small records, in order."""
        return await _run(self._readers, living.kept, self._machine.runs)

    def close(self) -> None:
        """Let go of the threads. The attempts run on."""
        for threads in (self._readers, self._enders, self._launchers, self._builders):
            threads.shutdown(wait=False, cancel_futures=True)

    def _folder(self, attempt: AttemptId) -> Path:
        return self._machine.runs / str(attempt.execution_id) / str(attempt.number)

    async def _handle(self, attempt: AttemptId) -> processes.Handle | None:
        """Return the process that was seen at the launch or the adoption: a test may write over our records."""
        return self._handles.get(attempt) or await _run(self._readers, processes.adopt, self._folder(attempt))

    async def _launch(self, order: LaunchOrder) -> Launched:
        folder = self._folder(order.attempt)
        preparation = Preparation(machine=self._machine, contents=self._contents, order=order, folder=folder)
        requirements = await _unless_called_off(order, self._launchers, preparation.fetch_content)
        ready = await _run(self._readers, preparation.environment_ready, requirements)
        await order.look_again()
        threads = self._launchers if ready else self._builders
        handle = await _unless_called_off(order, threads, partial(preparation.start, requirements))
        self._handles[order.attempt] = handle
        if not order.secrets and not isinstance(order.content, GitContent):
            return Launched(attempt=order.attempt)
        return await _run(self._readers, _launched, order.attempt, folder, order.secrets)


def _launched(attempt: AttemptId, folder: Path, secrets: Collection[str]) -> Launched:
    """Return what stands in a run folder about the start of its attempt."""
    return Launched(attempt=attempt, commit=commits.kept(folder), secrets=masking.kept(folder, secrets))


async def _run(threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in one of `threads`."""
    return await asyncio.get_running_loop().run_in_executor(threads, partial(work, *args, **kwargs))


async def _unless_called_off(order: LaunchOrder, threads: Executor, work: Callable[[], T]) -> T:
    """Run a blocking call that asks `called_off` by itself. If no thread has taken it up by then, it never runs.

    Raises: StoppedError.
    """
    waiting = threads.submit(work)
    done = asyncio.wrap_future(waiting)
    while not (await asyncio.wait({done}, timeout=LOOK_SECONDS))[0]:
        if order.called_off() and waiting.cancel():
            raise StoppedError
    return await done


async def _has_ended(handle: processes.Handle, seconds: float | None) -> bool:
    """Wait for the end of a shim by a descriptor of its process, which the loop watches."""
    try:
        descriptor = os.pidfd_open(handle.pid)
    except ProcessLookupError:
        return True
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(seconds):
            if processes.alive(handle):  # looked at after the descriptor was opened: it is this process or none
                await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return True


def _ending(handle: processes.Handle | None, attempt: AttemptId, folder: Path) -> Ending | None:
    if handle is not None and processes.alive(handle):
        return None
    record = processes.exit_record(folder)
    ending = None if record is None else _told(record)
    if ending is None:  # the shim was killed: what it left running has to go before anything is tried again
        processes.sweep(attempt.execution_id, attempt.number, folder)
    return ending or LOST


def _told(record: processes.ExitRecord) -> Ending | None:
    """Return what the shim wrote down, None if no shim wrote it: a test that killed its shim may have."""
    try:
        used = Consumption(
            started_at=datetime.fromtimestamp(record.started_at, UTC),
            ended_at=datetime.fromtimestamp(record.ended_at, UTC),
            cpu_seconds=record.cpu_seconds,
            peak_cpu_milli=record.peak_cpu_milli,
            peak_memory_bytes=record.peak_memory_bytes,
        )
        return Ending(
            how=How(record.reason),
            exit_code=record.exit_code,
            signal=record.signal,
            detail=record.detail[:LONGEST_DETAIL],
            used=used,
        )
    except (ValueError, OverflowError, OSError):
        return None


@contextmanager
def _no_room() -> Iterator[None]:
    """Turn an error of the machine, such as a full disk, into the port's word for it."""
    try:
        yield
    except OSError as failed:
        raise UnavailableError(f"this machine has no room: {failed}") from failed
