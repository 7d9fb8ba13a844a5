"""Prefect away for longer than its client ever waits: an interruption, never a verdict."""

import time
from pathlib import Path

import pytest
from harness.diaries import ONCE, counted
from harness.stack import Stack, shell
from harness.suites import waits_for
from harness.sweep import part

pytestmark = pytest.mark.faults

AWAY = 90.0


@part(1)
def test_prefect_away_for_90_s(stack: Stack, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    doomed, *others = running = [stack.submit(waits_for(gate)) for _ in range(3)]
    for run in running:
        stack.in_phase(run, "running")
    stack.kill("prefect")
    left = time.monotonic()
    submitted = [stack.submit(shell("true", name=f"submitted {n}")) for n in range(50)]
    assert stack.rest("POST", f"/tests/{doomed}/cancel").status_code in {200, 202}
    cancelled = stack.ended(doomed, 60)
    gate.touch()
    for run in others:
        stack.ended(run, 80)
    ended_without_prefect = stack.row(others[0])["status"]
    time.sleep(max(0.0, AWAY - (time.monotonic() - left)))
    stack.start_prefect()
    for run in submitted:
        stack.ended(run, 180)

    assert (cancelled["status"], ended_without_prefect) == ("cancelled", "completed")
    assert counted(stack.sql, [*others, *submitted]) == dict.fromkeys([*others, *submitted], ONCE)
    assert len(stack.attempts(doomed)) == 1
    assert {stack.settled(run, 120)["type"] for run in [*others, *submitted]} == {"COMPLETED"}
    assert stack.settled(doomed)["type"] == "CANCELLED"
