"""One run, three doors, one verdict."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.stack import ROOT, Stack, pytest_request, shell, until

SOURCE = """
import pytest

def test_passes():
    assert True

@pytest.mark.skip(reason="not today")
def test_is_skipped():
    assert False

def test_fails():
    assert 1 == 2
"""


def by_rest(stack: Stack, request: dict[str, Any], folder: Path) -> str:
    return stack.submit(request)


def by_command(stack: Stack, request: dict[str, Any], folder: Path) -> str:
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(request))
    answer = stack.assay("run", str(file), "--no-watch", "--json")
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    return str((told["executions"][0] if "executions" in told else told)["executionId"])


def by_prefect(stack: Stack, request: dict[str, Any], folder: Path) -> str:
    flow_run = stack.prefect_start({"test": request})
    return str(until("row of the flow run", lambda: stack.row_of_flow(flow_run).get("execution_id")))


DOORS = {"rest": by_rest, "command": by_command, "prefect": by_prefect}
STATES = {
    "completed": ("COMPLETED", "Completed"),
    "tests_failed": ("FAILED", "Failed"),
    "no_tests": ("FAILED", "NoTests"),
    "timeout": ("FAILED", "TimedOut"),
    "start": ("FAILED", "Misconfigured"),
}


OWN_IDS = {"id", "execution_id", "definition_id", "owner_id", "result_id", "flow_run_id", "submitted_by", "team_id"}
OWN_TIMES = {"created_at", "updated_at", "submitted_at", "started_at", "completed_at", "ended_at", "executed_at"}
OWN = OWN_IDS | OWN_TIMES | {"door", "duration_ms", "metrics", "epoch", "idempotency_key", "request_digest"}
"""What a run has of its own; all else must be equal. Prefect's runs count for a user of their own, and so have a
definition of their own: its content, configuration and version must be the same."""


def shared(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in OWN}


def test_one_suite_through_all_doors_gives_equal_rows_and_equal_verdicts(stack: Stack, tmp_path: Path) -> None:
    policy = {"maxRetries": 1, "backoffSeconds": 0, "backoffStrategy": "fixed"}
    config = {"timeout": 60, "env": {"A": "1"}, "retryPolicy": policy}
    request = pytest_request(SOURCE, name="three doors", config=config, priority=3, labels={"a": "b"}, tags=["smoke"])
    runs = {door: submit(stack, request, tmp_path) for door, submit in DOORS.items()}
    for run in runs.values():
        stack.ended(run)
    states = {door: stack.settled(run) for door, run in runs.items()}

    rows = {door: shared(stack.row(run)) for door, run in runs.items()}
    attempts = {door: [shared(row) for row in stack.attempts(run)] for door, run in runs.items()}
    results = {door: [shared(row) for row in stack.results(run)] for door, run in runs.items()}
    definitions = {door: definition(stack, run) for door, run in runs.items()}

    assert definitions["rest"] == definitions["command"] == definitions["prefect"]
    assert rows["rest"] == rows["command"] == rows["prefect"]
    assert attempts["rest"] == attempts["command"] == attempts["prefect"]
    assert results["rest"] == results["command"] == results["prefect"]
    assert len({(state["type"], state["name"], state["message"]) for state in states.values()}) == 1
    assert (rows["rest"]["status"], rows["rest"]["failure_reason"]) == ("failed", "tests_failed")
    assert (rows["rest"]["priority"], rows["rest"]["retry_count"]) == (3, 1)
    assert rows["rest"]["progress"] == {
        "totalTests": 3, "completed": 3, "passed": 1, "failed": 1, "skipped": 1, "percentComplete": 100,
    }  # fmt: skip
    assert [(row["number"], row["cause"], row["exit_code"]) for row in attempts["rest"]] == [
        (1, "first", 1),
        (2, "retry", 1),
    ]
    assert [row["status"] for row in results["rest"]] == ["failed", "skipped", "passed"] * 2
    assert definitions["rest"]["config"]["timeout"] == 60
    assert states["rest"]["type"] == "FAILED"


def definition(stack: Stack, run: str) -> dict[str, Any]:
    (found,) = stack.sql("SELECT * FROM test_definitions WHERE id = %s", stack.row(run)["definition_id"])
    return shared(found)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("outcome", "request_"),
    [
        ("completed", shell("true")),
        ("tests_failed", shell("exit 1")),
        ("no_tests", pytest_request("x = 1")),
        ("timeout", shell("sleep 30", config={"timeout": 1})),
    ],
)
def test_each_verdict_reaches_the_row_and_prefect_by_every_door(
    stack: Stack, tmp_path: Path, door: str, outcome: str, request_: dict[str, Any]
) -> None:
    run = DOORS[door](stack, request_, tmp_path)

    row = stack.ended(run)
    state = stack.settled(run)

    assert outcome in {row["status"], row["failure_reason"]}
    assert (state["type"], state["name"]) == STATES[outcome]


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        (0, shell("true")),
        (1, shell("exit 1")),
        (5, pytest_request("x = 1")),
        (124, shell("sleep 30", config={"timeout": 1})),
        (4, shell("true", content={"type": "git", "repository": "https://127.0.0.1:1/x.git", "path": "."})),
        (4, shell("true", priority=11)),
    ],
)
def test_the_command_ends_with_the_code_of_the_verdict(
    stack: Stack, tmp_path: Path, code: int, request_: dict[str, Any]
) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(request_))

    answer = stack.assay("run", str(file), "--watch", timeout=120)

    assert answer.returncode == code, answer.stdout + answer.stderr


def test_a_bad_request_by_prefect_fails_with_all_problems_and_writes_nothing(stack: Stack) -> None:
    before = stack.sql("SELECT count(*) AS n FROM test_executions")[0]["n"]
    bad = shell("true", priority=11, config={"timeout": 0, "env": {"PATH": "x"}})

    state = stack.flow_ended(stack.prefect_start({"test": bad}))

    assert (state["type"], state["name"]) == ("FAILED", "Refused")
    for path in ("priority", "config.timeout", "config.env.PATH"):
        assert f"\n{path}: " in state["message"]
    assert stack.sql("SELECT count(*) AS n FROM test_executions")[0]["n"] == before


def test_a_warning_of_a_submit_by_prefect_stands_in_the_flow_runs_log(stack: Stack) -> None:
    flow = stack.prefect_start({"test": shell("true", config={"nodeSelector": {"disk": "of-nobody"}})})

    told = until("a warning in the log", lambda: _warnings(stack, flow))
    stack.rest("POST", f"/tests/{stack.row_of_flow(flow)['execution_id']}/cancel")

    assert "no node matches: of 1, 1 without label disk=of-nobody" in told[0]


def _warnings(stack: Stack, flow_run: str) -> list[str]:
    wanted = {"logs": {"flow_run_id": {"any_": [flow_run]}, "level": {"ge_": logging.WARNING}}}
    return [line["message"] for line in stack.prefect("POST", "/logs/filter", json=wanted)]


def test_priority_0_by_rest_overtakes_20_waiting_prefect_runs(stack: Stack) -> None:
    blocker = stack.submit(shell("sleep 60", name="blocker", resources={"cpuRequest": _all_cpu(stack)}))
    stack.in_phase(blocker, "running")
    flows = [
        stack.prefect_start({"test": shell("sleep 0.2", name="low", resources={"cpuRequest": _all_cpu(stack)})})
        for _ in range(20)
    ]
    until("20 in the queue", lambda: all(stack.row_of_flow(f).get("phase") == "waiting" for f in flows), 90)
    urgent = stack.submit(shell("true", name="urgent", priority=0, resources={"cpuRequest": _all_cpu(stack)}))

    stack.rest("POST", f"/tests/{blocker}/cancel")
    first = stack.ended(urgent)
    started = [stack.row_of_flow(f)["started_at"] for f in flows]

    assert first["status"] == "completed"
    assert all(begun is None or begun > first["started_at"] for begun in started)
    for flow in flows:
        stack.rest("POST", f"/tests/{stack.row_of_flow(flow)['execution_id']}/cancel")


def _all_cpu(stack: Stack) -> str:
    return f"{stack.sql('SELECT max(cpu_milli) AS n FROM nodes')[0]['n']}m"


def test_the_command_ends_with_2_when_the_run_is_cancelled(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(shell("sleep 60", name="to be cancelled")))
    watching = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "run", str(file), "--watch"], cwd=ROOT, env=stack.environment()
    )
    query = (
        "SELECT e.execution_id FROM test_executions e JOIN test_definitions d ON d.id = e.definition_id "
        "WHERE d.name = 'to be cancelled' AND e.phase = 'running'"
    )
    run = until("it runs", lambda: stack.sql(query))[0]["execution_id"]
    stack.rest("POST", f"/tests/{run}/cancel")

    assert watching.wait(60) == 2


def test_the_command_ends_with_6_when_the_daily_quota_is_used_up(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(shell("true")))
    stack.sql("UPDATE users SET quota = quota || '{\"max_daily_tests\": 0}' WHERE username = 'local'")

    answer = stack.assay("run", str(file), "--watch")
    stack.sql("UPDATE users SET quota = quota || '{\"max_daily_tests\": 10000}' WHERE username = 'local'")

    assert answer.returncode == 6, answer.stderr
