"""Task runs that a killed worker left behind are ended once their flow run has."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from harness.stack import PREFECT_CREDENTIAL, Stack, shell, until
from harness.suites import only_worker
from prefect.client.orchestration import PrefectClient

from flows.reconciler import OUR_FLOWS
from flows.task_runs import MESSAGE, end_task_runs


def test_a_task_run_of_a_killed_worker_is_ended_after_its_flow_run(stack: Stack, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    run = stack.submit(shell(f"until [ -e {gate} ]; do sleep 0.1; done"))
    stack.in_phase(run, "running")
    left = until("Prefect has heard of a task", lambda: running_tasks(stack, run))
    worker = only_worker(stack)
    stack.kill(worker)

    asyncio.run(end(stack, now(stack)))
    too_early = set(left) - set(running_tasks(stack, run))  # other tests may have left task runs, too
    stack.start_worker(worker)
    gate.touch()
    assert stack.settled(stack_ended(stack, run))["type"] == "COMPLETED"
    asyncio.run(end(stack, now(stack) + timedelta(hours=1)))

    ended = {task["id"]: task["state"] for task in task_runs(stack, run)}
    assert too_early == set()
    assert {state["type"] for state in ended.values()} <= {"COMPLETED", "CRASHED"}
    assert {(ended[one]["type"], ended[one]["message"]) for one in left} == {("CRASHED", MESSAGE)}


def stack_ended(stack: Stack, run: str) -> str:
    assert stack.ended(run)["status"] == "completed"
    return run


def now(stack: Stack) -> datetime:
    found: datetime = stack.sql("SELECT now() AS now")[0]["now"]
    return found


def task_runs(stack: Stack, run: str) -> list[dict[str, Any]]:
    wanted = {"flow_runs": {"id": {"any_": [str(stack.row(run)["flow_run_id"])]}}}
    found: list[dict[str, Any]] = stack.prefect("POST", "/task_runs/filter", json=wanted)
    return found


def running_tasks(stack: Stack, run: str) -> list[str]:
    return [task["id"] for task in task_runs(stack, run) if task["state_type"] == "RUNNING"]


async def end(stack: Stack, before: datetime) -> int:
    async with PrefectClient(stack.prefect_url, auth_string=PREFECT_CREDENTIAL) as client:
        return await end_task_runs(client, OUR_FLOWS, before)
