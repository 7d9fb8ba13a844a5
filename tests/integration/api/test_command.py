"""Tests of the command against a real server: data, messages, exit codes. The test itself acts as the worker."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from harness.bad_requests import REQUESTS, SUITES, Cases
from harness.rest import KEY, REQUEST, Api, begin, end, submitted
from harness.sweep import third

from api.settings import Settings
from cli import found_run, watch
from cli.client import Client
from cli.connection import connect
from cli.failure import UnreachableError
from cluster.logs import LogStore
from db import executions
from model.backoff import Backoff
from model.execution import Status
from model.ids import ExecutionId
from model.result import Outcome, Result

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _server(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_URL", api.url)
    monkeypatch.setenv("ASSAY_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def play(api: Api) -> Iterator[Callable[..., None]]:
    """Start and end the next waiting runs in a thread beside the test."""
    threads = []

    def start(*statuses: Status) -> None:
        threads.append(threading.Thread(target=lambda: [_carry_one(api, status) for status in statuses]))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def _carry_one(api: Api, status: Status) -> None:
    with api.client() as client:
        while not (waiting := client.get("/queue").json()["entries"]):
            time.sleep(0.02)
    run = ExecutionId(waiting[0]["executionId"])
    begin(api.db, run)
    outcome = Outcome.PASSED if status is Status.COMPLETED else Outcome.FAILED
    end(api.db, run, status, (Result(name="t", outcome=outcome, message="because"),))


def file(folder: Path, content: Any = REQUEST) -> str:
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.COMPLETED, 0), (Status.FAILED, 1), (Status.CANCELLED, 2), (Status.TIMEOUT, 124)],
)
def test_run_ends_with_the_exit_code_of_the_verdict(
    assay: Callable[..., Any], play: Callable[..., None], tmp_path: Path, status: Status, code: int
) -> None:
    play(status)

    ended, out, err = assay("run", file(tmp_path))

    assert ended == code
    assert out.split("\t")[1:3] == [status.value, "checkout"]
    assert "submitted" in err


def test_run_of_a_suite_ends_with_the_exit_code_of_its_worst_verdict(
    assay: Callable[..., Any], play: Callable[..., None], tmp_path: Path
) -> None:
    play(Status.COMPLETED, Status.FAILED)
    suite = {"name": "both", "tests": [REQUEST | {"name": "a"}, REQUEST | {"name": "b"}]}

    code, out, _ = assay("run", file(tmp_path, suite), "--json")

    answer = json.loads(out)
    assert (code, answer["exitCode"]) == (1, 1)
    assert [(e["name"], e["status"]) for e in answer["executions"]] == [("a", "completed"), ("b", "failed")]


def test_without_watch_only_the_id_is_printed(assay: Callable[..., Any], tmp_path: Path) -> None:
    code, out, _ = assay("run", file(tmp_path), "--no-watch")
    _, shown, _ = assay("show", out.strip()[-8:], "--json")

    assert code == 0
    assert json.loads(shown)["executionId"] == out.strip()


def test_set_and_priority_change_what_is_run(assay: Callable[..., Any], tmp_path: Path) -> None:
    arguments = ("--set", "labels.team=shop", "--set", "name=other", "--priority", "1", "--no-watch")
    _, run, _ = assay("run", file(tmp_path), *arguments)
    shown = json.loads(assay("show", run.strip(), "--json")[1])

    assert (shown["name"], shown["labels"], shown["priority"]) == ("other", {"team": "shop"}, 1)


def test_a_refused_file_ends_with_4_all_problems_and_no_upload(
    assay: Callable[..., Any], api: Api, tmp_path: Path
) -> None:
    before = api.rows()

    bad = file(tmp_path, REQUEST | {"priority": 10, "labels": {"a b": "c"}, "nmae": "x"})
    code, out, err = assay("run", bad)
    missing = assay("run", str(tmp_path / "missing.yaml"))[0]
    unknown = assay("run", file(tmp_path, REQUEST | {"env": {"A": "${secrets.nobody}"}}))
    both = assay("run", file(tmp_path, REQUEST | {"type": "k6", "env": {"A": "${secrets.nobody}"}}))
    checked = assay("validate", file(tmp_path, REQUEST | {"type": "k6", "env": {"A": "${secrets.nobody}"}}))

    assert (code, missing, unknown[0], out) == (4, 4, 4, "")
    assert [line.strip().partition(":")[0] for line in err.splitlines()[1:]] == ['labels["a b"]', "nmae", "priority"]
    assert "env.A" in unknown[2]
    assert [line.strip().partition(":")[0] for line in both[2].splitlines()[1:]] == ["env.A", "type"]
    assert "env.A" not in checked[2], "without a server"
    assert api.rows() == before


@pytest.mark.parametrize("bad", [REQUESTS, SUITES], ids=["tests", "suites"])
def test_the_command_reports_exactly_the_problems_of_each_case(
    assay: Callable[..., Any], api: Api, tmp_path: Path, bad: Cases
) -> None:
    before, wrong = api.rows(), {}
    for case in third(bad.by("command")):
        code, _, err = assay("run", file(tmp_path, bad.wrong(case)))
        told = [line[2:] for line in err.splitlines() if line.startswith("  ")]
        expected = [f"{problem['path'] or '(whole)'}: {problem['message']}" for problem in case["problems"]]
        if (code, told) != (4, expected):
            wrong[case["name"]] = (code, told)

    assert wrong == {}
    assert api.rows() == before


def test_over_quota_ends_with_6(assay: Callable[..., Any], tmp_path: Path) -> None:
    assert assay("quota", "set", "--daily", "0")[0] == 0

    code, _, err = assay("run", file(tmp_path))

    assert code == 6
    assert "quota" in err


def test_a_local_folder_is_uploaded_once_and_becomes_artifact_content(
    assay: Callable[..., Any], api: Api, tmp_path: Path
) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "run.sh").write_text("true")
    local = REQUEST | {"content": {"type": "local", "path": "suite"}}

    first = assay("run", file(tmp_path, local), "--no-watch")
    again = assay("run", file(tmp_path, local), "--no-watch")

    (kept,) = (api.state / "content").iterdir()
    request = api.db.call(
        lambda conn: executions.request_of(conn, ExecutionId(executions.resolve(conn, first[1].strip())))
    )
    assert (request.content.type, request.content.sha256) == ("artifact", kept.name)
    assert ("sent" in first[2], "sent" in again[2]) == (True, False)


def test_lists_are_plain_lines_outside_a_terminal_and_json_where_asked(
    assay: Callable[..., Any], client: httpx.Client
) -> None:
    run = submitted(client)

    _, plain, _ = assay("list")
    _, as_json, _ = assay("list", "--json")

    assert plain.count("\n") == 1
    assert plain.split("\t")[:3] == [str(run)[-8:], "queued", "checkout"]
    assert json.loads(as_json)["total"] == 1


def test_cancel_retry_queue_nodes_and_statistics(assay: Callable[..., Any], client: httpx.Client) -> None:
    run = str(submitted(client))

    assert run in assay("queue", "--json")[1]
    assert assay("queue")[1].split("\t")[1] == run[-8:]
    assert assay("retry", run)[0] == 4
    assert assay("cancel", run[-8:])[1] == f"{run}\tcancelled\n"
    assert assay("cancel", run[-8:])[1] == f"{run}\tcancelled\n"
    assert assay("retry", run, "--no-watch")[0] == 0
    for command in (
        ("nodes",), ("stats",), ("flaky",), ("quota",), ("pool",), ("secret", "list"),
        ("pool", "set", "--max-concurrent", "3"), ("secret", "set", "a", "env:A"), ("secret", "rm", "a"),
        ("results", run), ("artifacts", run), ("show", run), ("logs", run),
    ):  # fmt: skip
        assert assay(*command)[0] == 0, command
        assert json.loads(assay(*command, "--json")[1] or "null") is not None or command[0] == "secret", command
    assert assay("show", "ffffffff")[0] == 4


def test_results_and_artifacts_are_written_to_files(
    assay: Callable[..., Any], api: Api, client: httpx.Client, tmp_path: Path
) -> None:
    run = submitted(client)
    begin(api.db, run)
    end(api.db, run, Status.FAILED, (Result(name="t", outcome=Outcome.FAILED, message="because\nof"),))

    plain = assay("results", str(run))[1]
    code, out, _ = assay("results", str(run), "--junit", str(tmp_path / "report.xml"))

    assert plain == "failed\tt\t0 ms\tbecause\n"
    assert (code, out) == (0, "")
    assert "<failure" in (tmp_path / "report.xml").read_text()
    assert assay("results", str(run), "--junit", "-")[1] == (tmp_path / "report.xml").read_text()
    assert assay("artifacts", str(run), "missing.png")[0] == 4
    assert not (tmp_path / "missing.png").exists()


def test_results_are_read_page_by_page_until_the_last(
    assay: Callable[..., Any], api: Api, client: httpx.Client
) -> None:
    run = submitted(client)
    begin(api.db, run)
    names = [f"t{n:03}" for n in range(401)]
    end(api.db, run, found=tuple(Result(name=name, outcome=Outcome.PASSED) for name in names))

    plain = assay("results", str(run))
    answer = json.loads(assay("results", str(run), "--json")[1])

    assert [line.split("\t")[1] for line in plain[1].splitlines()] == names
    assert plain[2] == ""
    assert [result["name"] for result in answer["results"]] == names
    assert (answer["total"], answer["summary"]["passed"], answer["attempt"]) == (401, 401, 1)


def test_logs_follow_writes_every_byte_as_it_comes(
    assay: Callable[..., Any], api: Api, client: httpx.Client, settings: Settings, tmp_path: Path
) -> None:
    run = submitted(client)
    begin(api.db, run)
    whole = "".join(f"line {n} ü\n" for n in range(5_000)).encode() + b"\xff\x00"

    def write() -> None:
        for start in range(0, len(whole), 4_000):
            with (tmp_path / "out").open("ab") as source:
                source.write(whole[start : start + 4_000])
            LogStore(api.state / "logs").append_from(tmp_path / "out", run, 1)
            time.sleep(0.02)
        end(api.db, run)

    writer = threading.Thread(target=write)
    writer.start()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli.main", "logs", "-f", str(run)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True)
    writer.join()

    assert done.stdout == whole


def test_an_interrupted_watch_says_that_the_run_continues_and_does_not_end_with_0(
    api: Api, client: httpx.Client, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "cli.main", "run", file(tmp_path)]
    watcher = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True)
    while not client.get("/queue").json()["entries"]:
        time.sleep(0.05)
    time.sleep(0.5)

    watcher.send_signal(signal.SIGINT)
    _, err = watcher.communicate(timeout=20)

    assert watcher.returncode == 3
    assert "the run continues" in err
    assert client.get("/tests").json()["executions"][0]["status"] == "queued"


def test_a_watch_survives_a_lost_connection_and_ends_with_the_verdict(
    assay: Callable[..., Any],
    client: httpx.Client,
    api: Api,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = submitted(client)
    client.post(f"/tests/{run}/cancel")
    again = client.post(f"/tests/{run}/retry").json()["executionId"]
    answers = iter([True, True, False])
    monkeypatch.setattr(watch, "BACKOFF", Backoff(first=0.01, longest=10.0))
    monkeypatch.setattr("cli.client.Client.get", _failing_while(answers))
    begin(api.db, ExecutionId(again))
    end(api.db, ExecutionId(again), Status.FAILED)

    with connect() as connected:
        ended = watch.watch_run(connected, found_run.test(again))

    assert ended["exitCode"] == 1


def _failing_while(answers: Iterator[bool]) -> Callable[..., Any]:
    real = Client.get

    def get(self: Client, path: str, query: Any = None) -> Any:
        if next(answers, False):
            raise UnreachableError("no answer")
        return real(self, path, query)

    return get
