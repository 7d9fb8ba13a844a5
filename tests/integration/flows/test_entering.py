"""How flow runs that a person starts come into the queue: by whom, and how many at a time."""

from collections.abc import Iterator
from typing import Any

import pytest
from harness.stack import Stack, shell, until
from harness.suites import GOOD, only_worker, suite


def whole(stack: Stack, **given: Any) -> dict[str, Any]:
    """A request that fills the machine."""
    cpu = stack.sql("SELECT max(cpu_milli) AS n FROM nodes")[0]["n"]
    return shell("true", resources={"cpuRequest": f"{cpu}m"}, **given)


@pytest.fixture(scope="module")
def narrow(stack: Stack) -> Iterator[Stack]:
    """The stack with a worker that lets two Prefect-started runs at a time into the queue."""
    worker = only_worker(stack)
    stack.kill(worker)
    stack.start_worker(worker, ASSAY_PREFECT_LIMIT="2")
    yield stack
    stack.kill(worker)
    stack.start_worker(worker)


def test_waiting_prefect_runs_keep_no_more_important_one_out_of_the_queue(narrow: Stack) -> None:
    stack = narrow
    blocker = stack.submit(shell("sleep 600", resources=whole(stack)["resources"]))
    stack.in_phase(blocker, "running")
    flows = [stack.prefect_start({"test": whole(stack, name="low")}) for _ in range(5)]
    suites = [stack.prefect_start({"suite": suite(whole(stack, name="of a suite"))}, "suite-run/default")]
    until("all five wait", lambda: all(stack.row_of_flow(flow).get("phase") == "waiting" for flow in flows))
    urgent = stack.prefect_start({"test": whole(stack, name="urgent", priority=0)})
    until("the urgent one waits too", lambda: stack.row_of_flow(urgent).get("phase") == "waiting")

    stack.rest("POST", f"/tests/{blocker}/cancel")
    first = stack.ended(str(stack.row_of_flow(urgent)["execution_id"]))
    others = [stack.ended(str(stack.row_of_flow(flow)["execution_id"])) for flow in flows]

    assert first["status"] == "completed"
    assert all(first["started_at"] < other["started_at"] for other in others)
    assert {stack.flow_ended(flow)["type"] for flow in [urgent, *flows, *suites]} == {"COMPLETED"}


def test_refused_flow_runs_make_room_too(narrow: Stack) -> None:
    flows = [narrow.prefect_start({"test": shell("true", priority=11)}) for _ in range(5)]
    last = narrow.prefect_start({"test": GOOD})

    assert {narrow.flow_ended(flow)["name"] for flow in flows} == {"Refused"}
    assert narrow.flow_ended(last)["type"] == "COMPLETED"


def test_a_flow_run_that_names_a_run_of_another_door_is_refused(narrow: Stack) -> None:
    """Else two flows would carry one run, and a cancel of the second would cancel nothing."""
    stack = narrow
    run = stack.submit(shell("sleep 600"))
    stack.in_phase(run, "running")

    state = stack.flow_ended(stack.prefect_start({"execution_id": run}))
    row = stack.row(run)
    stack.rest("POST", f"/tests/{run}/cancel")

    assert (state["type"], state["name"]) == ("FAILED", "Refused")
    assert f"`assay logs -f {run}` follows it" in state["message"]
    assert row["phase"] == "running"
    assert stack.ended(run)["flow_run_id"] == row["flow_run_id"]
