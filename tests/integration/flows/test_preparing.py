"""A cancel while a test is prepared does not wait for the preparation."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness.attempts import gone, pid_in
from harness.stack import Stack, pytest_request, shell, until
from harness.suites import only_worker

BACKEND = """
import subprocess, time
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
open({note!r}, "w").write(str(child.pid))
time.sleep(600)
"""


def slow_to_install(folder: Path) -> dict[str, Any]:
    """A request whose requirements take ten minutes to build, without network; a file of `folder` has a pid of it."""
    project = (
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        "[project]\nname = 'slow'\ndynamic = ['version']\n"
    )
    files = {
        "requirements.txt": "./project\n",
        "project/pyproject.toml": project,
        "project/backend.py": BACKEND.format(note=str(folder / "pid")),
        "test_it.py": "def test_a(): pass\n",
    }
    content = {"type": "inline", "files": files}
    return pytest_request("", content=content, setup={"requirements": "requirements.txt"})


def by_rest(stack: Stack, run: str) -> None:
    assert stack.rest("POST", f"/tests/{run}/cancel").status_code == 200


def by_prefect(stack: Stack, run: str) -> None:
    flow_run = until("its flow run", lambda: stack.row(run)["flow_run_id"])
    stack.prefect("POST", f"/flow_runs/{flow_run}/set_state", json={"state": {"type": "CANCELLING"}})


@pytest.mark.parametrize("cancel", [by_rest, by_prefect])
def test_a_cancel_breaks_an_installation_off(stack: Stack, tmp_path: Path, cancel: Any) -> None:
    run = stack.submit(slow_to_install(tmp_path))
    daemon = pid_in(tmp_path / "pid")

    cancel(stack, run)

    assert stack.ended(run)["status"] == "cancelled"
    assert gone(daemon)
    assert stack.settled(run)["type"] == "CANCELLED"
    assert stack.sql("SELECT 1 FROM queue WHERE execution_id = %s", run) == []
    assert [attempt["status"] for attempt in stack.attempts(run)] == ["cancelled"]


def test_a_cancel_need_not_wait_for_anothers_installation(stack: Stack, tmp_path: Path) -> None:
    request = slow_to_install(tmp_path)
    first = stack.submit(request)
    daemon = pid_in(tmp_path / "pid")
    second = stack.submit(request)
    stack.in_phase(second, "launching")
    until("its content is there", (stack.state / "runs" / second / "1" / "work").exists)

    by_rest(stack, second)

    assert stack.ended(second)["status"] == "cancelled"
    assert stack.row(first)["phase"] == "launching"
    assert not gone(daemon)
    by_rest(stack, first)
    assert stack.ended(first)["status"] == "cancelled"


def test_a_cancel_between_the_launch_and_running_stops_what_was_launched(stack: Stack) -> None:
    worker = only_worker(stack)
    stack.fault("after-launch", "stop")
    run = stack.submit(shell("sleep 600 & sleep 600"))
    stack.struck("after-launch")
    until("its processes", lambda: stack.carriers(run))

    by_rest(stack, run)
    stack.signal(worker, signal.SIGCONT)

    assert stack.ended(run)["status"] == "cancelled"
    assert stack.carriers(run) == []


@contextmanager
def mute_server() -> Iterator[tuple[socket.socket, str]]:
    """A git server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server, f"https://localhost:{server.getsockname()[1]}/suite.git"


@pytest.fixture
def opened(stack: Stack) -> Iterator[Stack]:
    """The stack with a worker that may clone from here."""
    worker = only_worker(stack)
    stack.kill(worker)
    stack.start_worker(worker, ASSAY_ALLOWED_HOSTS="localhost")
    yield stack
    stack.kill(worker)
    stack.start_worker(worker)


def test_a_cancel_breaks_a_clone_off(opened: Stack) -> None:
    with mute_server() as (server, url):
        content = {"type": "git", "repository": url, "branch": "main", "path": "."}
        run = opened.submit(shell("true", content=content))
        conn, _ = server.accept()
        with conn:
            by_rest(opened, run)

            assert opened.ended(run)["status"] == "cancelled"
    assert [pid for pid in _programs("git") if url in _words(pid)] == []


def _programs(name: str) -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and name in _words(entry.name)]


def _words(pid: int | str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def test_nothing_of_an_installation_outlives_its_worker_and_the_next_one_builds(stack: Stack, tmp_path: Path) -> None:
    run = stack.submit(slow_to_install(tmp_path))
    daemon = pid_in(tmp_path / "pid")
    (tmp_path / "pid").unlink()
    worker = only_worker(stack)

    stack.kill(worker)
    until("it is gone", lambda: gone(daemon))
    stack.start_worker(worker)
    again = pid_in(tmp_path / "pid")

    assert again != daemon
    os.kill(again, 0)
    by_rest(stack, run)
    assert stack.ended(run)["status"] == "cancelled"
    assert len(stack.attempts(run)) == 1


def test_who_lost_a_run_while_it_prepared_it_leaves_the_next_holders_process_alone(
    stack: Stack, tmp_path: Path
) -> None:
    """The first worker stands still until the second one has taken the run over and started its test."""
    worker, gate = only_worker(stack), tmp_path / "open"
    stack.fault("before-content", "stop")
    run = stack.submit(shell(f"until [ -e {gate} ]; do sleep 0.1; done"))
    stack.struck("before-content")

    stack.start_worker("worker-next")
    until("its process", lambda: stack.carriers(run))
    stack.in_phase(run, "running")
    stack.signal(worker, signal.SIGCONT)
    stopped = until("the first one has heard of it", lambda: "does not hold the run any more" in log_of(stack, worker))
    gate.touch()
    row = stack.ended(run)
    stack.kill("worker-next", signal.SIGTERM)

    assert stopped
    assert (row["status"], len(stack.attempts(run))) == ("completed", 1)


def log_of(stack: Stack, worker: str) -> str:
    return (stack.folder / f"{worker}.log").read_text(errors="replace")
