"""Ending an attempt: nothing of it is alive afterwards, and nothing that comes late can start it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness.attempts import ROOT, Bench, ended, living, output, until

from cluster.local import proc, processes
from cluster.local.processes import LaunchError, LaunchSpec

LAUNCHER = """
import sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from uuid import UUID
from cluster.local import processes

processes.SHIM = processes.SHIM.replace("from cluster", {slow!r} + "; from cluster", 1)
processes.START_PATIENCE = {patience}
processes.launch(processes.LaunchSpec(
    folder=Path({folder!r}), execution_id=UUID({run!r}), attempt=1, argv=("sh", "-c", "echo started >> started"),
    cwd=Path({cwd!r}), env={env!r}, time_limit_seconds=20,
))
"""
FREEZE_FIRST = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
FREEZE_SECOND = (
    "import os, signal; from cluster.local import shim; leave = shim._leave_parent;"
    " shim._leave_parent = lambda: (leave(), os.kill(os.getpid(), signal.SIGSTOP))[0]"
)
FREEZE_CLAIMED = (
    "import os, signal; from cluster.local import shim; claim = shim._claim;"
    " shim._claim = lambda folder: (claim(folder), os.kill(os.getpid(), signal.SIGSTOP))[0]"
)


@pytest.fixture
def launchers() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def launcher(spec: LaunchSpec, slow: str, patience: float = 60.0) -> subprocess.Popen[bytes]:
    """Launch by a process of its own, with a shim that stops itself where `slow` says."""
    code = LAUNCHER.format(
        root=str(ROOT), slow=slow, patience=patience, folder=str(spec.folder), run=str(spec.execution_id),
        cwd=str(spec.cwd), env=dict(spec.env),
    )  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)


def frozen(spec: LaunchSpec) -> list[int]:
    """Return the processes of a shim of `spec` that are stopped."""
    pids = [pid for pid in proc.processes() if str(spec.folder).encode() in _command_line(pid)]
    return [pid for pid in pids if (stat := proc.stat_of(pid)) and stat.state == "T"]


def _command_line(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def started(spec: LaunchSpec) -> bool:
    return (spec.cwd / "started").exists()


def end(spec: LaunchSpec, patience: float = 30.0) -> None:
    processes.end(spec.folder, spec.execution_id, spec.attempt, patience)


def test_an_attempt_that_never_started_is_void_and_never_starts(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "echo started >> started")

    end(spec)
    end(spec)

    assert processes.adopt(spec.folder) is None
    assert processes.voided(spec.folder)
    with pytest.raises(LaunchError, match="voided"):
        processes.launch(spec)
    assert not started(spec)


def test_an_attempt_without_a_folder_is_void_too(bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec("true")

    processes.end(tmp_path / "never" / "made", spec.execution_id, 1)

    assert processes.voided(tmp_path / "never" / "made")


@pytest.mark.parametrize("where", [FREEZE_FIRST, FREEZE_SECOND], ids=["before the spec", "before the claim"])
def test_a_shim_that_is_late_does_not_start_what_was_ended(
    bench: Bench, launchers: list[subprocess.Popen[bytes]], where: str
) -> None:
    spec = bench.spec("true")
    launchers.append(launcher(spec, where))
    until(lambda: frozen(spec), "the shim is frozen")
    late = frozen(spec)

    end(spec, patience=0.2)

    assert [pid for pid in late if any(_command_line(pid))] == []
    assert launchers[0].wait() == 1
    assert b"LaunchError: voided" in launchers[0].communicate()[1]
    assert not started(spec)


def test_a_late_shim_that_nobody_has_killed_goes_by_itself(bench: Bench) -> None:
    """The mark is enough: the one who ends an attempt need not see the shim (it may be on its way)."""
    spec = bench.spec("sh", "-c", "echo started >> started")
    end(spec)

    (spec.folder / "results").mkdir()
    assert processes._start_shim(spec)

    assert processes.adopt(spec.folder) is None
    assert not started(spec)


def test_a_shim_frozen_between_its_claim_and_its_mark_is_killed(
    bench: Bench, launchers: list[subprocess.Popen[bytes]]
) -> None:
    spec = bench.spec("true")
    launchers.append(launcher(spec, FREEZE_CLAIMED))
    until(lambda: frozen(spec), "the shim is frozen")

    end(spec, patience=0.3)

    assert frozen(spec) == []
    assert processes.voided(spec.folder)
    assert launchers[0].wait() == 1
    assert not started(spec)


@pytest.mark.parametrize("where", [FREEZE_FIRST, FREEZE_SECOND, FREEZE_CLAIMED], ids=["first", "second", "claimed"])
def test_a_launch_that_loses_patience_leaves_nothing_that_starts_later(
    bench: Bench, launchers: list[subprocess.Popen[bytes]], where: str
) -> None:
    spec = bench.spec("true")

    launchers.append(launcher(spec, where, patience=1.0))

    assert launchers[0].wait() == 1
    assert b"LaunchError: voided" in launchers[0].communicate()[1]
    assert frozen(spec) == []
    with pytest.raises(LaunchError, match="voided"):
        processes.launch(spec)
    assert not started(spec)


def test_a_running_test_is_stopped_and_its_record_is_kept(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "trap 'echo clean; exit 3' TERM; echo up; while :; do sleep 0.02; done")
    handle = processes.launch(spec)
    until(lambda: output(spec), "it is up")

    end(spec)
    end(spec)

    record = processes.exit_record(spec.folder)
    assert not processes.alive(handle)
    assert record is not None
    assert (record.reason, record.exit_code) == ("stopped", 3)
    assert processes.adopt(spec.folder) == handle
    assert living(spec) == []


def test_a_shim_that_does_not_stop_is_killed_with_all_it_started(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "setsid sleep 60 & sleep 60")
    handle = processes.launch(spec)
    until(lambda: len(living(spec)) == 3, "it is up")
    os.kill(handle.pid, signal.SIGSTOP)

    end(spec, patience=0.3)

    assert not processes.alive(handle)
    assert living(spec) == []
    assert processes.exit_record(spec.folder) is None
    assert processes.launch(spec) == handle


def test_an_ended_attempt_stays_as_it_is(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "exit 4")
    bench.run(spec)
    before = {path.name: path.read_bytes() for path in spec.folder.iterdir() if path.is_file()}

    end(spec)

    assert {path.name: path.read_bytes() for path in spec.folder.iterdir() if path.is_file()} == before


def test_a_test_that_removes_our_records_is_ended_all_the_same(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "rm ../lock ../start.json; mkdir ../lock; echo up; sleep 60")
    handle = processes.launch(spec)
    until(lambda: output(spec), "it is up")

    end(spec, patience=0.3)

    assert not processes.alive(handle)
    assert living(spec) == []
    with pytest.raises(LaunchError, match="voided"):
        processes.launch(spec)


def test_a_process_that_a_forged_record_names_is_left_alone(bench: Bench) -> None:
    stranger = processes.launch(bench.spec("sleep", "60"))
    spec = bench.spec("sh", "-c", f"cp {stranger.folder}/start.json ..; echo up; sleep 60")
    handle = processes.launch(spec)
    until(lambda: output(spec), "it is up")

    end(spec, patience=0.3)

    assert not processes.alive(handle)
    assert living(spec) == []
    assert processes.exit_record(stranger.folder) is None
    assert processes.alive(stranger)


def test_many_end_and_launch_at_once_and_nothing_is_alive_in_the_end(bench: Bench) -> None:
    for _ in range(5):
        spec = bench.spec("sh", "-c", "echo up; sleep 60")
        with ThreadPoolExecutor(8) as threads:
            launches = [threads.submit(processes.launch, spec) for _ in range(2)]
            time.sleep(0.05)
            ends = [threads.submit(end, spec) for _ in range(3)]
        assert [one.exception() for one in ends] == [None] * 3
        assert living(spec) == []
        handle = processes.adopt(spec.folder)
        assert (handle is None) == processes.voided(spec.folder)
        if handle:
            ended(handle)
        for one in launches:
            assert one.exception() is None or "voided" in str(one.exception())


def test_who_holds_the_lock_is_told_when_it_outlives_everything(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that none of our marks leads to, and that keeps the folder: no other attempt may start."""
    spec = bench.spec("true")
    spec.folder.mkdir(parents=True, exist_ok=True)
    code = (
        f"import fcntl, time; file = open({str(spec.folder / 'lock')!r}, 'w'); fcntl.flock(file, 2); print(flush=True)"
    )
    monkeypatch.setattr(processes, "LOCK_PATIENCE", 0.1)
    with subprocess.Popen([sys.executable, "-c", f"{code}; time.sleep(60)"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        with pytest.raises(processes.SweepError) as raised:
            end(spec, patience=0.1)
        holder.kill()

    assert raised.value.pids == [holder.pid]
