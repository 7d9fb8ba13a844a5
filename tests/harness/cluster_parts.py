"""The parts of a cluster whose processes run on this machine."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.kubernetes.connection import ClusterAccess


@contextmanager
def stopped(access: ClusterAccess, part: str) -> Iterator[None]:
    """Let a part of the cluster stand still. Skip the test where the cluster does not run on this machine."""
    file = (access.kubeconfig or Path()).parent / "pids" / part
    if not file.exists():
        pytest.skip(f"{part} is not a process of this machine: needs the cluster of ../shared/cluster/up")
    pid = int(file.read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
