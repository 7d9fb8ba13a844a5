"""Prefect or PostgreSQL away for longer than any client waits: an interruption, never a verdict."""

import time
from pathlib import Path

import pytest
from harness.stack import Stack, shell, until

pytestmark = pytest.mark.faults

PREFECT_AWAY = 90.0
POSTGRES_AWAY = 60.0


def test_prefect_away_for_90_s(stack: Stack, tmp_path: Path) -> None:
    running = [stack.submit(shell("sleep 20", name=f"running {n}")) for n in range(3)]
    for run in running:
        stack.in_phase(run, "running")
    stack.kill("prefect")
    left = time.monotonic()
    submitted = [stack.submit(shell("true", name=f"submitted {n}")) for n in range(50)]
    assert stack.rest("POST", f"/tests/{running[0]}/cancel").status_code in {200, 202}
    cancelled = stack.ended(running[0], 60)
    others = [stack.ended(run, 80) for run in running[1:]]
    time.sleep(max(0.0, PREFECT_AWAY - (time.monotonic() - left)))
    stack.start_prefect()

    rows = [stack.ended(run, 180) for run in submitted]

    assert cancelled["status"] == "cancelled"
    assert {row["status"] for row in others} == {"completed"}
    assert {row["status"] for row in rows} == {"completed"}
    assert all(len(stack.attempts(run)) == 1 for run in [*running, *submitted])
    assert {stack.settled(run, 120)["type"] for run in running[1:]} == {"COMPLETED"}
    assert stack.settled(running[0])["type"] == "CANCELLED"
    assert {stack.settled(run, 120)["type"] for run in submitted} == {"COMPLETED"}


def test_postgresql_away_for_60_s(stack: Stack) -> None:
    running = [stack.submit(shell("sleep 10", name=f"running {n}")) for n in range(3)]
    for run in running:
        stack.in_phase(run, "running")
    epochs = {run: stack.row(run)["epoch"] for run in running}
    stack.cluster.stop()
    assert stack.rest("GET", "/queue").status_code == 503
    time.sleep(POSTGRES_AWAY)
    stack.cluster.start()
    until("API", lambda: stack.rest("GET", "/queue").status_code == 200)

    rows = [stack.ended(run, 120) for run in running]

    assert {row["status"] for row in rows} == {"completed"}
    assert {run: stack.row(run)["epoch"] for run in running} == epochs, "a lease expired before its holder could renew"
    assert all(len(stack.attempts(run)) == 1 for run in running)
    late = stack.submit(shell("true", name="afterwards"))
    assert stack.ended(late)["status"] == "completed"
    assert stack.settled(late)["type"] == "COMPLETED"
