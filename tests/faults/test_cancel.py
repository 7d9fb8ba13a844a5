"""Cancel in every phase, by every door: the tree is gone, the place free, and everyone says `cancelled`."""

import signal
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from harness.stack import Stack, shell, until
from harness.sweep import third

pytestmark = pytest.mark.faults

LONGER_THAN_ITS_OBSERVER = 3.0
"""Seconds: every two the worker looks for cancels in Prefect."""


def by_rest(stack: Stack, run: str) -> None:
    assert stack.rest("POST", f"/tests/{run}/cancel").status_code in {200, 202}


def by_command(stack: Stack, run: str) -> None:
    answer = stack.assay("cancel", run)
    assert answer.returncode == 0, answer.stderr


def by_prefect(stack: Stack, run: str) -> None:
    flow_run = until("flow run of the run", lambda: stack.row(run)["flow_run_id"])
    state = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    stack.prefect("POST", f"/flow_runs/{flow_run}/set_state", json=state)


DOORS: dict[str, Callable[[Stack, str], None]] = {"rest": by_rest, "command": by_command, "prefect": by_prefect}


def queued(stack: Stack) -> str:
    """Too large to start beside the blocker, so it waits."""
    blocker = stack.submit(shell("sleep 300", name="blocker", resources={"cpuRequest": _all_cpu(stack)}))
    stack.in_phase(blocker, "running")
    run = stack.submit(shell("sleep 300", name="queued", resources={"cpuRequest": _all_cpu(stack)}))
    stack.in_phase(run, "waiting")
    return run


def running(stack: Stack) -> str:
    run = stack.submit(shell("setsid sleep 300 & trap '' TERM; sleep 300", name="running"))
    until("its tree", lambda: len(stack.carriers(run)) >= 2)
    return run


def in_backoff(stack: Stack) -> str:
    policy = {"retryPolicy": {"maxRetries": 3, "backoffSeconds": 300, "backoffStrategy": "fixed"}}
    run = stack.submit(shell("exit 1", name="backoff", config=policy))
    stack.in_phase(run, "backoff")
    return run


def worker_down(stack: Stack) -> str:
    run = running(stack)
    stack.kill("worker-1")
    return run


STOPS = [("admitted", "before-begin"), ("launching", "before-content"), ("collecting", "before-exit_record")]
PHASES = {"queued": queued, "running": running, "in backoff": in_backoff, "worker down": worker_down}


@pytest.mark.parametrize(("phase", "door"), third(list(product(PHASES, DOORS))))
def test_cancel(stack: Stack, phase: str, door: str) -> None:
    run = PHASES[phase](stack)
    DOORS[door](stack, run)
    if phase == "worker down":
        stack.start_worker("worker-1")

    is_cancelled_for_good(stack, run, door)
    _cancel_all(stack)


@pytest.mark.parametrize(("phase", "point", "door"), third([(*stop, door) for stop, door in product(STOPS, DOORS)]))
def test_cancel_while_the_worker_stands_still(stack: Stack, phase: str, point: str, door: str) -> None:
    """The worker is stopped (SIGSTOP) exactly in that phase; the cancel comes, then the worker goes on."""
    stack.fault(point, "stop")
    run = stack.submit(shell("true", name=f"cancelled while {phase}"))
    stack.struck(point)
    stack.in_phase(run, phase)
    DOORS[door](stack, run)
    stack.signal("worker-1", signal.SIGCONT)

    is_cancelled_for_good(stack, run, door)


def is_cancelled_for_good(stack: Stack, run: str, door: str) -> None:
    """Tree gone, place free, `cancelled` in the row, in Prefect and in the list; a second cancel changes nothing."""
    stack.ended(run, 60)
    state = stack.settled(run)
    row = stack.row(run)

    assert row["status"] == "cancelled"
    assert state["type"] == "CANCELLED"
    assert _left_of(stack, run) == ([], [], 1)
    DOORS[door](stack, run)
    if door == "prefect":
        time.sleep(LONGER_THAN_ITS_OBSERVER)
    assert stack.row(run) == row
    assert stack.flow_state(str(row["flow_run_id"]))["type"] == "CANCELLED"
    assert _left_of(stack, run) == ([], [], 1)


def test_a_run_that_shall_stop_for_another_is_not_started_first(stack: Stack) -> None:
    """It was asked while it ran, then its worker and its process died; this is the next worker, about to launch it."""
    stack.fault("before-content", "stop")
    run = stack.submit(shell("true", name="called off", config={"restartable": True}))
    stack.struck("before-content")
    stack.sql("UPDATE queue SET preempted_for = execution_id WHERE execution_id = %s", run)
    stack.signal("worker-1", signal.SIGCONT)

    row = stack.ended(run, 60)
    first, second = stack.attempts(run)

    assert (row["status"], row["retry_count"], row["infrastructure_count"]) == ("completed", 0, 0)
    assert (first["status"], first["exit_code"]) == ("cancelled", None)
    assert first["detail"].startswith("stopped for the more important run")
    assert (second["cause"], second["status"]) == ("preempted", "completed")


def _left_of(stack: Stack, run: str) -> tuple[list[int], list[dict[str, Any]], int]:
    """Return its processes, its place in the queue, and how often it is listed as cancelled."""
    place = stack.sql("SELECT 1 FROM queue WHERE execution_id = %s", run)
    listed = stack.rest("GET", "/tests?status=cancelled&limit=200").json()["executions"]
    return stack.carriers(run), place, [one["executionId"] for one in listed].count(run)


def _cancel_all(stack: Stack) -> None:
    for row in stack.sql("SELECT execution_id FROM test_executions WHERE completed_at IS NULL"):
        by_rest(stack, str(row["execution_id"]))
    until("all ended", lambda: not stack.sql("SELECT 1 FROM test_executions WHERE completed_at IS NULL"))


def _all_cpu(stack: Stack) -> str:
    return f"{stack.sql('SELECT max(cpu_milli) AS n FROM nodes')[0]['n']}m"
