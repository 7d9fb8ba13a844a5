"""`assay wait`, and `logs -f`: who was away comes back to a run, and always gets the exit code of its verdict."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from harness.rest import REQUEST, Api, begin, end, submitted
from harness.stack import until

from cli import watch
from cli.client import Client
from cli.failure import UnreachableError
from cluster.logs import LogStore
from model.backoff import Backoff
from model.execution import Status
from model.ids import ExecutionId, RunId

ROOT = Path(__file__).resolve().parents[3]
CODES = {Status.COMPLETED: 0, Status.FAILED: 1, Status.CANCELLED: 2, Status.TIMEOUT: 124}


def ended(client: httpx.Client, api: Api, status: Status) -> ExecutionId:
    run = submitted(client)
    begin(api.db, run)
    end(api.db, run, status)
    return run


def suite(client: httpx.Client, api: Api, *statuses: Status) -> dict[str, Any]:
    """Submit a suite with a test for each status, and end them so."""
    names = [f"test-{number}" for number in range(len(statuses))]
    answer = client.post("/suites/runs", json={"name": "shop", "tests": [REQUEST | {"name": name} for name in names]})
    made: dict[str, Any] = answer.json()
    for test, status in zip(made["executions"], statuses, strict=True):
        if status is not Status.QUEUED:
            begin(api.db, ExecutionId(test["executionId"]))
            end(api.db, ExecutionId(test["executionId"]), status)
    return made


def log_of(api: Api, folder: Path, run: str, content: bytes) -> None:
    source = folder / f"log of {run}"
    source.write_bytes(content)
    LogStore(api.state / "logs").append_from(source, ExecutionId(RunId(UUID(run))), 1)


@pytest.mark.parametrize("status", CODES)
def test_wait_ends_with_the_exit_code_of_a_verdict_that_was_there_before(
    assay: Callable[..., Any], api: Api, client: httpx.Client, status: Status
) -> None:
    run = ended(client, api, status)

    given, out, _ = assay("wait", str(run)[-8:])

    assert given == CODES[status]
    assert out.split("\t")[1:3] == [status.value, "checkout"]


@pytest.mark.parametrize("status", CODES)
def test_following_a_log_ends_with_the_exit_code_of_the_verdict(
    assay: Callable[..., Any], api: Api, client: httpx.Client, tmp_path: Path, status: Status
) -> None:
    run = ended(client, api, status)
    log_of(api, tmp_path, str(run), b"one line\n")

    given, out, err = assay("logs", "-f", str(run))

    assert (given, out) == (CODES[status], "one line\n")
    assert status.value in err
    assert assay("logs", str(run))[0] == 0, "without --follow there is no verdict to tell"


def test_wait_for_a_suite_run_ends_with_its_worst_verdict_and_a_closing_line(
    assay: Callable[..., Any], api: Api, client: httpx.Client
) -> None:
    made = suite(client, api, Status.COMPLETED, Status.FAILED, Status.COMPLETED)

    code, out, err = assay("wait", made["suiteRunId"])

    assert code == 1
    assert [line.split("\t")[1] for line in out.splitlines()] == ["completed", "failed", "completed"]
    assert err.splitlines()[-1].startswith("shop: 2 passed, 1 failed in ")


def test_the_end_of_the_patience_is_no_verdict(assay: Callable[..., Any], client: httpx.Client) -> None:
    run = submitted(client)

    code, out, err = assay("wait", str(run), "--timeout", "0.1")

    assert (code, out) == (3, "")
    assert "it continues" in err
    assert client.get(f"/tests/{run}").json()["status"] == "queued"


def test_a_run_that_does_not_end_in_time_is_left_alone_too(
    assay: Callable[..., Any], client: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "test.json"
    file.write_text(json.dumps(REQUEST))

    code, out, err = assay("run", str(file), "--timeout", "0.1")

    assert (code, out) == (3, "")
    assert "it continues" in err
    [run] = client.get("/tests").json()["executions"]
    assert run["status"] == "queued"


def test_wait_goes_on_while_the_server_is_away(
    assay: Callable[..., Any], api: Api, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the server is away when the command starts: the first request is the one that finds the run."""
    run = ended(client, api, Status.FAILED)
    away = iter([True, True, False, True])
    monkeypatch.setattr(watch, "BACKOFF", Backoff(first=0.01, longest=0.01))
    monkeypatch.setattr(Client, "get", failing_while(away))

    code, _, err = assay("wait", str(run))

    assert code == 1
    assert err.count("trying again") == 2


def failing_while(away: Iterator[bool]) -> Callable[..., Any]:
    real = Client.get

    def get(self: Client, path: str, query: Any = None) -> Any:
        if next(away, False):
            raise UnreachableError("no answer")
        return real(self, path, query)

    return get


@pytest.mark.parametrize("command", [["wait"], ["logs", "-f"]])
def test_who_lets_go_is_told_how_to_come_back_and_gets_no_verdict(
    api: Api, client: httpx.Client, command: list[str], assay: Callable[..., Any]
) -> None:
    run = submitted(client)
    words = [sys.executable, "-m", "cli.main", *command, str(run)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    watcher = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    until("it has begun to watch", lambda: established(watcher.pid), 20)

    watcher.send_signal(signal.SIGINT)
    _, err = watcher.communicate(timeout=20)

    assert watcher.returncode == 3
    assert f"`assay wait {run}` to watch it again" in err


def established(pid: int) -> bool:
    """Say whether a process has an open connection, by /proc."""
    found = [link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return any(name.startswith("socket:") for name in found)


def test_the_logs_of_a_suite_run_begin_with_the_names_of_their_tests(
    assay: Callable[..., Any], api: Api, client: httpx.Client, tmp_path: Path
) -> None:
    made = suite(client, api, Status.COMPLETED, Status.FAILED)
    first, second = (test["executionId"] for test in made["executions"])
    log_of(api, tmp_path, first, b"a\n\nb\n")
    log_of(api, tmp_path, second, b"c without an end")
    expected = "test-0 | a\ntest-0 | \ntest-0 | b\ntest-1 | c without an end\n"

    read = assay("logs", made["suiteRunId"])
    followed = assay("logs", "-f", made["suiteRunId"])

    assert read[:2] == (0, expected)
    assert followed[:2] == (1, expected)
