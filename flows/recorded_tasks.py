"""Shows finished steps as Prefect task runs, at the price of one event each.

A Prefect task costs three events and a pass through its engine. That is right for a step that takes time and that
people watch (launch, watch). A step that is over at once, or that was over before its flow began (a run that came by
REST was checked and admitted earlier), is recorded here with its true times instead (011.2).

The id of a record is derived from the flow run and the step: recording it again, after a takeover, changes nothing.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed
from prefect.utilities.engine import emit_task_run_state_change_event

_NAMESPACE = UUID("6f1c52a0-53b7-4d0e-9d5f-7f6f1d3f7a11")
_NAMESPACE_OF_STATES = UUID("c3bb5a55-93a5-45ef-8f5c-2f6b0d1d5e52")

log = logging.getLogger("assay.recorded_tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedStep:
    """A step that is over. `number` tells repeated steps of one flow run apart, as those of its attempts."""

    name: str
    began_at: datetime
    ended_at: datetime
    message: str = ""
    failed: bool = False
    number: int = 1


def record(step: FinishedStep) -> None:
    """Show a finished step on the page of the current flow run. Does nothing outside of a flow run.

    A failure is logged and forgiven: what Prefect shows never decides how a run goes on.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    try:
        shown = _task_run(step, context.flow_run.id, context.flow_run.run_count)
        emit_task_run_state_change_event(shown, None, shown.state or _state(step, shown.id))
    except Exception as failed:  # noqa: BLE001  the client raises many kinds for one thing
        log.warning("step %s is not shown in Prefect: %r", step.name, failed)


def _task_run(step: FinishedStep, flow_run_id: UUID, run_count: int) -> TaskRun:
    task_run_id = uuid5(_NAMESPACE, f"{flow_run_id}/{step.name}/{step.number}")
    ended_at = max(step.began_at, step.ended_at)
    state = _state(step, task_run_id)
    return TaskRun(
        id=task_run_id,
        name=step.name,
        flow_run_id=flow_run_id,
        task_key=f"assay-{step.name}",
        dynamic_key=str(step.number),
        run_count=1,
        flow_run_run_count=run_count,
        expected_start_time=step.began_at,
        start_time=step.began_at,
        end_time=ended_at,
        total_run_time=ended_at - step.began_at,
        state=state,
        state_id=state.id,
        state_type=state.type,
        state_name=state.name,
    )


def _state(step: FinishedStep, task_run_id: UUID) -> State[None]:
    made: State[None] = Failed(message=step.message) if step.failed else Completed(message=step.message)
    ended_at = max(step.began_at, step.ended_at)
    return made.model_copy(update={"id": uuid5(_NAMESPACE_OF_STATES, str(task_run_id)), "timestamp": ended_at})
