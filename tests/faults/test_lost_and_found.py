"""What falls between two stools: taken and never submitted, deleted in Prefect, taken over while Prefect is away."""

from pathlib import Path

import pytest
from harness.stack import Stack, shell, until

pytestmark = pytest.mark.faults

DIARY = "echo start >> {diary}; sleep {seconds}; echo end >> {diary}"


def test_a_flow_run_that_a_dying_worker_took_is_due_again(stack: Stack) -> None:
    """The worker proposed Pending and is killed before it wrote a row: nobody polls a Pending run."""
    stack.fault("before-submit", "kill")
    flow_run = stack.prefect_start({"test": shell("true", name="taken")})
    stack.struck("before-submit")
    stack.processes.pop("worker-1").wait(30)
    stack.start_worker("worker-1")

    state = stack.flow_ended(flow_run, 150)

    assert state["type"] == "COMPLETED"
    assert stack.row_of_flow(flow_run)["status"] == "completed"


def test_a_test_that_is_taken_over_while_prefect_is_away_keeps_its_one_attempt(stack: Stack, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    run = stack.submit(shell(DIARY.format(diary=diary, seconds=12), name="taken over"))
    until("start", diary.exists)
    stack.kill("prefect")
    stack.kill("worker-1")
    stack.start_worker("worker-1")

    row = stack.ended(run, 60)
    stack.start_prefect()

    assert row["status"] == "completed"
    assert len(stack.attempts(run)) == 1
    assert diary.read_text().split() == ["start", "end"]
    assert stack.settled(run, 90)["type"] == "COMPLETED"


def test_a_queued_run_whose_flow_run_was_deleted_in_prefect_runs_all_the_same(stack: Stack) -> None:
    blocker, run = _blocked(stack)
    flow_run = until("mirrored", lambda: stack.row(run)["flow_run_id"])
    stack.prefect("DELETE", f"/flow_runs/{flow_run}")
    stack.rest("POST", f"/tests/{blocker}/cancel")

    row = stack.ended(run, 60)

    assert row["status"] == "completed"
    assert str(stack.row(run)["flow_run_id"]) != str(flow_run)
    assert stack.settled(run)["type"] == "COMPLETED"


def test_a_queued_run_cancelled_in_prefect_at_the_moment_of_its_admission_does_not_run(
    stack: Stack, tmp_path: Path
) -> None:
    blocker, run = _blocked(stack, script=f"touch {tmp_path / 'ran'}")
    flow_run = until("mirrored", lambda: stack.row(run)["flow_run_id"])
    stack.prefect("POST", f"/flow_runs/{flow_run}/set_state", json={"state": {"type": "CANCELLED"}, "force": True})
    stack.rest("POST", f"/tests/{blocker}/cancel")

    row = stack.ended(run, 60)

    assert row["status"] == "cancelled"
    assert not (tmp_path / "ran").exists()
    assert stack.settled(run)["type"] == "CANCELLED"


def _blocked(stack: Stack, script: str = "true") -> tuple[str, str]:
    """A run that holds all CPU, and one that waits for it."""
    cpu = stack.sql("SELECT max(cpu_milli) AS n FROM nodes")[0]["n"]
    blocker = stack.submit(shell("sleep 300", name="blocker", resources={"cpuRequest": f"{cpu}m"}))
    stack.in_phase(blocker, "running")
    run = stack.submit(shell(script, name="waits", resources={"cpuRequest": f"{cpu}m"}))
    stack.in_phase(run, "waiting")
    return blocker, run
