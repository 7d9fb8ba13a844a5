"""/runs: one list, one page and one cancel for runs of every kind."""

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
