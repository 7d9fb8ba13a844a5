"""`assay results`: why a test failed, what was flaky over the attempts, and attempts that were never made."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from harness.rest import Api, begin, end, submitted
from sqlalchemy import Connection

from db import executions, results
from model.execution import Reason, Status, Verdict
from model.ids import ExecutionId
from model.result import Outcome, Result

TRACE = "def test_bad():\n>   assert 1 == 2\nE   assert 1 == 2\n\x1b[31mt.py:2\x1b[0m: AssertionError"
BAD = Result(name="t.py::test_bad", outcome=Outcome.FAILED, message="assert 1 == 2", trace=TRACE)
GOOD = Result(name="t.py::test_good", outcome=Outcome.PASSED)


@pytest.fixture
def run(client: httpx.Client, api: Api) -> ExecutionId:
    """Submit a test that runs."""
    made = submitted(client)
    begin(api.db, made)
    return made


def try_again(api: Api, run: ExecutionId, *found: Result, reason: Reason = Reason.TESTS_FAILED) -> None:
    """End the attempt of a run with these results, and begin the next one."""

    def change(conn: Connection) -> None:
        number = executions.attempts(conn, run)[-1].number
        results.replace(conn, run, number, found)
        executions.close_attempt(conn, run, number, Verdict(status=Status.FAILED, reason=reason), 1)
        executions.open_attempt(conn, run, epoch=0, node="here")

    api.db.call(change)


def test_a_failure_is_shown_with_its_message_and_its_trace(
    assay: Callable[..., Any], api: Api, run: ExecutionId
) -> None:
    end(api.db, run, Status.FAILED, (GOOD, BAD))

    code, out, err = assay("results", str(run))

    assert code == 0
    assert sorted(out.splitlines()) == [
        "failed\tt.py::test_bad\t0 ms\tassert 1 == 2",
        "passed\tt.py::test_good\t0 ms\t",
    ]
    assert "t.py::test_bad\n    def test_bad():\n    >   assert 1 == 2\n    E   assert 1 == 2\n" in err
    assert "\x1b" not in err, "a test must not control the terminal"
    assert "test_good" not in err


def test_only_failures_are_listed_where_asked(assay: Callable[..., Any], api: Api, run: ExecutionId) -> None:
    end(api.db, run, Status.FAILED, (GOOD, BAD))

    assert assay("results", str(run), "--failed")[1] == "failed\tt.py::test_bad\t0 ms\tassert 1 == 2\n"


def test_no_failure_is_said_in_words(assay: Callable[..., Any], api: Api, run: ExecutionId) -> None:
    end(api.db, run, Status.COMPLETED, (GOOD,))

    assert assay("results", str(run), "--failed") == (0, "", "no test failed\n")


def test_what_failed_in_an_earlier_attempt_and_passed_in_the_last_is_flaky(
    assay: Callable[..., Any], api: Api, client: httpx.Client, run: ExecutionId
) -> None:
    try_again(api, run, GOOD, BAD)
    try_again(api, run, GOOD, BAD)
    end(api.db, run, Status.COMPLETED, (GOOD, Result(name=BAD.name, outcome=Outcome.PASSED)))

    _, out, _ = assay("results", str(run))
    answer = client.get(f"/tests/{run}/results").json()

    assert "passed\tt.py::test_bad\t0 ms\tflaky: failed before in attempt 1, 2\n" in out
    assert "passed\tt.py::test_good\t0 ms\t\n" in out
    assert {r["name"]: (r["flaky"], r["failedInAttempts"]) for r in answer["results"]} == {
        "t.py::test_bad": (True, [1, 2]),
        "t.py::test_good": (False, []),
    }


def test_a_failure_of_an_attempt_that_the_infrastructure_ended_makes_nothing_flaky(
    api: Api, client: httpx.Client, run: ExecutionId
) -> None:
    try_again(api, run, BAD, reason=Reason.NODE_LOST)
    end(api.db, run, Status.COMPLETED, (Result(name=BAD.name, outcome=Outcome.PASSED),))

    [result] = client.get(f"/tests/{run}/results").json()["results"]

    assert (result["flaky"], result["failedInAttempts"]) == (False, [])


@pytest.mark.parametrize("junit", [(), ("--junit", "-")])
def test_an_attempt_that_an_ended_run_did_not_have_is_refused(
    assay: Callable[..., Any], api: Api, run: ExecutionId, junit: tuple[str, ...]
) -> None:
    end(api.db, run, Status.COMPLETED, (GOOD,))

    code, out, err = assay("results", str(run), "--attempt", "7", *junit)

    assert (code, out) == (4, "")
    assert f"no attempt 7 of run {str(run)[-8:]}, which had 1 attempt" in err
    assert assay("results", str(run), "--attempt", "1", *junit)[0] == 0


def test_a_run_that_has_not_ended_has_no_results_yet(assay: Callable[..., Any], run: ExecutionId) -> None:
    assert assay("results", str(run)) == (0, "", "no results yet\n")
    assert assay("results", str(run), "--attempt", "7") == (0, "", "no results yet\n")


def test_an_ended_run_without_results_does_not_promise_any(
    assay: Callable[..., Any], api: Api, run: ExecutionId
) -> None:
    end(api.db, run, Status.FAILED)

    code, out, err = assay("results", str(run), "--json")

    assert json.loads(out)["results"] == []
    assert (code, assay("results", str(run))[2]) == (0, "it left no results\n"), err
