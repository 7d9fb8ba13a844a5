"""Which process is meant: a number alone is not enough, since the kernel gives it to another one some day."""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.local import proc

PROC = Path("/proc")
STEP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process of this boot of this machine."""

    pid: int
    start_time: int
    boot_id: str


def identify(pid: int) -> Identity | None:
    """Return the identity of a living process; a zombie lives no more."""
    stat = proc.stat_of(pid)
    if stat is None or stat.state in {"Z", "X"}:
        return None
    return Identity(pid=pid, start_time=stat.start_time, boot_id=proc.boot_id())


def alive(identity: Identity) -> bool:
    """Return whether exactly this process still lives."""
    return identify(identity.pid) == identity


def end(identities: Iterable[Identity], patience: float) -> None:
    """Ask these processes and their groups to end, wait `patience` seconds, and kill what is left."""
    meant = list(identities)
    for identity in meant:
        _signal(identity, signal.SIGTERM)
    if not gone(meant, patience):
        for identity in meant:
            _signal(identity, signal.SIGKILL)
        gone(meant, patience)


def gone(identities: Iterable[Identity], patience: float) -> bool:
    """Wait until none of these processes lives, and return whether that came true in `patience` seconds."""
    left = list(identities)
    end_at = time.monotonic() + patience
    while left := [identity for identity in left if alive(identity)]:
        if time.monotonic() >= end_at:
            return False
        time.sleep(STEP)
    return True


def marked(variable: str, value: str) -> list[Identity]:
    """Return the living processes, but for this one, whose environment carried `variable=value` at their start."""
    needle = f"{variable}={value}".encode()
    pids = (pid for pid in proc.processes() if pid != os.getpid() and needle in _environment(pid))
    return [identity for pid in pids if (identity := identify(pid)) is not None]


def described(pid: int) -> str:
    """Return a process in words: its number and how it was called."""
    try:
        command = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({command[:120]})" if command else f"process {pid}"


def _environment(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # it is gone, or somebody else's
        return []


def _signal(identity: Identity, number: signal.Signals) -> None:
    """Signal the process, and its group where it leads one, if it is still the one that is meant."""
    if not alive(identity):
        return
    try:
        if os.getpgid(identity.pid) == identity.pid:
            os.killpg(identity.pid, number)
        else:
            os.kill(identity.pid, number)
    except ProcessLookupError:
        return
