"""Ends the task runs that a killed worker left behind.

Prefect learns of the end of a task run by an event of the process that runs it. When that process is killed, the task
run stays Running for ever, also after its flow run has ended, and the page of the flow run shows a bar that grows.
"""

import logging
from datetime import datetime

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, State, StateType
from prefect.states import Crashed

PAGE = 50
MESSAGE = "the worker that ran this task was killed; its flow run has ended"

log = logging.getLogger("assay.reconciler")


async def end_task_runs(client: PrefectClient, flows: list[str], before: datetime) -> int:
    """End a page of the task runs whose flow run ended before a given time. Returns: how many it found.

    This makes one query, and one call for each task run. If a task run cannot be ended, that is logged.
    """
    found = await client.read_task_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=flows)),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=sorted(TERMINAL_STATES))),
            end_time=FlowRunFilterEndTime(before_=before),
        ),
        task_run_filter=TaskRunFilter(
            state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING]))
        ),
        limit=PAGE,
    )
    for task_run in found:
        ended: State[None] = Crashed(message=MESSAGE)
        try:
            await client.set_task_run_state(task_run.id, ended, force=True)
        except Exception as failed:  # noqa: BLE001  whatever it is, the others must not wait for it
            log.warning("task run %s could not be ended: %r", task_run.id, failed)
    return len(found)
