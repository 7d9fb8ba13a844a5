"""However often and from wherever a folder is launched, whoever dies in between: its test starts exactly once."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness.attempts import ROOT, Bench, ended, until

from cluster.local import processes
from cluster.local.processes import LaunchSpec

SAY = "echo started >> started; sleep 0.3"
LAUNCHER = """
import os, sys
sys.path[:0] = [{root!r}]
from dataclasses import replace
from pathlib import Path
from uuid import UUID
from cluster.local import processes

def step(name):
    if name == {fatal!r}:
        os.kill(os.getpid(), 9)

def cut(owner, name, before, after):
    plain = getattr(owner, name)
    def instead(*args, **more):
        step(before)
        result = plain(*args, **more)
        step(after)
        return result
    setattr(owner, name, instead)

cut(processes, "_write_down", "folders made", "spec written")
cut(processes.subprocess, "Popen", "before the shim", "shim forked")
cut(processes, "_tell", "before the spec is told", "spec told")
cut(processes, "_start_shim", "before start", "started")
spec = processes.LaunchSpec(
    folder=Path({folder!r}), execution_id=UUID({run!r}), attempt=1, argv=("sh", "-c", {say!r}), cwd=Path({cwd!r}),
    env={env!r}, time_limit_seconds=20,
)
processes.launch(spec)
step("launched")
"""
STEPS = [
    "folders made", "spec written", "before start", "before the shim", "shim forked", "before the spec is told",
    "spec told", "started", "launched",
]  # fmt: skip


def starts(spec: LaunchSpec) -> int:
    path = spec.cwd / "started"
    return len(path.read_text().split()) if path.exists() else 0


def launcher(spec: LaunchSpec, fatal: str) -> subprocess.Popen[bytes]:
    code = LAUNCHER.format(
        root=str(ROOT), fatal=fatal, folder=str(spec.folder), run=str(spec.execution_id), say=SAY, cwd=str(spec.cwd),
        env=dict(spec.env),
    )  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", code])


@pytest.mark.parametrize("fatal", STEPS)
def test_a_launcher_killed_at_any_step_costs_nothing_and_starts_nothing_twice(bench: Bench, fatal: str) -> None:
    spec = bench.spec("sh", "-c", SAY)

    assert launcher(spec, fatal).wait() == -signal.SIGKILL
    ended(processes.launch(spec))

    record = processes.exit_record(spec.folder)
    assert starts(spec) == 1
    assert record is not None
    assert record.exit_code == 0


def test_many_launches_at_once_start_one(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", SAY)

    with ThreadPoolExecutor(8) as threads:
        handles = list(threads.map(lambda _: processes.launch(spec), range(8)))
    ended(handles[0])

    assert len(set(handles)) == 1
    assert starts(spec) == 1


def test_launchers_of_several_processes_start_one(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", SAY)

    launchers = [launcher(spec, "never") for _ in range(4)]

    assert [process.wait() for process in launchers] == [0] * 4
    handle = processes.adopt(spec.folder)
    assert handle is not None
    ended(handle)
    assert starts(spec) == 1


def test_a_folder_whose_test_has_ended_is_never_started_again(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", SAY)
    first = processes.launch(spec)
    ended(first)

    assert processes.launch(spec) == first
    assert starts(spec) == 1


def test_a_folder_whose_shim_was_killed_is_never_started_again(bench: Bench) -> None:
    """The attempt is lost: another one may follow in a folder of its own, after a sweep."""
    spec = bench.spec("sh", "-c", "echo started >> started; sleep 60")
    handle = processes.launch(spec)
    until(lambda: starts(spec), "it starts")
    os.kill(handle.pid, signal.SIGKILL)
    ended(handle)

    assert processes.launch(spec) == handle
    assert not processes.alive(handle)
    assert starts(spec) == 1


def test_a_shim_that_cannot_come_up_is_a_launch_error_with_its_words(bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec("true")
    spec.folder.joinpath("lock").mkdir()

    with pytest.raises(processes.LaunchError, match="Is a directory"):
        processes.launch(spec)

    spec.folder.joinpath("lock").rmdir()
    ended(processes.launch(spec))
    assert processes.exit_record(spec.folder)
