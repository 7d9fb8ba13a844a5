"""Heartbeat files: a process touches its file to show that it works, and another process checks the file's age.

The file holds the process id. So the heartbeat of an earlier process is not taken for one of the present process.
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
    """Return the heartbeat file of the process called `name`."""
    return state / "heartbeats" / name


def beat(file: Path) -> None:
    """Show that this process works. Once the file exists, this needs no free space on the disk."""
    if _pid(file) == os.getpid():
        os.utime(file)
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.write_text(str(os.getpid()))
    fresh.replace(file)


def read(file: Path) -> Heartbeat | None:
    """Return the last heartbeat, None if there is none."""
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
