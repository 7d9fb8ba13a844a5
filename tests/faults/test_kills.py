"""Kill -9 at every step: each run gets exactly one verdict and one set of results, and never two attempts at once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from harness.diaries import ONCE, counted, diary_request, entries, never_two_at_once, read
from harness.faulty_points import POINTS
from harness.stack import ROOT, Stack, shell, until
from harness.sweep import third

from model.execution import MAX_INFRASTRUCTURE_ATTEMPTS

pytestmark = pytest.mark.faults

NEWEST = """
SELECT e.execution_id FROM test_executions e JOIN test_definitions d ON d.id = e.definition_id
WHERE d.name = %s ORDER BY e.submitted_at DESC LIMIT 1
"""
LAST_ATTEMPT = 1 + MAX_INFRASTRUCTURE_ATTEMPTS
MOST_UNTIL_BOTH_HOLD = 30
"""Which worker takes a run up is nobody's choice; all thirty by one of two is none either."""


def restart(stack: Stack, name: str = "worker-1") -> None:
    process = stack.processes.pop(name)
    process.wait(60)
    stack.start_worker(name)


@pytest.mark.parametrize("point", third(POINTS))
def test_a_worker_killed_at_any_point_costs_no_attempt(stack: Stack, tmp_path: Path, point: str) -> None:
    retried = point.endswith("requeue")
    policy = {"retryPolicy": {"maxRetries": 1, "backoffSeconds": 0}} if retried else {}
    diary = tmp_path / "diary"
    request = diary_request(diary, seconds=0.3, config=policy)
    if retried:
        request["content"]["files"]["run.sh"] += '\n[ "$ASSAY_ATTEMPT" = 2 ]'
    stack.fault(point, "kill")
    run = stack.submit(request)
    stack.struck(point)
    restart(stack)

    row = stack.ended(run)

    wanted = [1, 2] if retried else [1]
    assert row["status"] == "completed", row
    assert [a["number"] for a in stack.attempts(run)] == wanted
    assert entries(diary) == [entry for number in wanted for entry in (("start", number), ("end", number))]
    assert len(stack.results(run)) == len(wanted)
    assert stack.settled(run)["type"] == "COMPLETED"


def twenty_running(stack: Stack, folder: Path) -> dict[str, Path]:
    """Have 20 tests running until the file `gate` is there; return each run's diary."""
    diaries = [folder / f"diary-{number}" for number in range(20)]
    runs = {stack.submit(diary_request(diary, gate=folder / "gate")): diary for diary in diaries}
    until("20 running", lambda: all(read(diary) for diary in diaries), 90)
    return runs


@pytest.mark.parametrize("victim", ["worker-1", "prefect", "postgres"])
def test_kill_9_of_a_part_amid_20_running_tests_costs_no_attempt(stack: Stack, tmp_path: Path, victim: str) -> None:
    runs = twenty_running(stack, tmp_path)
    kill_and_restart(stack, victim)
    (tmp_path / "gate").touch()
    for run in runs:
        stack.ended(run, 120)

    assert counted(stack.sql, list(runs)) == dict.fromkeys(runs, ONCE)
    assert [entries(diary) for diary in runs.values()] == [[("start", 1), ("end", 1)]] * 20
    assert {stack.settled(run, 120)["type"] for run in runs} == {"COMPLETED"}
    assert counted(stack.sql, list(runs)) == dict.fromkeys(runs, ONCE), "something came later"


def kill_and_restart(stack: Stack, victim: str) -> None:
    if victim == "postgres":
        os.kill(int(stack.cluster.pid or 0), signal.SIGKILL)
        stack.cluster.start()
    elif victim == "prefect":
        stack.kill("prefect")
        stack.start_prefect()
    else:
        stack.kill(victim)
        stack.start_worker(victim)


def kill_shim(stack: Stack, run: str, attempt: int) -> None:
    start = json.loads((stack.state / "runs" / run / str(attempt) / "start.json").read_text())
    os.kill(int(start["pid"]), signal.SIGKILL)


def test_kill_9_of_a_shim_amid_20_running_tests_costs_its_run_exactly_one_attempt(stack: Stack, tmp_path: Path) -> None:
    runs = twenty_running(stack, tmp_path)
    victim, *others = runs
    kill_shim(stack, victim, 1)
    until("it is tried again", lambda: ("start", 2) in entries(runs[victim]))
    (tmp_path / "gate").touch()
    for run in runs:
        stack.ended(run, 120)

    again = ONCE | {"attempts": 2, "results": 2, "sets": 2}
    assert counted(stack.sql, list(runs)) == {victim: again, **dict.fromkeys(others, ONCE)}
    assert [(a["status"], a["failure_reason"], a["cause"]) for a in stack.attempts(victim)] == [
        ("failed", "infrastructure", "first"),
        ("completed", None, "infrastructure"),
    ]
    assert entries(runs[victim]) == [("start", 1), ("start", 2), ("end", 2)]
    assert [entries(runs[run]) for run in others] == [[("start", 1), ("end", 1)]] * 19


def test_a_shim_that_dies_again_and_again_ends_the_run_as_infrastructure_and_the_command_with_3(
    stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(shell("sleep 600", name="unlucky")))
    command = [sys.executable, "-m", "cli.main", "run", str(file), "--json"]
    with subprocess.Popen(command, cwd=ROOT, env=stack.environment(), stdout=subprocess.PIPE) as watching:
        run = str(until("its row", lambda: stack.sql(NEWEST, "unlucky"))[0]["execution_id"])
        for attempt in range(1, LAST_ATTEMPT + 1):
            until(f"attempt {attempt}", (stack.state / "runs" / run / str(attempt) / "start.json").exists)
            kill_shim(stack, run, attempt)
        code = watching.wait(90)

    row = stack.row(run)
    assert code == 3
    assert (row["status"], row["failure_reason"], row["retry_count"]) == ("failed", "infrastructure", 0)
    assert [a["failure_reason"] for a in stack.attempts(run)] == ["infrastructure"] * LAST_ATTEMPT
    assert stack.carriers(run) == []
    assert stack.settled(run)["type"] == "CRASHED"


def test_two_workers_share_the_work_and_take_over_from_each_other(stack: Stack, tmp_path: Path) -> None:
    stack.start_worker("worker-2")
    runs = {}
    while len(runs) < 8 or (holders(stack, runs) != {"worker-1", "worker-2"} and len(runs) < MOST_UNTIL_BOTH_HOLD):
        diary = tmp_path / f"diary-{len(runs)}"
        run = stack.submit(diary_request(diary, gate=tmp_path / "gate"))
        runs[run] = diary
        until("it runs", diary.exists)
    shared = holders(stack, runs)
    stack.kill("worker-2")
    (tmp_path / "gate").touch()
    for run in runs:
        stack.ended(run, 90)

    assert shared == {"worker-1", "worker-2"}
    assert counted(stack.sql, list(runs)) == dict.fromkeys(runs, ONCE)
    assert all(never_two_at_once(diary) for diary in runs.values())


def holders(stack: Stack, runs: Iterable[str]) -> set[str]:
    """Return who carries runs that still run."""
    query = """
    SELECT DISTINCT l.holder FROM leases l JOIN test_executions e USING (execution_id)
    WHERE e.completed_at IS NULL AND e.execution_id = ANY(CAST(%s AS uuid[]))
    """
    return {row["holder"] for row in stack.sql(query, list(runs))}


def test_sigterm_leaves_the_tests_running_and_the_next_worker_goes_on(stack: Stack, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    run = stack.submit(diary_request(diary, seconds=5))
    until("start", lambda: read(diary))
    begun = time.monotonic()
    stack.kill("worker-1", signal.SIGTERM)
    left = time.monotonic() - begun
    assert stack.carriers(run)
    stack.start_worker("worker-1")

    row = stack.ended(run)

    assert row["status"] == "completed"
    assert len(stack.attempts(run)) == 1
    assert left < 5, "it waited for the test"


def test_a_frozen_worker_that_wakes_up_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    """Its lease ran out and another worker finished the run; what it still wants to write is fenced off."""
    diary = tmp_path / "diary"
    stack.fault("before-finish", "stop")
    run = stack.submit(diary_request(diary, seconds=0.2))
    stack.struck("before-finish")
    stack.start_worker("worker-2")
    row = stack.ended(run, 120)  # a transaction that froze half-way with it is ended by the server after 20 s
    stack.signal("worker-1", signal.SIGCONT)
    again = stack.submit(shell("true"))
    stack.ended(again)

    assert row["status"] == "completed"
    assert stack.row(run) | {"prefect_settled": None} == row | {"prefect_settled": None}
    assert len(stack.attempts(run)) == 1
    assert len(stack.results(run)) == 1
    stack.kill("worker-2")
