"""Suite runs are things that commands take: show, results, JUnit, list, cancel. The id alone tells the kind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from harness.rest import REQUEST, Api, begin, end, submitted

from model.execution import Status
from model.ids import ExecutionId
from model.result import Outcome, Result

PASSED = Result(name="t.py::test_good", outcome=Outcome.PASSED, duration_ms=5)
FAILED = Result(name="t.py::test_bad", outcome=Outcome.FAILED, message="AssertionError: 1", trace="line 1\nline 2")


@pytest.fixture
def shop(client: httpx.Client, api: Api) -> dict[str, Any]:
    """Submit a suite of two tests: one passed, one failed."""
    tests = [REQUEST | {"name": name} for name in ("cart", "search")]
    made: dict[str, Any] = client.post("/suites/runs", json={"name": "shop", "tests": tests}).json()
    cart, search = (ExecutionId(test["executionId"]) for test in made["executions"])
    begin(api.db, cart)
    end(api.db, cart, Status.COMPLETED, (PASSED,))
    begin(api.db, search)
    end(api.db, search, Status.FAILED, (PASSED, FAILED))
    return made


def test_show_takes_any_run(assay: Callable[..., Any], client: httpx.Client, shop: dict[str, Any]) -> None:
    alone = submitted(client, name="alone")

    code, out, _ = assay("show", shop["suiteRunId"][-10:])

    assert code == 0
    assert "tests      1 passed, 1 failed\n" in out
    assert [line.split("\t")[1:3] for line in out.splitlines() if "\t" in line] == [
        ["completed", "cart"],
        ["failed", "search"],
    ]
    assert "alone" in assay("show", str(alone))[1]
    assert json.loads(assay("show", shop["suiteRunId"], "--json")[1])["suiteRunId"] == shop["suiteRunId"]


def test_results_of_a_suite_run_are_those_of_its_tests(assay: Callable[..., Any], shop: dict[str, Any]) -> None:
    _, out, err = assay("results", shop["suiteRunId"])
    _, only_failed, _ = assay("results", shop["suiteRunId"], "--failed")
    as_json = json.loads(assay("results", shop["suiteRunId"], "--json")[1])

    assert [line.split("\t")[:3] for line in out.splitlines()] == [
        ["cart", "passed", "t.py::test_good"],
        ["search", "failed", "t.py::test_bad"],
        ["search", "passed", "t.py::test_good"],
    ]
    assert only_failed == "search\tfailed\tt.py::test_bad\t0 ms\tAssertionError: 1\n"
    assert "    line 1\n    line 2\n" in err
    assert [(test["name"], test["total"]) for test in as_json] == [("cart", 1), ("search", 2)]


def test_the_junit_file_of_a_suite_run_has_a_suite_for_each_test(
    assay: Callable[..., Any], shop: dict[str, Any], tmp_path: Path
) -> None:
    code, _, _ = assay("results", shop["suiteRunId"], "--junit", str(tmp_path / "report.xml"))

    root = ET.fromstring((tmp_path / "report.xml").read_bytes())  # noqa: S314  our own report
    assert code == 0
    assert (root.attrib["name"], root.attrib["tests"], root.attrib["failures"]) == ("shop", "3", "1")
    assert [(suite.attrib["name"], len(suite.findall("testcase"))) for suite in root] == [("cart", 1), ("search", 2)]


def test_suite_runs_are_listed_with_the_number_of_their_tests(
    assay: Callable[..., Any], client: httpx.Client, shop: dict[str, Any]
) -> None:
    waiting = client.post("/suites/runs", json={"name": "later", "tests": [REQUEST]}).json()

    code, out, _ = assay("list", "--suites")

    assert code == 0
    assert [(cells[0], cells[1], cells[2], cells[-1]) for cells in (line.split("\t") for line in out.splitlines())] == [
        (waiting["suiteRunId"][-8:], "queued", "later", "1 waiting"),
        (shop["suiteRunId"][-8:], "failed", "shop", "1 passed, 1 failed"),
    ]
    assert assay("list", "--suites", "--status", "failed")[0] == 4
    assert assay("list", "--suites", "--limit", "1")[2] == "1 more: --offset 1\n"


def test_the_counts_of_an_ended_suite_run_are_the_same_in_its_page_and_in_the_list(
    client: httpx.Client, shop: dict[str, Any]
) -> None:
    client.post(f"/suites/runs/{shop['suiteRunId']}/cancel")  # closes it, as its flow would
    page = client.get(f"/suites/runs/{shop['suiteRunId']}").json()
    [listed] = client.get("/suites/runs").json()["suiteRuns"]

    assert page["completedAt"]
    assert listed["executions"] == []
    assert listed["counts"] == page["counts"]
    assert (page["counts"]["completed"], page["counts"]["failed"]) == (1, 1)
    assert listed["durationSeconds"] == page["durationSeconds"] > 0


def test_tests_of_a_suite_run_are_listed_by_a_part_of_its_id(
    assay: Callable[..., Any], client: httpx.Client, shop: dict[str, Any]
) -> None:
    submitted(client, name="alone")

    _, out, _ = assay("list", "--suite", shop["suiteRunId"][-8:])

    assert sorted(line.split("\t")[2] for line in out.splitlines()) == ["cart", "search"]


def test_cancel_takes_a_suite_run_by_its_id_alone(assay: Callable[..., Any], client: httpx.Client) -> None:
    made = client.post("/suites/runs", json={"name": "shop", "tests": [REQUEST]}).json()["suiteRunId"]

    assert assay("cancel", made)[:2] == (0, f"{made}\tcancelled\n")
    assert assay("cancel", "--suite", made)[:2] == (0, f"{made}\tcancelled\n")
    assert client.get(f"/suites/runs/{made}").json()["status"] == "cancelled"


def test_retry_runs_a_whole_suite_again(assay: Callable[..., Any], client: httpx.Client, shop: dict[str, Any]) -> None:
    client.post(f"/suites/runs/{shop['suiteRunId']}/cancel")  # closes it, as its flow would

    code, out, err = assay("retry", shop["suiteRunId"], "--no-watch")

    again = client.get(f"/suites/runs/{out.strip()}").json()
    assert (code, err) == (0, f"submitted {out.strip()}\n")
    assert out.strip() != shop["suiteRunId"]
    assert sorted(test["name"] for test in again["executions"]) == ["cart", "search"]


def test_what_only_a_single_test_has_is_refused_for_a_suite_run(
    assay: Callable[..., Any], shop: dict[str, Any]
) -> None:
    assert assay("artifacts", shop["suiteRunId"])[0] == 4
    assert assay("results", shop["suiteRunId"], "--attempt", "1")[0] == 4
