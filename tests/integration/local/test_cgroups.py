"""Attempts in control groups of their own, where this machine lets us make one; else this says why it is skipped."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from harness.attempts import Bench, gone, living, output, pid_in, until

from cluster.local import proc, processes
from cluster.local.cgroup import name_of

WITHOUT_A_TRACE = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        with open({note!r}, "w") as file:
            file.write(str(os.getpid()))
        os.execve("/bin/sleep", ["sleep", "600"], {{}})
    os._exit(0)
time.sleep(600)
"""
"""A daemon that carries no mark of its attempt: no variable, no folder, no parent."""
HUNGRY = "x = [bytearray(2**20) for _ in range(400)]; import time; time.sleep(600)"


@pytest.fixture
def delegated() -> Iterator[Path]:
    """A folder in which control groups can be made."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    mount = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    if mount is None:
        pytest.skip("no control groups of version 2 are mounted here")
    folder = mount / f"assay-tests-{uuid4().hex}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made in {mount}: {error.strerror}")
    yield folder
    for path, _, _ in os.walk(folder, topdown=False):
        Path(path).rmdir()


@pytest.fixture
def with_memory(delegated: Path) -> Path:
    """One whose groups can be given a memory limit."""
    for folder in (delegated.parent, delegated):
        try:
            (folder / "cgroup.subtree_control").write_text("+memory")
        except OSError as error:
            pytest.skip(f"the memory controller is not to be had in {folder}: {error.strerror}")
    return delegated


def test_the_whole_tree_of_a_test_is_in_its_group_and_goes_with_it(
    bench: Bench, delegated: Path, tmp_path: Path
) -> None:
    spec = replace(bench.python(WITHOUT_A_TRACE.format(note=str(tmp_path / "pid"))), cgroup=delegated)
    handle = processes.launch(spec)
    daemon = pid_in(tmp_path / "pid")
    group = delegated / name_of(str(spec.execution_id), 1)
    inside = set(map(int, (group / "cgroup.procs").read_text().split()))

    processes.stop(handle)
    until(lambda: not processes.alive(handle), "the shim ends")

    assert {daemon, *living(spec)} <= {*inside, handle.pid}
    assert len(inside) >= 2
    assert handle.pid not in inside
    assert all(gone(pid) for pid in inside)
    assert not group.exists()


def test_what_left_no_other_trace_is_swept_by_its_group_when_its_shim_is_killed(
    bench: Bench, delegated: Path, tmp_path: Path
) -> None:
    spec = replace(bench.python(WITHOUT_A_TRACE.format(note=str(tmp_path / "pid"))), cgroup=delegated)
    handle = processes.launch(spec)
    daemon = pid_in(tmp_path / "pid")
    until(lambda: b"sleep" in Path(f"/proc/{daemon}/cmdline").read_bytes(), "it has become another program")
    os.kill(handle.pid, signal.SIGKILL)
    until(lambda: not processes.alive(handle), "the shim is gone")

    marked = proc.carriers(str(spec.execution_id), 1)
    swept = processes.sweep(spec.execution_id, 1, spec.folder)

    assert daemon not in marked
    assert swept >= 1
    assert gone(daemon)


def test_a_test_that_needs_more_memory_than_it_may_is_ended_by_the_kernel(bench: Bench, with_memory: Path) -> None:
    spec = replace(bench.spec(sys.executable, "-c", HUNGRY), cgroup=with_memory, memory_limit_bytes=64 * 2**20)

    record = bench.run(spec)

    assert (record.reason, record.signal) == ("oom", signal.SIGKILL)
    assert b"memory limit of 67108864 bytes exceeded" in output(spec)


@pytest.mark.parametrize("folder", ["/proc", "/no/such/folder"])
def test_without_a_usable_group_the_limits_are_kept_as_ever(bench: Bench, folder: str) -> None:
    spec = replace(bench.python(HUNGRY), cgroup=Path(folder), memory_limit_bytes=64 * 2**20)

    assert bench.run(spec).reason == "oom"
