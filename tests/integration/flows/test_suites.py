"""Suites on a real stack: submitted whole, ended like their worst test, carried by any worker."""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from harness.stack import Stack, shell, until
from harness.suites import (
    BAD,
    GOOD,
    SLOW,
    children,
    ended,
    of_flow,
    only_worker,
    phases,
    places,
    row,
    start,
    state_of,
    submit,
    suite,
    waits_for,
    written,
)
from harness.sweep import third


@pytest.fixture
def settings(stack: Stack) -> Iterator[Stack]:
    """The stack; afterwards with the quota and the pool that it had before."""
    quotas = stack.sql("SELECT user_id, quota FROM users")
    pool = stack.sql("SELECT max_concurrent_tests FROM pools WHERE name = 'default'")[0]
    yield stack
    for user in quotas:
        stack.sql("UPDATE users SET quota = %s WHERE user_id = %s", json.dumps(user["quota"]), user["user_id"])
    places(stack, pool["max_concurrent_tests"])


# -- verdicts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tests", "wanted"),
    [
        ([GOOD], ("completed", 0, ("COMPLETED", "Completed"))),
        ([GOOD, SLOW, BAD], ("timeout", 124, ("FAILED", "TimedOut"))),
    ],
)
def test_a_suite_ends_with_its_worst_verdict_by_every_door(
    stack: Stack, tmp_path: Path, tests: list[dict[str, Any]], wanted: tuple[str, int, tuple[str, str]]
) -> None:
    status, code, state = wanted
    document = suite(*tests)
    flow_run = start(stack, document)
    by_rest = submit(stack, document)
    told = stack.assay("run", written(document, tmp_path), "--json", timeout=120)
    runs = [by_rest, json.loads(told.stdout)["suiteRunId"], of_flow(stack, flow_run)]

    rows = [ended(stack, run) for run in runs]
    shown = [stack.rest("GET", f"/suites/runs/{run}").json() for run in runs]

    assert told.returncode == code, told.stderr
    assert {found["status"] for found in rows} == {status}
    assert {(answer["status"], answer["exitCode"]) for answer in shown} == {(status, code)}
    assert {tuple(test["name"] for test in answer["executions"]) for answer in shown} == {
        tuple(test["name"] for test in tests)
    }
    assert {state_of(stack, run) for run in runs} == {state}


def test_a_bad_suite_by_prefect_is_refused_with_all_problems_and_writes_nothing(stack: Stack) -> None:
    document = suite(GOOD, {**BAD, "priority": 11}, {**SLOW, "config": {"timeout": 0}}, name="refused")

    state = stack.flow_ended(start(stack, document))

    assert (state["type"], state["name"]) == ("FAILED", "Refused")
    assert "\ntests[1].priority: " in state["message"]
    assert "\ntests[2].config.timeout: " in state["message"]
    assert stack.sql("SELECT 1 FROM suite_runs WHERE name = 'refused'") == []


# -- all or none, and no place ----------------------------------------------------------------------------------------


def test_of_suites_at_once_each_is_written_whole_or_not_at_all(settings: Stack) -> None:
    """Six suites of twenty, fifty left of the daily quota: two fit. Nobody ever sees a part of one."""
    stack = settings
    places(stack, 0)
    used = stack.rest("GET", "/quota").json()["user"]["today"]
    assert stack.rest("PUT", "/quota", json={"user": "local", "maxDailyTests": used + 50}).status_code == 200
    names = [f"whole-{uuid4().hex[:8]}" for _ in range(6)]
    documents = [suite(*({**GOOD, "name": f"{n}"} for n in range(20)), name=name) for name in names]

    with sizes_seen(stack, names) as parts, ThreadPoolExecutor(6) as threads:
        codes = list(threads.map(lambda d: stack.rest("POST", "/suites/runs", json=d).status_code, documents))

    accepted = [name for name, code in zip(names, codes, strict=True) if code == 202]
    runs = stack.sql("SELECT suite_run_id, name FROM suite_runs WHERE name = ANY(%s)", names)
    for run in runs:
        stack.rest("POST", f"/suites/runs/{run['suite_run_id']}/cancel")
    assert Counter(codes) == {202: 2, 429: 4}
    assert sorted(run["name"] for run in runs) == sorted(accepted)
    assert set(parts) <= {20}
    assert [len(children(stack, str(run["suite_run_id"]))) for run in runs] == [20, 20]
    assert stack.rest("GET", "/quota").json()["user"]["today"] == used + 40


class sizes_seen:  # noqa: N801  reads as a phrase at its one use
    """Look again and again, from outside, how many tests the suites have."""

    def __init__(self, stack: Stack, names: Sequence[str]) -> None:
        self._stack, self._names = stack, list(names)
        self._seen: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Sequence[int]:
        self._thread.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        query = """
            SELECT count(e.execution_id) AS n FROM suite_runs s LEFT JOIN test_executions e USING (suite_run_id)
            WHERE s.name = ANY(%s) GROUP BY s.suite_run_id
        """
        with self._stack.connect() as conn, conn.cursor() as cursor:
            while not self._stop.wait(0.005):
                cursor.execute(query, (self._names,))
                self._seen.extend(found["n"] for found in cursor.fetchall())


def test_a_suite_holds_no_place(settings: Stack) -> None:
    """Two suites of many tests end in a pool where one test may run at a time, and never two run at once."""
    stack = settings
    places(stack, 1)
    document = suite(*({**GOOD, "name": f"{number}"} for number in range(3)))
    runs = [submit(stack, document), of_flow(stack, start(stack, document))]

    rows = [ended(stack, run) for run in runs]

    together = stack.sql(
        "SELECT 1 FROM test_attempts a JOIN test_attempts b ON a.execution_id < b.execution_id "
        "AND a.started_at < b.ended_at AND b.started_at < a.ended_at "
        "WHERE a.execution_id = ANY(%s::uuid[]) AND b.execution_id = ANY(%s::uuid[])",
        *[[str(test["execution_id"]) for run in runs for test in children(stack, run)]] * 2,
    )
    assert {found["status"] for found in rows} == {"completed"}
    assert together == []


# -- cancel -----------------------------------------------------------------------------------------------------------


def by_rest(stack: Stack, suite_run: str) -> None:
    assert stack.rest("POST", f"/suites/runs/{suite_run}/cancel").status_code == 200


def by_command(stack: Stack, suite_run: str) -> None:
    assert stack.assay("cancel", "--suite", suite_run).returncode == 0


def by_prefect(stack: Stack, suite_run: str) -> None:
    cancelling = {"state": {"type": "CANCELLING"}}
    stack.prefect("POST", f"/flow_runs/{row(stack, suite_run)['flow_run_id']}/set_state", json=cancelling)


@pytest.mark.parametrize("cancel", third([by_rest, by_command, by_prefect]))
def test_cancelling_a_suite_cancels_all_its_tests(settings: Stack, cancel: Any) -> None:
    stack = settings
    places(stack, 1)
    document = suite(shell("sleep 60", name="runs"), GOOD, BAD)
    suite_run = of_flow(stack, start(stack, document))
    until("one runs, two wait", lambda: phases(stack, suite_run) == {"running": 1, "waiting": 2})

    cancel(stack, suite_run)
    found = ended(stack, suite_run)
    second = stack.rest("POST", f"/suites/runs/{suite_run}/cancel").json()

    tests = children(stack, suite_run)
    assert {test["status"] for test in tests} == {"cancelled"}
    assert (found["status"], second["status"], second["exitCode"]) == ("cancelled", "cancelled", 2)
    assert found == {**row(stack, suite_run), "settled": found["settled"]}
    assert state_of(stack, suite_run) == ("CANCELLED", "Cancelled")
    assert [pid for test in tests for pid in stack.carriers(str(test["execution_id"]))] == []


# -- retry ------------------------------------------------------------------------------------------------------------


def retry(stack: Stack, flow_run: str) -> None:
    """What the button of Prefect's UI does."""
    awaiting = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
    stack.prefect("POST", f"/flow_runs/{flow_run}/set_state", json={"state": awaiting})


@pytest.mark.parametrize("door", ["rest", "prefect"])
def test_retry_in_prefect_makes_a_new_execution_every_time(stack: Stack, door: str) -> None:
    old = stack.submit(BAD) if door == "rest" else None
    flow_run = stack.prefect_start({"test": BAD}) if old is None else None
    run = old or str(until("row", lambda: stack.row_of_flow(str(flow_run)).get("execution_id")))
    stack.settled(run)
    flow_run = str(stack.row(run)["flow_run_id"])
    runs = [run]

    for _ in range(2):
        retry(stack, flow_run)
        until("a new run", lambda: stack.row_of_flow(flow_run).get("execution_id") not in {None, *runs})
        runs.append(stack.row_of_flow(flow_run)["execution_id"])
        assert stack.settled(runs[-1])["type"] == "FAILED"

    rows = [stack.row(run) for run in runs]
    assert [str(row["retried_from"]) for row in rows] == ["None", *map(str, runs[:-1])]
    assert len({row["definition_id"] for row in rows}) == 1
    assert [str(row["flow_run_id"]) for row in rows] == ["None", "None", flow_run]
    assert [row["status"] for row in rows] == ["failed"] * 3


def test_retry_in_prefect_of_an_ended_suite_makes_a_new_suite_run(stack: Stack) -> None:
    flow_run = start(stack, suite(GOOD, BAD))
    first = of_flow(stack, flow_run)
    stack.flow_ended(flow_run)
    until("settled", lambda: row(stack, first)["settled"])

    retry(stack, flow_run)
    second = until("another run", lambda: next((r for r in [of_flow(stack, flow_run)] if r != first), None))

    assert ended(stack, second)["note"] == f"retry of suite run {first[-8:]}"
    assert len(children(stack, second)) == 2
    assert state_of(stack, second) == ("FAILED", "Failed")
    assert row(stack, first)["status"] == "failed"


def test_retry_by_rest_is_a_conflict_while_the_run_is_alive(stack: Stack) -> None:
    run = stack.submit(shell("sleep 60"))
    stack.in_phase(run, "running")

    alive = stack.rest("POST", f"/tests/{run}/retry")
    stack.rest("POST", f"/tests/{run}/cancel")
    stack.ended(run)
    dead = stack.rest("POST", f"/tests/{run}/retry")

    assert (alive.status_code, dead.status_code) == (409, 202)
    stack.rest("POST", f"/tests/{dead.json()['executionId']}/cancel")


# -- a worker that is gone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("next_one", ["the same", "another"])
def test_the_suite_flow_of_a_killed_worker_is_taken_over(stack: Stack, tmp_path: Path, next_one: str) -> None:
    """By the same worker that is started again, or by another one: the flow itself goes on, and ends."""
    worker, gate = only_worker(stack), tmp_path / "open"
    next_worker = worker if next_one == "the same" else f"{worker}-next"
    flow_run = start(stack, suite(waits_for(gate), BAD))
    suite_run = of_flow(stack, flow_run)
    until("its flow waits", lambda: phases(stack, suite_run) == {"running": 1, "ended": 1})

    stack.kill(worker)
    stack.start_worker(next_worker)
    until("taken over", lambda: stack.prefect("GET", f"/flow_runs/{flow_run}")["run_count"] == 2)
    gate.touch()

    assert ended(stack, suite_run)["host"] == next_worker
    assert state_of(stack, suite_run) == ("FAILED", "Failed")
    assert [len(stack.attempts(str(test["execution_id"]))) for test in children(stack, suite_run)] == [1, 1]
