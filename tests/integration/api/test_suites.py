from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from harness.rest import REQUEST, Api, begin, end

from model.execution import Status
from model.ids import ExecutionId, SuiteRunId
from orchestrator import suites as cases

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def suite(*names: str, **rest: Any) -> dict[str, Any]:
    return {"name": "shop", "tests": [REQUEST | {"name": name} for name in names]} | rest


def test_a_suite_is_submitted_and_shown_in_the_order_of_its_tests(client: httpx.Client, api: Api) -> None:
    answer = client.post("/suites/runs", json=suite("c", "a", "b", schedules=[{"cron": "0 3 * * *"}]))

    assert answer.status_code == 202
    made = answer.json()
    shown = client.get(f"/suites/runs/{made['shortId']}").json()
    assert [e["name"] for e in shown["executions"]] == ["c", "a", "b"]
    assert {e["suiteRunId"] for e in shown["executions"]} == {made["suiteRunId"]}
    assert {e["door"] for e in shown["executions"]} == {"suite"}
    assert (shown["status"], shown["exitCode"]) == ("queued", None)
    assert answer.headers["location"] == shown["links"]["self"] == f"/api/v1/suites/runs/{made['suiteRunId']}"
    assert (api.rows()["test_executions"], api.rows()["suite_runs"]) == (3, 1)
    listed = client.get(f"/tests?suiteRun={made['suiteRunId']}").json()
    assert listed["total"] == 3


def test_a_suite_over_the_quota_submits_nothing(client: httpx.Client, api: Api) -> None:
    client.put("/quota", json={"maxDailyTests": 2})
    before = api.rows()

    refused = client.post("/suites/runs", json=suite("a", "b", "c"))

    assert refused.status_code == 429
    assert api.rows() == before
    assert client.post("/suites/runs", json=suite("a", "b")).status_code == 202


def test_all_problems_of_all_tests_are_reported_and_nothing_is_submitted(client: httpx.Client, api: Api) -> None:
    wrong = suite("a", "a")
    wrong["tests"][1] |= {"priority": 10, "env": {"A": "${secrets.nobody}"}}
    unknown = suite("a", "b")
    unknown["tests"][1] |= {"env": {"A": "${secrets.nobody}"}}
    missing = suite("a")
    missing["tests"][0] |= {"content": {"type": "artifact", "sha256": "0" * 64}}

    found = [client.post("/suites/runs", json=body).json()["problems"] for body in (wrong, unknown, missing)]

    paths = [[problem["path"] for problem in problems] for problems in found]
    of_wrong = ["tests[1].env.A", "tests[1].name", "tests[1].priority"]
    assert paths == [of_wrong, ["tests[1].env.A"], ["tests[0].content.sha256"]]
    assert api.rows() == dict.fromkeys(api.rows(), 0)


def test_a_suite_ends_with_its_worst_verdict(client: httpx.Client, api: Api) -> None:
    made = client.post("/suites/runs", json=suite("a", "b")).json()
    first, second = (ExecutionId(e["executionId"]) for e in made["executions"])

    begin(api.db, first)
    running = client.get(f"/suites/runs/{made['suiteRunId']}").json()
    end(api.db, first)
    begin(api.db, second)
    end(api.db, second, Status.FAILED)
    ended = client.get(f"/suites/runs/{made['suiteRunId']}").json()

    assert (running["status"], running["exitCode"]) == ("running", None)
    assert (ended["status"], ended["exitCode"]) == ("failed", 1)


def test_cancelling_a_suite_cancels_its_tests_and_a_second_time_changes_nothing(client: httpx.Client, api: Api) -> None:
    made = client.post("/suites/runs", json=suite("a", "b", "c")).json()
    runs = [ExecutionId(e["executionId"]) for e in made["executions"]]
    begin(api.db, runs[0])
    end(api.db, runs[0])
    begin(api.db, runs[1])

    first = client.post(f"/suites/runs/{made['suiteRunId']}/cancel").json()
    second = client.post(f"/suites/runs/{made['suiteRunId']}/cancel").json()
    end(api.db, runs[1], Status.CANCELLED)
    ended = client.post(f"/suites/runs/{made['suiteRunId']}/cancel").json()

    assert [e["status"] for e in first["executions"]] == ["completed", "running", "cancelled"]
    assert first["executions"][1]["cancelRequested"]
    assert first == second
    assert (ended["status"], ended["exitCode"]) == ("cancelled", 2)
    assert ended["completedAt"] is not None


def test_the_list_has_the_status_of_ended_suite_runs(client: httpx.Client, api: Api) -> None:
    made = [client.post("/suites/runs", json=suite("a", "b")).json() for _ in range(3)]
    good, bad = ([ExecutionId(e["executionId"]) for e in one["executions"]] for one in made[:2])
    for run in (*good, *bad):
        begin(api.db, run)
        end(api.db, run, Status.FAILED if run == bad[0] else Status.COMPLETED)
    for one in made[:2]:
        api.db.call(lambda conn, one=one: cases.close(conn, SuiteRunId(UUID(one["suiteRunId"]))))

    listed = client.get("/suites/runs").json()["suiteRuns"]

    assert [(run["status"], run["exitCode"]) for run in listed] == [("queued", None), ("failed", 1), ("completed", 0)]
    assert [len(run["executions"]) for run in listed] == [2, 0, 0]


def test_suite_runs_are_listed_newest_first(client: httpx.Client) -> None:
    made = [client.post("/suites/runs", json=suite("a")).json()["suiteRunId"] for _ in range(3)]

    page = client.get("/suites/runs?limit=2").json()

    assert [run["suiteRunId"] for run in page["suiteRuns"]] == made[:0:-1]
    assert (page["total"], page["links"]["next"]) == (3, "/api/v1/suites/runs?limit=2&offset=2")
    assert client.get("/suites/runs/ffffffff").status_code == 404
