"""Ends processes that an earlier stack left, or that this one would leave.

Only the holder of the state folder may call this.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from cli.stack.console import Console
from cli.stack.identity import alive, end, marked
from cli.stack.state import StateFolder
from cluster.local import processes
from cluster.local.guarded_command import MARK
from model.ids import ExecutionId, RunId

PATIENCE = 10.0
SHIM_PATIENCE = 15.0
"""A shim gives its test ten seconds to end."""
TOGETHER = 32


def end_processes(folder: StateFolder, console: Console) -> int:
    """End the parts that a killed supervisor left, and return their number. PostgreSQL and tests are adopted."""
    record = folder.read()
    left = [part for part in record.parts if part.identity and alive(part.identity)] if record else []
    left = [part for part in left if part.name != "postgres"]
    if left:
        console.say(f"ending parts that an earlier stack left: {', '.join(part.name for part in left)}")
        end([part.identity for part in left if part.identity], PATIENCE)
    end_marked(folder)
    return len(left)


def end_marked(folder: StateFolder) -> None:
    """End programs that a part started. Tests and PostgreSQL do not carry the mark."""
    end(marked(MARK, str(folder.path)), PATIENCE)


def end_runs(folder: StateFolder) -> int:
    """End the tests that run in this folder, and return their number. The worker must have ended before."""
    ended = 0
    while living := [attempt for attempt in _open_attempts(folder.path / "runs") if _lives(attempt)]:
        ended += len(living)
        with ThreadPoolExecutor(TOGETHER) as threads:
            list(threads.map(_end_run, living))
    return ended


def _lives(attempt: Path) -> bool:
    handle = processes.adopt(attempt)
    return handle is not None and processes.alive(handle)


def _end_run(attempt: Path) -> None:
    """Ask the shim to end its test; if it does not in time, kill the whole process tree."""
    handle = processes.adopt(attempt)
    if handle is None:
        return
    processes.stop(handle)
    end_at = time.monotonic() + SHIM_PATIENCE
    while processes.alive(handle):
        if time.monotonic() > end_at:
            processes.sweep(ExecutionId(RunId(UUID(attempt.parent.name))), int(attempt.name), attempt)
            return
        time.sleep(0.05)
    _take_back(attempt)


def _take_back(attempt: Path) -> None:
    """Rename the record of a stop. No one cancelled the run, so it must count as lost and be tried again."""
    record = processes.exit_record(attempt)
    if record is not None and record.reason == "stopped":
        (attempt / "exit.json").rename(attempt / "ended-with-the-stack.json")


def _open_attempts(runs: Path) -> list[Path]:
    """Return the attempts that were started and have not written how they ended."""
    return [start.parent for start in runs.glob("*/*/start.json") if not start.with_name("exit.json").exists()]
