"""Shows steps as task runs in Prefect, with one event for each change.

A Prefect task costs three events and a pass through its engine. That is right for a step that takes time and that
people watch (launch, watch). A step that is over at once, or that was over before its flow began (a run that came by
REST was checked and admitted earlier), is recorded here with its true times instead (011.2).

The ids are derived: that of a record from the flow run and the step, that of its state from the record and the time.
So recording a step again, after a takeover, changes nothing. Prefect allows one state of a task run at a time, and a
batch of events that breaks this is lost as a whole, with the events of other runs.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed, Running
from prefect.utilities.engine import emit_task_run_state_change_event

_NAMESPACE = UUID("6f1c52a0-53b7-4d0e-9d5f-7f6f1d3f7a11")

_TICK = timedelta(microseconds=1)
"""An end is later than the beginning: of two states of one time Prefect keeps the first."""

log = logging.getLogger("assay.recorded_tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of a flow run. It is under way while it has no `ended_at`.

    `number` tells repeated steps of one flow run apart: a run that is tried again waits and is placed again.
    """

    name: str
    began_at: datetime
    ended_at: datetime | None = None
    message: str = ""
    failed: bool = False
    number: int = 1


def in_flow_run() -> bool:
    """Return whether a flow run is under way here, so that a recorded step is shown somewhere."""
    context = FlowRunContext.get()
    return context is not None and context.flow_run is not None


def record(step: Step) -> None:
    """Show a step on the page of the current flow run. Does nothing outside of a flow run.

    A failure is only logged: what Prefect shows never decides how a run goes on (011.5).
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    try:
        shown = _task_run(step, context.flow_run)
        if shown.state is not None:
            emit_task_run_state_change_event(shown, None, shown.state)
    except Exception as failed:  # noqa: BLE001  the client raises many kinds for one thing
        log.warning("step %s is not shown in Prefect: %r", step.name, failed)


def _task_run(step: Step, flow_run: FlowRun) -> TaskRun:
    task_run_id = uuid5(_NAMESPACE, f"{flow_run.id}/{step.name}/{step.number}")
    state = _state(step, task_run_id)
    ended_at = None if step.ended_at is None else max(step.began_at, step.ended_at)
    return TaskRun(
        id=task_run_id,
        name=step.name,
        flow_run_id=flow_run.id,
        task_key=f"assay-{step.name}",
        dynamic_key=str(step.number),
        run_count=1,
        flow_run_run_count=flow_run.run_count,
        expected_start_time=step.began_at,
        start_time=step.began_at,
        end_time=ended_at,
        total_run_time=timedelta() if ended_at is None else ended_at - step.began_at,
        state=state,
        state_id=state.id,
        state_type=state.type,
        state_name=state.name,
    )


def _state(step: Step, task_run_id: UUID) -> State[None]:
    at = step.began_at if step.ended_at is None else max(step.began_at + _TICK, step.ended_at)
    kind = Running if step.ended_at is None else Failed if step.failed else Completed
    made: State[None] = kind(message=step.message)
    return made.model_copy(update={"timestamp": at, "id": uuid5(_NAMESPACE, f"{task_run_id}/{at.isoformat()}")})
