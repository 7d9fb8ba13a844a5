"""Runs the stack in a state folder, or ends the one that runs or ran there."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cli.failure import CommandError
from cli.stack import leftovers
from cli.stack.console import Console
from cli.stack.identity import gone
from cli.stack.postgres import choose
from cli.stack.state import HeldError, StateFolder, rotate
from cli.stack.supervisor import Supervisor
from db.errors import ClusterError
from model.plural import counted

END_PATIENCE = 60.0
"""The end of a stack takes as long as the slowest running test takes to be killed."""


class StopTimeoutError(CommandError):
    """The stack does not end. A person must look at the named process."""


def start(folder: StateFolder, boot: Callable[[Supervisor], None]) -> int:
    """Run a stack in `folder` until it is ended, and return its exit code. Raises: HeldError."""
    with folder.held():
        log = folder.log / "stack.log"
        rotate(log)
        console = Console(log=log)
        console.plain(f"assay: state and logs in {folder.path}")
        return Supervisor(folder, choose(os.environ, folder.path / "postgres"), console).run(boot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The result of `stop`. `ended` says whether there was something to end, `message` describes it."""

    ended: bool
    message: str


def stop(folder: StateFolder) -> Stopped:
    """End the stack of `folder`, and return what was done."""
    if not folder.path.exists():
        return Stopped(ended=False, message="no stack was ever started here")
    end_at = time.monotonic() + END_PATIENCE
    asked = False
    while True:
        try:
            with folder.held():
                return _ended(folder) if asked else _clear(folder)
        except HeldError as error:
            asked = _ask(folder) or asked
            if time.monotonic() > end_at:
                raise StopTimeoutError(f"the stack does not end in {END_PATIENCE:.0f} s: {error}") from error


def _ask(folder: StateFolder) -> bool:
    """Ask the supervisor to end, and wait up to a second."""
    record = folder.read()
    if record is None or not record.running:
        time.sleep(0.2)
        return False
    if record.phase != "stopping":
        os.kill(record.supervisor.pid, signal.SIGTERM)
        os.kill(record.supervisor.pid, signal.SIGCONT)  # a process that was stopped would not see the other signal
    gone([record.supervisor], 1.0)
    return True


def _ended(folder: StateFolder) -> Stopped:
    """Wait until the supervisor's process has ended; it releases the folder a moment before."""
    record = folder.read()
    if record is not None:
        gone([record.supervisor], END_PATIENCE)
    return Stopped(ended=True, message="the stack has ended; no process of it is left")


def _clear(folder: StateFolder) -> Stopped:
    """End what a killed supervisor left: parts, running tests, PostgreSQL."""
    console = Console()
    parts = leftovers.end_processes(folder, console)
    runs = leftovers.end_runs(folder)
    postgres = _end_postgres(folder)
    record = folder.read()
    if record is not None:
        folder.write(replace(record, phase="stopped", parts=()))
    if not (parts or runs or postgres):
        return Stopped(ended=False, message="no stack runs here")
    left = f"{counted(parts, 'part')}, {counted(runs, 'test')}{', PostgreSQL' if postgres else ''}"
    return Stopped(ended=True, message=f"ended what a killed stack had left: {left}")


def _end_postgres(folder: StateFolder) -> bool:
    """End the embedded PostgreSQL of `folder`, and return whether it ran."""
    postgres = choose({}, folder.path / "postgres")
    if not postgres.alive():
        return False
    try:
        postgres.stop()
    except ClusterError as error:
        raise StopTimeoutError(str(error)) from error
    return True
