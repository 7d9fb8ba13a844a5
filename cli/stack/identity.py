"""The identity of a process. Its number alone is not enough, since the kernel uses numbers again.

The start time is the kernel's own count of ticks since the boot, and not psutil's time of day: that one changes when
the clock is set.
"""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from cluster.local import proc

STEP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process of this boot of this machine."""

    pid: int
    start_time: int
    boot_id: str


def identify(pid: int) -> Identity | None:
    """Return the identity of a living process, None if there is none; a zombie does not live."""
    stat = proc.stat_of(pid)
    if stat is None or stat.state in {"Z", "X"}:
        return None
    return Identity(pid=pid, start_time=stat.start_time, boot_id=proc.boot_id())


def alive(identity: Identity) -> bool:
    """Return whether exactly this process still lives."""
    return identify(identity.pid) == identity


def end(identities: Iterable[Identity], patience: float) -> None:
    """End these processes and their groups: SIGTERM, then SIGKILL for those that live `patience` seconds later."""
    meant = list(identities)
    for identity in meant:
        _signal(identity, signal.SIGTERM)
    if not gone(meant, patience):
        for identity in meant:
            _signal(identity, signal.SIGKILL)
        gone(meant, patience)


def gone(identities: Iterable[Identity], patience: float) -> bool:
    """Return whether all these processes ended within `patience` seconds."""
    left = list(identities)
    end_at = time.monotonic() + patience
    while left := [identity for identity in left if alive(identity)]:
        if time.monotonic() >= end_at:
            return False
        time.sleep(STEP)
    return True


def marked(variable: str, value: str) -> list[Identity]:
    """Return the living processes, except this one, whose environment had `variable=value` at their start."""
    found = psutil.process_iter(["environ"])  # of processes of other users the environment is None
    pids = [one.pid for one in found if (one.info["environ"] or {}).get(variable) == value]
    return [identity for pid in pids if pid != os.getpid() and (identity := identify(pid)) is not None]


def described(pid: int) -> str:
    """Return a process in words: its number and its command line."""
    try:
        command = " ".join(psutil.Process(pid).cmdline()).encode(errors="replace").decode()
    except psutil.Error:
        return f"process {pid}"
    return f"process {pid} ({command[:120]})" if command else f"process {pid}"


def _signal(identity: Identity, number: signal.Signals) -> None:
    """Signal a process, with its whole group if it leads one; do nothing if its number now belongs to another one."""
    if not alive(identity):
        return
    try:
        if os.getpgid(identity.pid) == identity.pid:
            os.killpg(identity.pid, number)
        else:
            os.kill(identity.pid, number)
    except ProcessLookupError:
        return
