"""Kill -9 at every step: each run gets exactly one verdict and one set of results, and never two attempts at once."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from harness.faulty_points import POINTS
from harness.stack import Stack, shell, until

pytestmark = pytest.mark.faults

DIARY = """
echo "start $ASSAY_ATTEMPT $(date +%s.%N)" >> {diary}
sleep {seconds}
echo "end $ASSAY_ATTEMPT $(date +%s.%N)" >> {diary}
"""


def diary_request(diary: Path, *, seconds: float = 0.5, **more: Any) -> dict[str, Any]:
    return shell(DIARY.format(diary=diary, seconds=seconds), name=diary.name, **more)


def read(diary: Path) -> list[tuple[str, int, float]]:
    lines = diary.read_text().splitlines() if diary.exists() else []
    return [(kind, int(number), float(at)) for kind, number, at in (line.split() for line in lines)]


def never_two_at_once(diary: Path) -> bool:
    """Every start comes after the end of the one before, where that one ended."""
    alive = 0
    for kind, _, _ in sorted(read(diary), key=lambda entry: entry[2]):
        alive += 1 if kind == "start" else -1
        if alive > 1:
            return False
    return True


def restart(stack: Stack, name: str = "worker-1") -> None:
    process = stack.processes.pop(name)
    process.wait(60)
    stack.start_worker(name)


@pytest.mark.parametrize("point", POINTS)
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
    assert [(kind, number) for kind, number, _ in read(diary)] == [
        entry for number in wanted for entry in (("start", number), ("end", number))
    ]
    assert len(stack.results(run)) == len(wanted)
    assert stack.settled(run)["type"] == "COMPLETED"


@pytest.mark.parametrize("victim", ["worker-1", "prefect", "postgres"])
def test_kill_9_of_a_part_amid_20_running_tests_costs_no_attempt(stack: Stack, tmp_path: Path, victim: str) -> None:
    diaries = [tmp_path / f"diary-{number}" for number in range(20)]
    runs = [stack.submit(diary_request(diary, seconds=6)) for diary in diaries]
    until("20 running", lambda: all(read(diary) for diary in diaries), 90)
    kill_and_restart(stack, victim)

    rows = [stack.ended(run, 120) for run in runs]

    assert {row["status"] for row in rows} == {"completed"}
    assert all(len(stack.attempts(run)) == 1 for run in runs)
    assert all([kind for kind, _, _ in read(diary)] == ["start", "end"] for diary in diaries)
    assert {stack.settled(run, 120)["type"] for run in runs} == {"COMPLETED"}


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


def test_kill_9_of_a_shim_costs_exactly_one_attempt(stack: Stack, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    run = stack.submit(diary_request(diary, seconds=4))
    until("start", lambda: read(diary))
    start = json.loads((stack.state / "runs" / run / "1" / "start.json").read_text())
    os.kill(int(start["pid"]), signal.SIGKILL)

    row = stack.ended(run)

    assert row["status"] == "completed"
    attempts = stack.attempts(run)
    assert [a["failure_reason"] for a in attempts] == ["infrastructure", None]
    assert [a["cause"] for a in attempts] == ["first", "infrastructure"]
    assert row["retry_count"] == 0
    assert [(kind, number) for kind, number, _ in read(diary)] == [("start", 1), ("start", 2), ("end", 2)]


def test_two_workers_share_the_work_and_take_over_from_each_other(stack: Stack, tmp_path: Path) -> None:
    stack.start_worker("worker-2")
    diaries = [tmp_path / f"diary-{number}" for number in range(8)]
    runs = [stack.submit(diary_request(diary, seconds=5)) for diary in diaries]
    until("8 running", lambda: all(read(diary) for diary in diaries), 60)
    stack.kill("worker-2")

    rows = [stack.ended(run, 90) for run in runs]

    assert {row["status"] for row in rows} == {"completed"}
    assert all(len(stack.attempts(run)) == 1 for run in runs)
    assert all(never_two_at_once(diary) for diary in diaries)


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
