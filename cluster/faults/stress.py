"""What burns CPU, holds memory and writes to disk: children of a guard, which the kernel kills if the guard dies.

The guard imports this, so it imports a few modules of the standard library and nothing else.
"""
# ruff: noqa: PTH123
# as in cluster.local.shim: pathlib would cost each guard more memory than all of this

import os
import signal
import time
from collections.abc import Callable

from cluster.local.shim import PR_SET_PDEATHSIG, prctl

MEGABYTE = 2**20
PAGE = 4096
SHARE_OF_FREE = 0.1


def fork(work: Callable[[], None]) -> int:
    """Start a child that does `work` until it is killed. Return its pid."""
    guard = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guard:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            work()
    finally:
        os._exit(1)


def burn() -> None:
    """Use one CPU."""
    while True:
        pass


def hold_memory(megabytes: int) -> Callable[[], None]:
    """Return work that holds so much memory, and at most a tenth of what is free."""
    size = min(megabytes * MEGABYTE, int(free_memory() * SHARE_OF_FREE))

    def work() -> None:
        held = bytearray(size)
        for page in range(0, size, PAGE):  # a page that was never written is not held
            held[page] = 1
        while True:
            time.sleep(60)

    return work


def free_memory() -> int:
    """Return how many bytes of memory are available."""
    with open("/proc/meminfo", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["MemAvailable"].split()[0]) * 1024


def write_disk(path: str, megabytes: int) -> Callable[[], None]:
    """Return work that writes a file of that size and syncs it, again and again."""

    def work() -> None:
        piece = os.urandom(MEGABYTE)
        with open(path, "wb") as file:
            while True:
                file.seek(0)
                for _ in range(megabytes):
                    file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())

    return work


def written(pid: int) -> int:
    """Return how many bytes a process has written, 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as file:
            facts = dict(line.split(":", 1) for line in file)
    except OSError:
        return 0
    return int(facts["wchar"])
