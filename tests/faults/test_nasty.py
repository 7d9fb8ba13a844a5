"""Tests that misbehave: whatever they do, they end, they are judged, and nothing of them is left."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.attempts import (
    Bench,
    ended,
    gone,
    limited,
    living,
    output,
    pid_in,
    places_of,
    resident,
    running,
    until,
)

from cluster.artifacts import ArtifactStore
from cluster.local import proc, processes
from executors.registry import tool_for
from model.content import InlineContent
from model.ids import ExecutionId
from model.request import TestRequest, TestType

pytestmark = pytest.mark.faults

SMALL = 16 * 2**20
REQUEST = TestRequest(name="nasty", type=TestType.PYTEST, content=InlineContent(files={"test_it.py": ""}))
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {before}
        os.chdir({cwd!r})
        for fd in (0, 1, 2): os.close(fd)
        open({pid_file!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists({pid_file!r}) or not open({pid_file!r}).read(): time.sleep(0.01)
{after}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield Bench(tmp_path / "runs")
    for attempt in (tmp_path / "runs").glob("*/*"):
        if handle := processes.adopt(attempt):
            processes.stop(handle)
        processes.sweep(ExecutionId(attempt.parent.name), int(attempt.name), attempt)


def daemon(pid_file: Path, *, before: str = "pass", after: str = "", cwd: str = "/") -> str:
    return DAEMON.format(pid_file=str(pid_file), before=before, after=after, cwd=cwd)


@pytest.mark.parametrize(
    "before",
    ["pass", "os.execvpe(sys.executable, [sys.executable, '-c', AGAIN], {})"],
    ids=["as it is", "with an empty environment"],
)
def test_a_daemon_is_killed_when_its_test_ends(bench: Bench, tmp_path: Path, before: str) -> None:
    """Double fork, own session, own folder, no open files; and once more without the marks in its environment."""
    pid_file = tmp_path / "daemon"
    again = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    spec = bench.python(f"AGAIN = {again!r}\n" + daemon(pid_file, before=before))

    record = bench.run(spec)

    assert record.exit_code == 0
    assert gone(pid_in(pid_file))
    assert living(spec) == []


def test_five_hundred_megabytes_of_output_are_cut_at_one_hundred_and_block_nobody(bench: Bench) -> None:
    spec = limited(
        bench.python(
            "import os\nline = b'x' * 99 + b'\\n'\nfor _ in range(500): os.write(1, line * 10_000)\nprint('end')"
        ),
        time_limit_seconds=120,
    )
    handle = processes.launch(spec)
    sizes: list[int] = []
    until(lambda: sizes.append(resident(handle.pid)) or not processes.alive(handle), "it has printed all")

    record = processes.exit_record(spec.folder)
    log = spec.folder / "output.log"
    assert record is not None
    assert (record.exit_code, record.truncated) == (0, True)
    assert 99_990_000 < log.stat().st_size <= 100_000_000
    with log.open("rb") as file:
        file.seek(-100, os.SEEK_END)
        assert file.read().endswith(b"[assay: output cut at 100000000 bytes, the rest is not kept]\n")
    assert max(sizes) < SMALL


def test_a_line_of_ten_megabytes_of_binary_is_cut_at_64_kib(bench: Bench) -> None:
    spec = bench.python("import os, sys\nsys.stdout.buffer.write(b'\\x00\\xff\\x80' * 3_500_000 + b'\\nnext line\\n')")

    record = bench.run(spec)

    cut, rest = output(spec).split(b"\n", 1)
    assert record.exit_code == 0
    assert record.truncated
    assert cut == (b"\x00\xff\x80" * 30_000)[:65_536] + b" [assay: line cut at 65536 bytes]"
    assert rest == b"next line\n"


def test_a_report_of_two_gigabytes_is_not_read_and_is_broken(bench: Bench) -> None:
    """Sparse, so that the disk does not suffer; a reader that took it whole would."""
    spec = bench.python(
        "import os\nwith open(os.environ['ASSAY_RESULTS_DIR'] + '/results.jsonl', 'w') as f: f.truncate(2 << 30)"
    )
    bench.run(spec)
    before = resident(os.getpid())

    tool = tool_for(TestType.PYTEST)
    report = tool.read(REQUEST, spec.folder / "results")
    summary = tool.progress(spec.folder / "results")

    assert "2147483648 bytes, more than" in report.broken
    assert not report.finished
    assert summary.total == 0
    assert resident(os.getpid()) - before < 50 * 2**20


@pytest.mark.parametrize("how", ["shutil.rmtree(folder)", "os.rename(folder, folder + '.away')", "swap(folder)"])
def test_a_test_that_removes_its_results_folder_is_judged_all_the_same(bench: Bench, tmp_path: Path, how: str) -> None:
    swap = "def swap(f):\n    shutil.rmtree(f)\n    os.symlink('/etc', f)\n"
    spec = bench.python(f"import os, shutil\nfolder = os.environ['ASSAY_RESULTS_DIR']\n{swap}{how}")

    record = bench.run(spec)
    report = tool_for(TestType.PYTEST).read(REQUEST, spec.folder / "results")
    kept = ArtifactStore(tmp_path / "artifacts").keep(spec.execution_id, 1, spec.folder / "results")

    assert record.exit_code == 0
    assert "results.jsonl cannot be read" in report.broken
    assert kept == []


def test_pytest_that_removes_its_results_folder_ends_with_its_own_exit_code(bench: Bench) -> None:
    spec = bench.spec("true")
    (spec.cwd / "test_it.py").write_text(
        "import os, shutil\ndef test_a(): shutil.rmtree(os.environ['ASSAY_RESULTS_DIR'])\ndef test_b(): assert 0\n"
    )
    command = tool_for(TestType.PYTEST).command(REQUEST)

    record = bench.run(running(spec, command, places_of(spec, Path(sys.executable))))

    assert record.exit_code == 1
    assert tool_for(TestType.PYTEST).read(REQUEST, spec.folder / "results").broken


def test_a_test_that_ignores_term_is_killed_after_the_grace(bench: Bench) -> None:
    code = (
        "import signal, time\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nprint('deaf', flush=True)\ntime.sleep(600)"
    )
    spec = limited(bench.python(code), time_limit_seconds=1, grace_seconds=0.5)

    record = bench.run(spec)

    assert (record.reason, record.signal) == ("timeout", signal.SIGKILL)
    assert record.ended_at - record.started_at >= 1.5
    assert output(spec).startswith(b"deaf\n")


def test_a_tree_that_ignores_term_is_killed_with_its_parent(bench: Bench, tmp_path: Path) -> None:
    script = f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/child; while :; do sleep 1; done' & wait; wait"
    spec = bench.spec("sh", "-c", script)
    handle = processes.launch(spec)
    child = pid_in(tmp_path / "child")

    processes.stop(handle)
    ended(handle)

    assert gone(child)
    assert living(spec) == []


@pytest.mark.parametrize("cwd", ["/", "{work}"], ids=["with its marks", "in its folder, without marks"])
def test_kill_9_of_the_shim_leaves_a_tree_that_sweep_ends(bench: Bench, tmp_path: Path, cwd: str) -> None:
    pid_file = tmp_path / "daemon"
    again = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    spec = bench.spec(sys.executable)
    place = cwd.format(work=spec.cwd)
    bare = f"os.chdir({place!r}); os.execvpe(sys.executable, [sys.executable, '-c', {again!r}], {{}})"
    code = daemon(pid_file, before="pass" if cwd == "/" else bare, after="time.sleep(600)", cwd=place)
    handle = processes.launch(limited(spec, argv=(sys.executable, "-I", "-c", code)))  # type: ignore[arg-type]
    left = pid_in(pid_file)

    os.kill(handle.pid, signal.SIGKILL)
    ended(handle)
    assert not gone(left)
    swept = processes.sweep(spec.execution_id, spec.attempt, spec.folder)

    assert swept >= 1
    assert gone(left)
    assert living(spec) == []
    assert processes.exit_record(spec.folder) is None


def test_a_fork_bomb_ends_at_its_time_limit(bench: Bench) -> None:
    """Bounded, for the sake of the machine: each of 300 processes starts another when it is left alone."""
    code = "import os, time\nfor _ in range(300):\n    if os.fork(): break\ntime.sleep(600)"
    spec = limited(bench.python(code), time_limit_seconds=1, grace_seconds=0.2)

    record = bench.run(spec)

    assert record.reason == "timeout"
    assert living(spec) == []


def test_a_test_that_stops_its_own_processes_is_ended_all_the_same(bench: Bench) -> None:
    spec = limited(bench.spec("sh", "-c", "kill -STOP $$"), time_limit_seconds=0.5, grace_seconds=0.3)

    record = bench.run(spec)

    assert (record.reason, record.signal) == ("timeout", signal.SIGKILL)


def test_a_test_that_closes_its_output_goes_on_and_costs_no_cpu(bench: Bench) -> None:
    spec = bench.spec("sh", "-c", "exec >&- 2>&-; sleep 1.5; exit 4")
    handle = processes.launch(spec)
    until(lambda: gone(handle.pid) or cpu(handle.pid) is not None, "it runs")
    used = 0.0
    while processes.alive(handle):
        used = cpu(handle.pid) or used

    record = processes.exit_record(spec.folder)
    assert record is not None
    assert record.exit_code == 4
    assert used < 0.5


def cpu(pid: int) -> float | None:
    stat = proc.stat_of(pid)
    return stat.cpu if stat else None
