"""PostgreSQL away for a minute: nothing is lost, nothing is accepted that could be, and no lease expires early."""

import time
from pathlib import Path

import pytest
from harness.diaries import ONCE, counted
from harness.stack import LEASE, Stack, shell, until
from harness.suites import waits_for
from harness.sweep import part

pytestmark = pytest.mark.faults

AWAY = 60.0


@part(0)
def test_postgresql_away_for_60_s(stack: Stack, tmp_path: Path) -> None:
    """Three tests run: two end during the outage, one goes on beyond it, and no worker takes any from the other."""
    stack.start_worker("worker-2")
    during, after = tmp_path / "during", tmp_path / "after"
    running = [stack.submit(waits_for(gate)) for gate in (during, during, after)]
    doomed = stack.submit(shell("sleep 600", name="to be cancelled"))
    for run in [*running, doomed]:
        stack.in_phase(run, "running")
    held = holders(stack, [*running, doomed])
    stack.cluster.stop()
    during.touch()
    refusals = [
        stack.rest("POST", "/tests", json=shell("true", name="lost")),
        stack.rest("POST", f"/tests/{doomed}/cancel"),
        stack.rest("GET", "/queue"),
    ]
    time.sleep(AWAY)
    stack.cluster.start()
    begun = stack.sql("SELECT pg_postmaster_start_time() AS at")[0]["at"]
    until("API", lambda: stack.rest("GET", "/queue").status_code == 200)
    left = stack.row(doomed)
    one_ttl_later = "SELECT clock_timestamp() > %s + make_interval(secs => 2 * %s) AS over"
    until("one ttl, and another one", lambda: stack.sql(one_ttl_later, begun, LEASE)[0]["over"])
    still_held = holders(stack, [running[2], doomed])
    submitted = [stack.submit(shell("true", name=f"submitted {n}")) for n in range(50)]
    assert stack.rest("POST", f"/tests/{doomed}/cancel").status_code in {200, 202}
    after.touch()
    rows = {run: stack.ended(run, 120) for run in [*running, *submitted, doomed]}
    stack.kill("worker-2")

    assert {(r.status_code, r.json()["status"], r.headers["content-type"]) for r in refusals} == {
        (503, 503, "application/problem+json")
    }
    assert stack.sql("SELECT 1 FROM test_definitions WHERE name = 'lost'") == []
    assert (left["phase"], left["cancel_requested_at"]) == ("running", None)
    assert still_held == {run: held[run] for run in (running[2], doomed)}, "a lease expired before it could be renewed"
    assert {run: rows[run]["epoch"] for run in running} == {run: held[run][1] for run in running}
    assert rows.pop(doomed)["status"] == "cancelled"
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert counted(stack.sql, list(rows)) == dict.fromkeys(rows, ONCE)
    assert {stack.settled(run, 120)["type"] for run in rows} == {"COMPLETED"}
    assert stack.settled(doomed)["type"] == "CANCELLED"


def holders(stack: Stack, runs: list[str]) -> dict[str, tuple[str, int]]:
    """Return who carries each run, and under which epoch."""
    rows = stack.sql("SELECT * FROM leases WHERE execution_id = ANY(CAST(%s AS uuid[]))", runs)
    return {str(row["execution_id"]): (row["holder"], row["epoch"]) for row in rows}
