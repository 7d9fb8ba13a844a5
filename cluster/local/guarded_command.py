"""Runs programs that prepare a test (git, the installer) so that none outlives the worker, by `subprocess_guard.py`."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
GUARD = "import sys; sys.path.append(sys.argv[1]); from cluster.local.subprocess_guard import main; main(sys.argv[2:])"
MARK = "ASSAY_STACK"
"""The variable that every process of a stack has, so that all of them are found at its end. Tests do not have it."""
LOOK_SECONDS = 0.25
LAST_PATIENCE = 10.0


class StoppedError(Exception):
    """The work was asked to stop, and nothing of it runs any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedCommand:
    """What to run. `words` receives all that it prints. `locks` are files whose locks it holds while it lives."""

    command: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    words: IO[bytes]
    locks: tuple[int, ...] = ()


def never() -> bool:
    """Return False: nobody asks to stop."""
    return False


def run(wanted: GuardedCommand, look: Callable[[], None]) -> int:
    """Run a program to its end and return its exit code, 128 and more for a signal.

    `look` is called now and then. If it raises, the program is ended first, with all that it started.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", GUARD, str(ROOT), *wanted.command],
        cwd=wanted.cwd,
        env={**wanted.env, **_mark()},
        stdin=subprocess.PIPE,
        stdout=wanted.words,
        stderr=wanted.words,
        start_new_session=True,
        pass_fds=wanted.locks,
        umask=0o022,  # what it makes is read and run by tests, as in any checkout; the folders above are closed
    )
    try:
        while not _ended(process, LOOK_SECONDS):
            look()
    finally:
        _end(process)
    return process.returncode


def _mark() -> dict[str, str]:
    return {MARK: os.environ[MARK]} if MARK in os.environ else {}


def _ended(process: "subprocess.Popen[bytes]", patience: float) -> bool:
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Make the guard end everything. If it does not, kill the guard and its program."""
    if process.stdin is not None:
        process.stdin.close()
    if not _ended(process, LAST_PATIENCE):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
