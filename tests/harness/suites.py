"""Suites of the real stack: sent in, looked at, and their flow runs."""

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from harness.stack import Stack, shell, until

GOOD = shell("true", name="good")
BAD = shell("exit 1", name="bad")
SLOW = shell("sleep 30", name="slow", config={"timeout": 1})


def waits_for(gate: Path) -> dict[str, Any]:
    return shell(f"until [ -e {gate} ]; do sleep 0.1; done", name="waits")


def only_worker(stack: Stack) -> str:
    return next(name for name in stack.processes if name.startswith("worker"))


def suite(*tests: dict[str, Any], name: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name or f"suite-{uuid4().hex[:8]}", "tests": list(tests), **more}


def written(document: dict[str, Any], folder: Path) -> str:
    file = folder / "suite.yaml"
    file.write_text(yaml.safe_dump(document))
    return str(file)


def places(stack: Stack, most: int) -> None:
    answer = stack.rest("PUT", "/pools/default", json={"maxConcurrentTests": most})
    assert answer.status_code == 200, answer.text


def submit(stack: Stack, document: dict[str, Any]) -> str:
    answer = stack.rest("POST", "/suites/runs", json=document)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["suiteRunId"])


def start(stack: Stack, document: dict[str, Any]) -> str:
    return stack.prefect_start({"suite": document}, "suite-run/default")


def row(stack: Stack, suite_run: str) -> dict[str, Any]:
    return stack.sql("SELECT * FROM suite_runs JOIN runs ON id = suite_run_id WHERE suite_run_id = %s", suite_run)[0]


def of_flow(stack: Stack, flow_run: str) -> str:
    query = "SELECT id AS suite_run_id FROM runs WHERE kind = 'suite' AND flow_run_id = %s"
    found = until("row of the suite's flow run", lambda: stack.sql(query, flow_run))
    return str(found[0]["suite_run_id"])


def ended(stack: Stack, suite_run: str) -> dict[str, Any]:
    until(f"suite run {suite_run} ended", lambda: row(stack, suite_run)["completed_at"], 90)
    return row(stack, suite_run)


def children(stack: Stack, suite_run: str) -> list[dict[str, Any]]:
    return stack.sql("SELECT * FROM test_executions WHERE suite_run_id = %s ORDER BY execution_id", suite_run)


def phases(stack: Stack, suite_run: str) -> Counter[str]:
    return Counter(test["phase"] for test in children(stack, suite_run))


def state_of(stack: Stack, suite_run: str) -> tuple[str, str]:
    flow_run = until("flow run of the suite", lambda: row(stack, suite_run)["flow_run_id"])
    state = stack.flow_ended(str(flow_run))
    return state["type"], state["name"]


def flow_runs(stack: Stack, deployment: str, **wanted: Any) -> list[dict[str, Any]]:
    flow, name = deployment.split("/")
    found: list[dict[str, Any]] = stack.prefect(
        "POST",
        "/flow_runs/filter",
        json={
            "flows": {"name": {"any_": [flow]}},
            "deployments": {"name": {"any_": [name]}},
            "flow_runs": wanted,
            "sort": "EXPECTED_START_TIME_ASC",
        },
    )
    return found
