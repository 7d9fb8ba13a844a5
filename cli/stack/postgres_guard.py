"""Keeps PostgreSQL running: starts it again when it has ended, and when it no longer answers."""

import threading
import time
from contextlib import AbstractContextManager
from typing import Protocol

from cli.stack.console import Console
from cli.stack.heartbeat import DOWN, HANGS, INTERVAL, READY, RESTART_AFTER, judged
from cli.stack.identity import identify
from cli.stack.parts import BACKOFF
from cli.stack.postgres import Postgres
from cli.stack.state import PartRecord


class Stack(Protocol):
    """What the guard needs of the supervisor."""

    postgres: Postgres
    console: Console
    stopping: threading.Event

    def starting(self) -> AbstractContextManager[None]:
        """Delay the end of the stack while something is started. Raises: EndingError."""

    def note(self, part: PartRecord) -> None:
        """Record the state of a part."""

    def ago(self, seconds: float) -> float:
        """Return the time of day so many seconds ago."""


class PostgresGuard:
    """Checks PostgreSQL in its own thread, since its recovery after a crash may take minutes."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._postgres = stack.postgres
        self._failures, self._restarts = 0, 0
        self._heard = time.monotonic()
        self._state = READY

    def start(self) -> None:
        """Start the thread."""
        self._note(READY)
        threading.Thread(target=self._run, name="postgres", daemon=True).start()

    def _run(self) -> None:
        pause = INTERVAL
        while True:
            before = time.monotonic()
            if self._stack.stopping.wait(pause):
                return
            if time.monotonic() - before > pause + INTERVAL:
                self._heard = time.monotonic()  # this process itself did not run for a while
            pause = self._look()

    def _look(self) -> float:
        """Check it, start it again if necessary, and return the seconds until the next check."""
        if not self._postgres.alive():
            return self._start_again("ended")
        if self._postgres.responds():
            self._heard, self._failures = time.monotonic(), 0
        silence = time.monotonic() - self._heard
        if judged(silence) != self._state:
            self._note(judged(silence), silence)
        if silence >= RESTART_AFTER and self._postgres.pid is not None:
            return self._start_again(f"no answer for {silence:.0f} s", hangs=True)
        return INTERVAL

    def _start_again(self, why: str, *, hangs: bool = False) -> float:
        """Start it again, and return the seconds until the next check."""
        stack, postgres = self._stack, self._postgres
        stack.console.say(f"{postgres.title}: {why}; starting it again")
        self._note(HANGS if hangs else DOWN)
        self._restarts += 1
        try:
            with stack.starting():
                if hangs:
                    postgres.stop()
                postgres.start()
        except Exception as error:  # noqa: BLE001  whatever it is, the guard goes on and tries again
            self._failures += 1
            if not stack.stopping.is_set():
                stack.console.say(f"{postgres.title}: {error}")
            return BACKOFF.pause(self._failures)
        stack.console.say(f"{postgres.title}: ready again")
        self._heard = time.monotonic()
        self._note(READY)
        return INTERVAL

    def _note(self, state: str, silence: float = 0.0) -> None:
        """Record the state, with the time since when PostgreSQL does not work."""
        if state == HANGS and self._state == READY:
            self._stack.console.say(f"{self._postgres.title}: hangs, no answer for {silence:.0f} s")
        self._state = state
        pid = self._postgres.pid
        self._stack.note(
            PartRecord(
                name="postgres",
                identity=None if pid is None else identify(pid),
                restarts=self._restarts,
                state=state,
                since=None if state == READY else self._stack.ago(silence),
            )
        )
