"""Describes this machine as a node: what it can give to tests."""

import os
import platform
import shutil
from pathlib import Path

from cluster.local.identity import backend_name, node_name
from model.resources import Resources
from scheduler.values.node import Node

_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


DISK_STEP = 256 * 2**20
"""Free disk is told in steps: each change of a node is written, and every pass reads the nodes anew then."""


def this_node(share: float, state: Path) -> Node:
    """Return the machine as a node: `share` (0 to 1) of its CPU and memory, and the free disk of the state folder."""
    capacity = Resources(
        cpu_milli=int(len(os.sched_getaffinity(0)) * 1000 * share),
        memory_bytes=int(_memory() * share),
        ephemeral_bytes=shutil.disk_usage(state).free // DISK_STEP * DISK_STEP,
    )
    labels = {
        "kubernetes.io/hostname": platform.node(),
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    }
    name = node_name(state)
    return Node(name=name, capacity=capacity, labels=labels, backend=backend_name(name))


def _memory() -> int:
    """Return the machine's memory, or the container's limit where that is smaller."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([total, *filter(None, map(_limit, _MEMORY_LIMITS))])


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
