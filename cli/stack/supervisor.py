"""The supervisor: starts the parts, keeps them alive, and leaves no process behind when it ends.

The main thread does the work that must be in one thread: signals, and starting and reaping processes. The boot
(boot.py) runs in a second thread and adds the parts; so the first start of a part and its restart are the same code.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from types import FrameType

from cli.stack import leftovers
from cli.stack.console import Console
from cli.stack.heartbeat import HANGS, watch
from cli.stack.identity import Identity, end
from cli.stack.parts import Part
from cli.stack.postgres import Postgres
from cli.stack.postgres_guard import PostgresGuard
from cli.stack.state import PartRecord, StackRecord, StateFolder, this_process, with_part
from cluster import heartbeats

TICK = 0.1
SAMPLE_SECONDS = 10.0
STOOD_STILL = 5.0
"""Seconds between two ticks from which on the supervisor itself must have been stopped, or had no processor time."""


class EndingError(Exception):
    """The stack is ending, so nothing more is started."""


class Supervisor:
    """One stack, from its start to its end."""

    def __init__(self, folder: StateFolder, postgres: Postgres, console: Console) -> None:
        self.folder = folder
        self.postgres = postgres
        self.console = console
        self.stopping = threading.Event()
        self.sampling = threading.Event()
        """Set while the sample experiment has services of its own."""
        self.code = 0
        self.record = StackRecord(supervisor=this_process(), postgres=postgres.title, started_at=_wall_clock())
        self.parts: dict[str, Part] = {}
        self._wanted: dict[str, Part] = {}
        self._changed = threading.Lock()
        self._not_ending = threading.Lock()
        self._ticked, self._beat_at = time.monotonic(), 0.0
        self._hurry = False

    def run(self, boot: Callable[["Supervisor"], None]) -> int:
        """Run until a signal or `stop`; return the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._write()
        try:
            leftovers.end_processes(self.folder, self.console)
            threading.Thread(target=self._guarded, args=(boot,), name="boot", daemon=True).start()
            while not self.stopping.wait(TICK):
                self._tick(time.monotonic())
        finally:
            self._end()
        return self.code

    def want(self, part: Part) -> None:
        """Start `part`, and keep it alive from now on; from any thread."""
        with self._changed:
            self._wanted[part.name] = part

    def guard_postgres(self) -> None:
        """Keep PostgreSQL alive from now on."""
        PostgresGuard(self).start()

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Start a process that would outlive us; the end of the stack waits until it can be found. From any thread.

        Raises: EndingError if the stack is ending.
        """
        with self._not_ending:
            if self.stopping.is_set():
                raise EndingError
            yield

    def tell(self, change: Callable[[StackRecord], StackRecord]) -> None:
        """Change the content of `stack.json`; from any thread."""
        with self._changed:
            self.record = change(self.record)
            self._write()

    def note(self, part: PartRecord) -> None:
        """Change the record of a part in `stack.json`."""
        self.tell(lambda record: with_part(record, part))

    def ago(self, seconds: float) -> float:
        """Return the time of day, in seconds since 1970, so many seconds before now."""
        return _wall_clock() - seconds

    def stop(self, code: int) -> None:
        """End the stack with `code`; from any thread."""
        if not self.stopping.is_set():
            self.code = code
            self.stopping.set()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.stopping.is_set() and number == signal.SIGINT:
            self._hurry = True
        self.stopping.set()

    def _guarded(self, boot: Callable[["Supervisor"], None]) -> None:
        try:
            boot(self)
        except BaseException as error:
            if self.stopping.is_set():
                return
            self.console.say(f"internal error: {error!r}; the stack ends")
            self.stop(3)
            raise

    def _tick(self, now: float) -> None:
        self._beat(now)
        self._watch_new_parts()
        for part in self.parts.values():
            before = part.state
            changed = part.tick(now)
            silence = part.judge(now)
            if changed or part.state != before:
                self._note(part, silence)

    def _beat(self, now: float) -> None:
        """Give the supervisor's own heartbeat. If it did not run for a while, start to count anew for all parts."""
        if now - self._ticked > STOOD_STILL:
            for part in self.parts.values():
                part.pulse.excuse(now)
        self._ticked = now
        if now >= self._beat_at:
            self._beat_at = now + heartbeats.SECONDS
            with suppress(OSError):  # a full disk: the parts go on all the same
                heartbeats.beat(heartbeats.path_of(self.folder.path, "supervisor"))

    def _watch_new_parts(self) -> None:
        with self._changed:
            new = [part for name, part in self._wanted.items() if name not in self.parts]
            self.parts.update(self._wanted)
        for part in new:
            if part.program.beats is not None:
                watch(part.program.beats, partial(_current, part), part.pulse, self.stopping)

    def _note(self, part: Part, silence: float | None) -> None:
        """Record the state of a part."""
        self.note(
            PartRecord(
                name=part.name,
                identity=part.identity,
                restarts=part.restarts,
                state=part.state,
                since=self.ago(silence or 0.0) if part.state == HANGS else None,
            )
        )

    def _end(self) -> None:
        """End everything: the worker first, so that it can release its leases, PostgreSQL last."""
        started = time.monotonic()
        self.stopping.set()
        self.console.say("ending the stack")
        self.tell(lambda record: replace(record, phase="stopping"))
        with self._not_ending:  # what is being started is found below, and nothing more is started
            self._end_parts("worker")
        self._end_parts("api", "prefect")
        runs = leftovers.end_runs(self.folder)
        if runs:
            what = "running test was" if runs == 1 else "running tests were"
            self.console.say(f"{runs} {what} ended; the next start tries them again")
        leftovers.end_marked(self.folder)
        self._wait_for_sample()
        self.postgres.stop()
        self.tell(lambda record: replace(record, phase="stopped", parts=()))
        self.console.say(f"ended in {time.monotonic() - started:.1f} s; no process of the stack is left")

    def _wait_for_sample(self) -> None:
        """Let the sample experiment end its services, which are no part of the stack."""
        until = time.monotonic() + SAMPLE_SECONDS
        while self.sampling.is_set() and not self._hurry and time.monotonic() < until:
            time.sleep(0.05)

    def _end_parts(self, *names: str) -> None:
        parts = [part for name in names if (part := self.parts.get(name)) is not None]
        living = [part.identity for part in parts if part.identity is not None]
        patience = max((part.program.patience for part in parts), default=0.0)
        for part in parts:
            if part.process is not None and part.process.poll() is None:
                part.process.terminate()
        end_at = time.monotonic() + patience
        while any(part.process and part.process.poll() is None for part in parts):
            if self._hurry or time.monotonic() > end_at:
                break
            time.sleep(0.02)
        end(living, patience=0.0 if self._hurry else 1.0)
        for part in parts:
            if part.process is not None:
                part.process.wait()
            if part.program.listener is not None:
                part.program.listener.close()

    def _write(self) -> None:
        self.folder.write(self.record)


def _current(part: Part) -> Identity | None:
    return part.identity


def _wall_clock() -> float:
    return time.time()  # noqa: TID251  the stack is wiring, and records when it started
