"""Heartbeats: how the supervisor finds out that a part hangs, although its process lives.

A server gives a heartbeat by answering a request, the worker by touching a file. The supervisor measures the age of a
heartbeat with its own monotonic clock. So a change of the system clock does not make a part look as if it hung.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.stack.identity import Identity
from cluster import heartbeats

INTERVAL = 2.0
"""Seconds between two looks at a part."""
ANSWER = 8.0
"""Seconds that a server has to answer. A slow server does not count as one that hangs."""
HANGS_AFTER = 10.0
"""Seconds without a heartbeat after which a part is shown as hanging."""
RESTART_AFTER = 30.0
"""Seconds without a heartbeat after which a part is killed and started again."""
STARTING, READY, HANGS, DOWN = "starting", "ready", "hangs", "down"
Beats = Callable[[int], bool]
"""Return whether the process with this number gave a heartbeat. The call may take `ANSWER` seconds."""


@dataclass(slots=True)
class Pulse:
    """The last heartbeat of a part, with the process that gave it. One thread writes it, another one reads it."""

    _last: tuple[Identity, float] | None = None

    def beat(self, of: Identity, now: float) -> None:
        """Note a heartbeat."""
        self._last = (of, now)

    def excuse(self, now: float) -> None:
        """Count from now on: the supervisor itself did not run for a while, and could see no heartbeat."""
        last = self._last
        if last is not None:
            self._last = (last[0], now)

    def silence(self, of: Identity | None, now: float) -> float | None:
        """Return the seconds since the last heartbeat of this process, None before its first one."""
        last = self._last
        return None if last is None or last[0] != of else max(0.0, now - last[1])


def judged(silence: float | None) -> str:
    """Return the state of a living process by the seconds since its last heartbeat."""
    if silence is None:
        return STARTING
    return HANGS if silence >= HANGS_AFTER else READY


def watch(beats: Beats, current: Callable[[], Identity | None], pulse: Pulse, stopping: threading.Event) -> None:
    """Check a part for heartbeats until the stack ends. It has its own thread, so that no other part waits for it."""

    def look() -> None:
        while not stopping.wait(INTERVAL):
            asked = current()
            if asked is not None and beats(asked.pid) and current() == asked:
                pulse.beat(asked, time.monotonic())

    threading.Thread(target=look, name="heartbeats", daemon=True).start()


def reply(address: str, patience: float = 2.0) -> bool | None:
    """Return whether a server reports that it is well, None if it does not answer within `patience` seconds."""
    try:
        return httpx.get(address, timeout=patience, trust_env=False).is_success
    except httpx.HTTPError:
        return None


def responding(address: str) -> Beats:
    """Return the check of a server: any answer at `address` is a heartbeat, also an error."""
    return lambda _pid: reply(address, ANSWER) is not None


def touching(file: Path) -> Beats:
    """Return the check of a process that touches `file`: a change since the last check is a heartbeat."""
    seen = heartbeats.read(file)

    def beats(pid: int) -> bool:
        nonlocal seen
        before, seen = seen, heartbeats.read(file)
        return seen is not None and seen.pid == pid and seen != before

    return beats
