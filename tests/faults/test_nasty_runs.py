"""The same misbehaviour through the gate of a whole stack: the verdict, its reason, Prefect's state, nothing left."""

import sys
from pathlib import Path
from typing import Any

import pytest
from harness.attempts import gone
from harness.stack import Stack, pytest_request, shell, until

pytestmark = pytest.mark.faults

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        for fd in (0, 1, 2): os.close(fd)
        open({pid_file!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists({pid_file!r}) or not open({pid_file!r}).read(): time.sleep(0.01)
"""
PRINTS = "import os\nline = b'x' * 99 + b'\\n'\nfor _ in range(500): os.write(1, line * 10_000)\n"
BINARY = "import os, sys\nsys.stdout.buffer.write(b'\\x00\\xff\\x80' * 3_500_000 + b'\\n')\n"
LARGE_REPORT = """
import os
def test_a():
    with open(os.environ["ASSAY_RESULTS_DIR"] + "/results.jsonl", "a") as report:
        report.truncate(2 << 30)
"""
NO_FOLDER = """
import os, shutil
def test_a():
    shutil.rmtree(os.environ["ASSAY_RESULTS_DIR"])
"""
GOOD = ("completed", None, "COMPLETED", "Completed")
BROKEN = ("failed", "report_mismatch", "FAILED", "Failed")
LATE = ("timeout", None, "FAILED", "TimedOut")


def python(code: str, **more: Any) -> dict[str, Any]:
    files = {"nasty.py": code}
    return shell("", content={"type": "inline", "files": files}, command=[sys.executable, "-I", "nasty.py"], **more)


def judged(stack: Stack, request: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """Submit it and return its run, and what the row and Prefect say; nothing of it lives and its place is free."""
    run = stack.submit(request)
    row = stack.ended(run, 120)
    state = stack.settled(run)

    until("no process of it is left", lambda: not stack.carriers(run), 10)
    assert stack.sql("SELECT 1 FROM queue WHERE execution_id = %s", run) == []
    assert len(stack.attempts(run)) == 1
    return run, (row["status"], row["failure_reason"], state["type"], state["name"])


def test_a_daemon_does_not_outlive_its_run(stack: Stack, tmp_path: Path) -> None:
    pid_file = tmp_path / "daemon"

    _, verdict = judged(stack, python(DAEMON.format(pid_file=str(pid_file)), name="daemon"))

    assert verdict == GOOD
    assert gone(int(pid_file.read_text()))


def test_500_mb_of_output_pass_and_the_cut_is_said(stack: Stack) -> None:
    run, verdict = judged(stack, python(PRINTS, name="prints"))

    size = int(stack.rest("GET", f"/tests/{run}/logs").headers["X-Log-Size"])
    end = stack.rest("GET", f"/tests/{run}/logs?offset={size - 100}").content
    assert verdict == GOOD
    assert 99_990_000 < size <= 100_000_000
    assert end.endswith(b"[assay: output cut at 100000000 bytes, the rest is not kept]\n")


def test_a_line_of_10_mb_of_binary_passes_and_is_cut(stack: Stack) -> None:
    run, verdict = judged(stack, python(BINARY, name="binary"))

    log = stack.rest("GET", f"/tests/{run}/logs").content
    assert verdict == GOOD
    assert b"[assay: line cut at 65536 bytes]" in log
    assert len(log) < 1_000_000


@pytest.mark.parametrize("source", [LARGE_REPORT, NO_FOLDER], ids=["a report of 2 GB", "no results folder"])
def test_a_broken_report_is_no_pass(stack: Stack, source: str) -> None:
    run, verdict = judged(stack, pytest_request(source, name="broken report"))

    assert verdict == BROKEN
    assert "the report cannot be trusted" in stack.row(run)["detail"]


def test_a_test_that_ignores_sigterm_ends_at_its_time_limit(stack: Stack) -> None:
    script = "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; sleep 600' & while :; do sleep 1; done"

    _, verdict = judged(stack, shell(script, name="deaf", config={"timeout": 1}))

    assert verdict == LATE
