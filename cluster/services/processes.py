"""One supervised service: its process, its health, and whether a fault holds it down.

The service runs under `cluster.local.subprocess_guard`, which ends all that it started when the supervisor is gone.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.local import proc
from cluster.local.guarded_command import GUARD, ROOT
from cluster.services.file import PORT, Restart, Service

FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0
QUIET_SECONDS = 10.0
"""A service that ran for so long is started again without a delay."""
LOOK_SECONDS = 0.05
OK_BELOW = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A fault keeps the service down: it is ended, and again when it is back, or one time if `once`."""

    grace_seconds: float
    once: bool
    whole_tree: bool


@dataclass(slots=True, kw_only=True)
class Process:
    """A service and its current process. `inner_port` is the port that it must listen on itself."""

    service: Service
    folder: Path
    log: Path
    inner_port: int | None = None
    holds: dict[str, Hold] = field(default_factory=dict)
    starts: int = 0
    kills: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    down_since: float | None = None
    down_seconds: float = 0.0
    _guard: asyncio.subprocess.Process | None = None
    _may_run: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._may_run.set()

    @property
    def pids(self) -> list[int]:
        """Return the pids of the service, its main process first; none while it is down."""
        if self._guard is None or self._guard.returncode is not None:
            return []
        return proc.descendants(self._guard.pid)

    def identities(self) -> list[tuple[int, int]]:
        """Return pid and start time of each process of the service."""
        return [(pid, stat.start_time) for pid in self.pids if (stat := proc.stat_of(pid)) and stat.state != "Z"]

    async def keep_alive(self) -> None:
        """Start the service, and again when it ends, until this is cancelled. While it is held down it is not."""
        loop, delay = asyncio.get_running_loop(), FIRST_DELAY
        try:
            while True:
                await self._may_run.wait()
                began = loop.time()
                await self._run_once()
                self._went_down(loop.time())
                if self.service.restart is Restart.NEVER and not self.kills:
                    return
                delay = FIRST_DELAY if loop.time() - began > QUIET_SECONDS else min(LONGEST_DELAY, delay * 2)
                if not self.holds:
                    await asyncio.sleep(delay)
        finally:
            await self._end()

    async def _run_once(self) -> None:
        with self.log.open("ab") as log:
            self._guard = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", "-c", GUARD, str(ROOT), *self._words()),
                cwd=self.folder / (self.service.cwd or "."),
                env=self._environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        if not self._may_run.is_set():  # it came while the process was being started
            self._guard.terminate()
        health = asyncio.create_task(self._become_ready())
        try:
            await self._guard.wait()
        finally:
            health.cancel()
            self.ready.clear()

    async def _become_ready(self) -> None:
        loop = asyncio.get_running_loop()
        while not await self.is_healthy():  # noqa: ASYNC110  another process, which sends no event
            await asyncio.sleep(LOOK_SECONDS)
        self.ready.set()
        if self.down_since is not None:
            self.down_seconds += loop.time() - self.down_since
            self.down_since = None

    def _went_down(self, now: float) -> None:
        if self.down_since is None:
            self.down_since = now

    async def is_healthy(self) -> bool:
        """Say whether the service answers at its own port, past the proxy."""
        if self.inner_port is None:
            return bool(self.pids)
        try:
            async with asyncio.timeout(self.service.health.timeout_seconds):
                return await self._answers(self.inner_port)
        except (OSError, TimeoutError, ValueError):
            return False

    async def _answers(self, port: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            if self.service.health.path is None:
                return True
            request = f"GET {self.service.health.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            status = (await reader.readline()).split()
            return len(status) > 1 and int(status[1]) < OK_BELOW
        finally:
            writer.close()

    def _words(self) -> list[str]:
        return [word.replace(PORT, str(self.inner_port)) for word in self.service.command]

    def _environment(self) -> Mapping[str, str]:
        own = {name: value.replace(PORT, str(self.inner_port)) for name, value in self.service.env.items()}
        return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **own}

    async def hold(self, fault: str, hold: Hold) -> None:
        """End the service because of a fault. It is started again when the hold is released, or at once if `once`."""
        if fault in self.holds:
            return
        self.holds[fault] = hold
        self._allow()
        await self.end_now(hold)

    async def end_now(self, hold: Hold) -> None:
        """End the processes of the service: TERM and KILL after the grace period, or KILL at once."""
        doomed = self.identities()
        if not doomed:
            return
        self.kills += 1
        chosen = doomed if hold.whole_tree else doomed[:1]
        if hold.grace_seconds > 0:
            _send(signal.SIGTERM, chosen)
            await _gone(chosen, hold.grace_seconds)
        _send(signal.SIGKILL, chosen)

    def release(self, fault: str) -> None:
        """Take a hold back. The service is started again."""
        self.holds.pop(fault, None)
        self._allow()

    def _allow(self) -> None:
        if all(hold.once for hold in self.holds.values()):
            self._may_run.set()
        else:
            self._may_run.clear()

    def resume(self) -> None:
        """Continue every process of the service that is stopped."""
        _send(signal.SIGCONT, self.identities())

    async def _end(self) -> None:
        guard = self._guard
        if guard is None or guard.returncode is not None:
            return
        self.resume()
        guard.terminate()
        await guard.wait()


def _send(number: int, identities: list[tuple[int, int]]) -> None:
    """Signal exactly these processes: the start time tells each from a later one with its pid."""
    for pid, start_time in identities:
        stat = proc.stat_of(pid)
        if stat and stat.start_time == start_time:
            proc.send(number, [pid])


async def _gone(identities: list[tuple[int, int]], seconds: float) -> None:
    """Wait until none of these processes lives, or the time is over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until and any(_lives(*one) for one in identities):  # noqa: ASYNC110  other processes
        await asyncio.sleep(LOOK_SECONDS)


def _lives(pid: int, start_time: int) -> bool:
    stat = proc.stat_of(pid)
    return stat is not None and stat.start_time == start_time and stat.state != "Z"
