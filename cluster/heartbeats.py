"""Heartbeat files: a process touches its file to show that it works, and another process judges it by that.

The file holds the number of the process. So what a process of the past has written is not taken for a sign of the
present one.
"""

import os
from dataclasses import dataclass
from pathlib import Path

SECONDS = 2.0
"""Between two heartbeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The last heartbeat of a process. `at` in nanoseconds since 1970, as the file system has it."""

    pid: int
    at: int


def path_of(state: Path, name: str) -> Path:
    """Return the file of the process that goes by `name`."""
    return state / "heartbeats" / name


def beat(file: Path) -> None:
    """Show that this process works. Needs no room on a disk that is full, once the file is there."""
    if _pid(file) == os.getpid():
        os.utime(file)
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.write_text(str(os.getpid()))
    fresh.replace(file)


def read(file: Path) -> Heartbeat | None:
    """Return the last heartbeat, None where there is none."""
    pid = _pid(file)
    try:
        return None if pid is None else Heartbeat(pid=pid, at=file.stat().st_mtime_ns)
    except OSError:
        return None


def _pid(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
