"""The supervisor: starts the parts, keeps them alive, and leaves no process behind when it ends.

The main thread does the work that must be in one thread: signals, and starting and reaping processes. The boot
(boot.py) runs in a second thread and adds the parts; so the first start of a part and its restart are the same code.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from cli.stack import leftovers
from cli.stack.console import Console
from cli.stack.identity import Identity, end, identify
from cli.stack.parts import BACKOFF, Part
from cli.stack.postgres import Postgres
from cli.stack.state import PartRecord, StackRecord, StateFolder, this_process, with_part

TICK = 0.1
LOOK_AT_POSTGRES = 1.0


class EndingError(Exception):
    """The stack is ending, so nothing more is started."""


class Supervisor:
    """One stack, from its start to its end."""

    def __init__(self, folder: StateFolder, postgres: Postgres, console: Console) -> None:
        self.folder = folder
        self.postgres = postgres
        self.console = console
        self.stopping = threading.Event()
        self.code = 0
        self.record = StackRecord(supervisor=this_process(), postgres=postgres.title, started_at=_wall_clock())
        self.parts: dict[str, Part] = {}
        self._wanted: dict[str, Part] = {}
        self._changed = threading.Lock()
        self._not_ending = threading.Lock()
        self._guard_postgres = threading.Event()
        self._postgres_failures, self._look_at = 0, 0.0
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
        self._guard_postgres.set()
        self.note(PartRecord(name="postgres", identity=_identity(self.postgres.pid)))

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
        with self._changed:
            self.parts.update(self._wanted)
        for part in self.parts.values():
            if part.tick(now):
                self.note(PartRecord(name=part.name, identity=part.identity, restarts=part.restarts))
        if self._guard_postgres.is_set() and now >= self._look_at:
            self._look_after_postgres(now)

    def _look_after_postgres(self, now: float) -> None:
        self._look_at = now + LOOK_AT_POSTGRES
        if self.postgres.alive():
            self._postgres_failures = 0
            return
        self.console.say(f"{self.postgres.title}: ended; starting it again")
        try:
            self.postgres.start()
        except Exception as error:  # noqa: BLE001  whatever it is, the supervisor tries again
            self._postgres_failures += 1
            self._look_at = now + BACKOFF.pause(self._postgres_failures)
            self.console.say(f"{self.postgres.title}: {error}")
            return
        self.console.say(f"{self.postgres.title}: ready again")
        self.guard_postgres()

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
        self.postgres.stop()
        self.tell(lambda record: replace(record, phase="stopped", parts=()))
        self.console.say(f"ended in {time.monotonic() - started:.1f} s; no process of the stack is left")

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


def _identity(pid: int | None) -> Identity | None:
    return identify(pid) if pid is not None else None


def _wall_clock() -> float:
    return time.time()  # noqa: TID251  the stack is wiring, and records when it started
