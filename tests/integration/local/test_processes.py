"""Real processes under the shim: how they end, what is kept of them, and what is not left of them."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from harness.attempts import Bench, ended, gone, limited, living, output, pid_in, resident, until

from cluster.local import proc, processes
from cluster.local.machine import this_node
from cluster.local.processes import Handle
from model.ids import ExecutionId


@pytest.mark.parametrize("code", [0, 1, 5, 77, 255])
def test_the_exit_code_is_that_of_the_test(bench: Bench, code: int) -> None:
    record = bench.run(bench.spec("sh", "-c", f"exit {code}"))

    assert (record.exit_code, record.signal, record.reason) == (code, None, "exited")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_death_by_signal_is_told_as_such(bench: Bench, number: signal.Signals) -> None:
    record = bench.run(bench.spec("sh", "-c", f"ulimit -c 0; kill -{number.value} $$"))

    assert (record.exit_code, record.signal, record.reason) == (None, number, "exited")


def test_a_program_that_is_not_there_is_a_start_error(bench: Bench) -> None:
    spec = bench.spec("no-such-program")

    record = bench.run(spec)

    assert record.reason == "start_error"
    assert b"could not be started: 'no-such-program': no such file or directory" in output(spec)


def test_stdout_and_stderr_are_kept_in_the_order_of_writing(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "echo one; echo two >&2; echo three; printf last")

    bench.run(spec)

    assert output(spec) == b"one\ntwo\nthree\nlast"


def test_the_time_limit_ends_the_whole_tree(bench: Bench) -> None:
    spec = limited(bench.spec("sh", "-c", "sleep 60 & sleep 60; echo never"), time_limit_seconds=0.3)

    record = bench.run(spec)

    assert (record.reason, record.signal) == ("timeout", signal.SIGTERM)
    assert output(spec) == b"[assay: time limit of 0.3 s reached]\n"
    assert living(spec) == []


def test_a_test_that_cleans_up_on_term_has_the_grace_for_it(bench: Bench) -> None:
    script = "trap 'echo cleaning; sleep 0.3; echo clean; exit 9' TERM; while :; do sleep 0.05; done"
    spec = limited(bench.spec("sh", "-c", script), time_limit_seconds=0.3, grace_seconds=10)

    record = bench.run(spec)

    assert (record.reason, record.exit_code) == ("timeout", 9)
    assert output(spec).endswith(b"cleaning\nclean\n")


def test_stop_ends_a_test_and_says_so(bench: Bench) -> None:
    handle = processes.launch(spec := bench.spec("sleep", "60"))

    processes.stop(handle)
    ended(handle)

    record = processes.exit_record(spec.folder)
    assert record is not None
    assert (record.reason, record.signal) == ("stopped", signal.SIGTERM)


def test_stop_twice_and_after_the_end_changes_nothing(bench: Bench) -> None:
    handle = processes.launch(spec := bench.spec("sleep", "60"))
    processes.stop(handle)
    processes.stop(handle)
    ended(handle)
    first = processes.exit_record(spec.folder)

    processes.stop(handle)

    assert processes.exit_record(spec.folder) == first


def test_stop_right_after_launch_is_never_lost(bench: Bench) -> None:
    """However early it comes: the shim listens before it says that it is there."""
    for _ in range(20):
        handle = processes.launch(spec := bench.spec("sleep", "60"))
        processes.stop(handle)
        ended(handle)
        record = processes.exit_record(spec.folder)
        assert record is not None
        assert record.reason == "stopped"


def test_more_memory_than_the_limit_is_an_oom_kill(bench: Bench) -> None:
    spec = bench.python(
        "import time; kept = bytearray(200_000_000); kept[::4096] = b'x' * len(kept[::4096])\ntime.sleep(30)"
    )

    record = bench.run(replace(spec, memory_limit_bytes=100_000_000))

    assert record.reason == "oom"
    assert record.peak_memory_bytes > 100_000_000
    assert b"memory limit of 100000000 bytes exceeded" in output(spec)


def test_memory_that_a_tree_shares_counts_once(bench: Bench) -> None:
    """Six children share 60 MB with their parent: 420 MB by their single sizes, far less in truth."""
    code = (
        "import os, time\nkept = bytearray(60_000_000); kept[::4096] = b'x' * len(kept[::4096])\n"
        "children = [os.fork() for _ in range(1)]\n"
        "for _ in range(5):\n    if all(children): children.append(os.fork())\n"
        "time.sleep(1.5)"
    )

    record = bench.run(replace(bench.python(code), memory_limit_bytes=200_000_000))

    assert record.reason == "exited"
    assert record.peak_memory_bytes < 200_000_000


def test_usage_is_told_while_it_runs_and_summed_at_the_end(bench: Bench) -> None:
    spec = bench.python(
        "import time\nkept = bytearray(50_000_000)\nkept[::4096] = b'x' * len(kept[::4096])\n"
        "while time.process_time() < 0.4: pass\ntime.sleep(30)"
    )
    handle = processes.launch(spec)

    until(lambda: (seen := processes.usage(spec.folder)) and seen.cpu_seconds > 0.3, "usage is told")
    usage = processes.usage(spec.folder)
    processes.stop(handle)
    ended(handle)

    record = processes.exit_record(spec.folder)
    assert usage is not None
    assert record is not None
    assert usage.memory_bytes > 50_000_000
    assert usage.processes == 1
    assert 0.3 < record.cpu_seconds < 5
    assert record.peak_memory_bytes >= usage.memory_bytes


def test_the_test_sees_its_own_few_variables_and_nothing_of_ours(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "ours")
    spec = bench.spec("env", env={"GREETING": "hello", "ASSAY_RUN_ID": "forged"})

    bench.run(spec)

    seen = dict(line.split("=", 1) for line in output(spec).decode().splitlines())
    assert set(seen) == {
        "ASSAY_ATTEMPT", "ASSAY_RESULTS_DIR", "ASSAY_RUN_ID", "CI", "GREETING", "HOME", "LANG", "PATH",
    }  # fmt: skip
    assert seen["ASSAY_RUN_ID"] == str(spec.execution_id)


def test_no_value_of_a_variable_is_written_to_the_disk(bench: Bench) -> None:
    spec = bench.spec("true", env={"TOKEN": "sesame-open-sesame"})

    bench.run(spec)

    written = b"".join(file.read_bytes() for file in spec.folder.rglob("*") if file.is_file())
    assert b"sesame" not in written
    assert "TOKEN" in json.loads((spec.folder / "spec.json").read_text())["env"]


def test_no_descriptor_of_the_launcher_reaches_the_test(bench: Bench) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    spec = bench.spec("sh", "-c", "ls /proc/self/fd")

    bench.run(spec)
    os.close(reader)
    os.close(writer)

    assert output(spec).split() == [b"0", b"1", b"2", b"3"]  # 3 is that of ls itself


def test_the_shim_is_small(bench: Bench) -> None:
    handle = processes.launch(bench.spec("sleep", "60"))

    assert resident(handle.pid) < 14 * 2**20


def test_it_is_nobodys_child_and_survives_its_launcher(bench: Bench) -> None:
    handle = processes.launch(bench.spec("sleep", "60"))

    stat = proc.stat_of(handle.pid)
    assert stat is not None
    assert stat.parent != os.getpid()
    assert os.getsid(handle.pid) != os.getsid(0)


@pytest.mark.parametrize(
    "wrong",
    [{"boot_id": "another boot"}, {"start_time": 1}, {"pid": 2**22 + 1}],
    ids=["another boot", "another start", "no such pid"],
)
def test_a_handle_of_another_process_is_not_alive(bench: Bench, wrong: dict[str, object]) -> None:
    handle = processes.launch(bench.spec("sleep", "60"))

    assert processes.alive(handle)
    assert not processes.alive(replace(handle, **wrong))  # type: ignore[arg-type]


def test_stop_touches_no_process_that_has_got_the_pid_since(bench: Bench) -> None:
    """A handle whose pid belongs to somebody else by now: that one goes on."""
    stranger = processes.launch(bench.spec("sleep", "60"))

    processes.stop(replace(stranger, start_time=stranger.start_time - 1))

    time.sleep(0.2)
    assert processes.alive(stranger)


def test_adopt_finds_what_was_started_and_nothing_where_nothing_was(bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec("true")
    assert processes.adopt(spec.folder) is None

    handle = processes.launch(spec)

    assert processes.adopt(spec.folder) == handle
    assert isinstance(handle, Handle)
    assert processes.exit_record(tmp_path) is None
    assert processes.usage(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"exit_code": "x"}', "\x00" * 100_000])
def test_a_record_that_the_test_has_written_over_is_none(tmp_path: Path, text: str) -> None:
    for name in ("start.json", "exit.json", "usage.json"):
        (tmp_path / name).write_text(text)

    assert processes.adopt(tmp_path) is None
    assert processes.exit_record(tmp_path) is None
    assert processes.usage(tmp_path) is None


def test_what_a_test_leaves_in_the_background_is_gone_when_its_end_is_told(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "sleep 60 & echo $! > child; setsid sleep 60 & echo done")

    bench.run(spec)

    assert living(spec) == []
    assert gone(pid_in(spec.folder / "work" / "child"))


def test_sweep_finds_nothing_where_nothing_is_left() -> None:
    assert processes.sweep(ExecutionId(__import__("uuid").uuid4()), 1) == 0


def test_sweep_leaves_the_other_attempts_alone(bench: Bench) -> None:
    first, second = bench.spec("sleep", "60"), bench.spec("sleep", "60")
    processes.launch(first)
    other = processes.launch(second)

    processes.sweep(first.execution_id, first.attempt, first.folder)

    assert living(first) == []
    assert processes.alive(other)
    assert len(living(second)) == 1


def test_this_machine_is_a_node_of_which_a_share_is_given(tmp_path: Path) -> None:
    whole, half = this_node(1.0, tmp_path), this_node(0.5, tmp_path)

    assert whole.capacity.cpu_milli == 1000 * len(os.sched_getaffinity(0))
    assert half.capacity.cpu_milli == whole.capacity.cpu_milli // 2
    assert 2**28 < half.capacity.memory_bytes <= whole.capacity.memory_bytes // 2
