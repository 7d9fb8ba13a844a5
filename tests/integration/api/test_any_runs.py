"""/runs: one submit, list, page, cancel and retry for runs of every kind."""

from typing import Any

import httpx
import pytest
from harness.rest import REQUEST, Api

pytestmark = pytest.mark.usefixtures("api")


def submitted(client: httpx.Client) -> tuple[str, dict[str, Any]]:
    """Submit a test and a suite; return the id of the test, and the suite run."""
    test = client.post("/tests", json=REQUEST | {"name": "alone"}).json()["executionId"]
    both = {"name": "both", "tests": [REQUEST | {"name": name} for name in ("one", "two")]}
    return test, client.post("/suites/runs", json=both).json()


def test_the_list_has_runs_of_every_kind_newest_first(client: httpx.Client, api: Api) -> None:
    test, suite = submitted(client)

    listed = client.get("/runs").json()

    assert listed["total"] == 4
    assert listed["runs"][-1]["runId"] == test
    assert {run["kind"] for run in listed["runs"]} == {"test", "suite"}
    tests = [run for run in listed["runs"] if run["parentId"] == suite["suiteRunId"]]
    assert [run["kind"] for run in tests] == ["test", "test"]


def test_the_list_is_filtered_by_kind_and_status(client: httpx.Client, api: Api) -> None:
    _, suite = submitted(client)

    found = client.get("/runs", params={"kind": "suite", "status": "queued"}).json()

    assert [run["runId"] for run in found["runs"]] == [suite["suiteRunId"]]
    assert client.get("/runs", params={"kind": "no-such-kind"}).status_code == 400


def test_a_run_of_any_kind_is_found_by_the_end_of_its_id(client: httpx.Client, api: Api) -> None:
    test, suite = submitted(client)

    for run, kind in ((test, "test"), (suite["suiteRunId"], "suite")):
        shown = client.get(f"/runs/{run[-12:]}").json()
        assert (shown["runId"], shown["kind"], shown["exitCode"]) == (run, kind, None)
        details = client.get(shown["links"]["details"].removeprefix("/api/v1"))
        assert details.status_code == 200
    assert client.get("/runs/ffffffffffff").status_code == 404


def test_a_cancel_ends_a_run_of_any_kind_and_its_exit_code_is_2(client: httpx.Client, api: Api) -> None:
    test, suite = submitted(client)

    for run in (test, suite["suiteRunId"]):
        client.post(f"/runs/{run}/cancel").raise_for_status()
        shown = client.get(f"/runs/{run}").json()
        assert (shown["status"], shown["exitCode"]) == ("cancelled", 2)


@pytest.mark.parametrize("kind", ["test", "suite"])
def test_a_run_of_any_kind_is_submitted_and_after_its_end_retried(client: httpx.Client, api: Api, kind: str) -> None:
    spec = REQUEST if kind == "test" else {"name": "both", "tests": [REQUEST]}

    made = client.post("/runs", json={"kind": kind, "spec": spec})
    too_early = client.post(f"/runs/{made.json()['runId']}/retry")
    client.post(f"/runs/{made.json()['runId']}/cancel").raise_for_status()
    again = client.post(f"/runs/{made.json()['runId']}/retry")

    assert (made.status_code, made.json()["kind"], made.json()["status"]) == (202, kind, "queued")
    assert made.headers["Location"] == made.json()["links"]["self"]
    assert too_early.status_code == 409
    assert (again.status_code, again.json()["kind"], again.json()["status"]) == (202, kind, "queued")
    assert again.json()["runId"] != made.json()["runId"]


def test_the_same_key_submits_a_run_once(client: httpx.Client, api: Api) -> None:
    body, key = {"kind": "test", "spec": REQUEST}, {"Idempotency-Key": "once"}

    first, second = (client.post("/runs", json=body, headers=key).json()["runId"] for _ in range(2))

    assert first == second


def test_all_problems_of_a_run_are_told_at_once_with_their_paths(client: httpx.Client, api: Api) -> None:
    form = client.post("/runs", json={"kind": "tst", "spce": {}})
    spec = client.post("/runs", json={"kind": "test", "spec": {"name": "", "type": "pytest", "priority": 10}})

    assert (form.status_code, spec.status_code) == (400, 400)
    assert {"kind", "spce"} <= {problem["path"] for problem in form.json()["problems"]}
    assert {"spec.name", "spec.priority", "spec.content"} <= {problem["path"] for problem in spec.json()["problems"]}
    assert client.get("/runs").json()["total"] == 0
