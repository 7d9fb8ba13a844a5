"""The supervisor's judgement of a part by its heartbeats: who is silent hangs, and who is silent for long is killed.

A server shows that it works by an answer, the worker by touching a file. The age of a heartbeat is measured by the
clock of the supervisor, from the moment at which it saw it: no clock that is set, and no machine that slept, makes a
part look as if it hung.
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
"""Seconds that a server has to answer: one that is slow does not hang."""
HANGS_AFTER = 10.0
"""Seconds without a heartbeat after which a part is said to hang."""
RESTART_AFTER = 30.0
"""Seconds without a heartbeat after which a part is killed, to be started again."""
STARTING, READY, HANGS, DOWN = "starting", "ready", "hangs", "down"
Beats = Callable[[int], bool]
"""Ask the process of this number for a sign, and return whether one came. It may take `ANSWER` seconds."""


@dataclass(slots=True)
class Pulse:
    """The last heartbeat of a part, and of which of its processes. One thread writes it, another one reads it."""

    _last: tuple[Identity, float] | None = None

    def beat(self, of: Identity, now: float) -> None:
        """Note a heartbeat."""
        self._last = (of, now)

    def excuse(self, now: float) -> None:
        """Forget the time in which the supervisor itself stood still and could see nothing."""
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
    """Look at a part again and again, in a thread of its own: one that hangs must not hold up the look at others."""

    def look() -> None:
        while not stopping.wait(INTERVAL):
            asked = current()
            if asked is not None and beats(asked.pid) and current() == asked:
                pulse.beat(asked, time.monotonic())

    threading.Thread(target=look, name="heartbeats", daemon=True).start()


def reply(address: str, patience: float = 2.0) -> bool | None:
    """Return whether a server says at `address` that it is well, None where it says nothing in `patience` seconds."""
    try:
        return httpx.get(address, timeout=patience, trust_env=False).is_success
    except httpx.HTTPError:
        return None


def responding(address: str) -> Beats:
    """Return the heartbeat of a server: any answer at `address`, also one that it is not well."""
    return lambda _pid: reply(address, ANSWER) is not None


def touching(file: Path) -> Beats:
    """Return the heartbeat of a process that touches `file`: a change since the last look."""
    seen = heartbeats.read(file)

    def beats(pid: int) -> bool:
        nonlocal seen
        before, seen = seen, heartbeats.read(file)
        return seen is not None and seen.pid == pid and seen != before

    return beats
