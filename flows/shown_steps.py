"""Shows the steps before an attempt on Prefect's page of a run: validate, check-quota, gate, place (011).

They are recorded and not run as tasks, because for a run that came by REST they were over before its flow began.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from db import decisions, runs
from db.gate.decision_records import Returned, Started
from flows import prefect_artifacts, recorded_tasks
from flows.recorded_tasks import Step
from flows.worker_context import WorkerContext
from model.ids import ExecutionId, short
from orchestrator.explaining import sentence
from reports.markdown import placement_summary
from scheduler.values.node import NO_NODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """A wait in the gate. `number` counts the waits of a run from 1; `admission` ended it, None while it goes on."""

    number: int
    began_at: datetime
    ended_at: datetime | None = None
    admission: Started | None = None


def checked_before(submitted_at: datetime, door: str) -> None:
    """Show that a run was checked and its quota was taken when it was submitted."""
    message = f"done when the run was submitted ({door})"
    for name in ("validate", "check-quota"):
        recorded_tasks.record(Step(name=name, began_at=submitted_at, ended_at=submitted_at, message=message))


def validated(began_at: datetime, ended_at: datetime, problems: str = "") -> None:
    """Show the check of a request, and its problems if it has any."""
    recorded_tasks.record(
        Step(
            name="validate",
            began_at=began_at,
            ended_at=ended_at,
            message=problems or "the request has no problems",
            failed=bool(problems),
        )
    )


def quota_checked(began_at: datetime, ended_at: datetime, refusal: str = "") -> None:
    """Show the check of the quota, and the refusal if the quota is used up."""
    recorded_tasks.record(
        Step(
            name="check-quota",
            began_at=began_at,
            ended_at=ended_at,
            message=refusal or "the run is within the daily quota",
            failed=bool(refusal),
        )
    )


async def waiting(context: WorkerContext, execution_id: ExecutionId, reason: str) -> None:
    """Show that a run waits in the gate, and why."""
    if not recorded_tasks.in_flow_run():
        return
    wait = await context.db.run_patiently(lambda conn: _last_wait(conn, execution_id))
    if wait.admission is None:
        recorded_tasks.record(Step(name="gate", began_at=wait.began_at, message=reason, number=wait.number))


async def admitted(context: WorkerContext, execution_id: ExecutionId) -> None:
    """Show the decision of the gate, then the node that was chosen and how the candidates were scored."""
    if not recorded_tasks.in_flow_run():
        return
    wait = await context.db.run_patiently(lambda conn: _last_wait(conn, execution_id))
    if wait.admission is None or wait.ended_at is None:
        return
    chosen, decision = wait.admission, sentence(wait.admission)
    recorded_tasks.record(
        Step(name="gate", began_at=wait.began_at, ended_at=wait.ended_at, message=decision, number=wait.number)
    )
    if chosen.node == NO_NODE:
        return
    node = f"node {chosen.node}, the best of {len(chosen.candidates)}"
    recorded_tasks.record(
        Step(name="place", began_at=wait.ended_at, ended_at=wait.ended_at, message=node, number=wait.number)
    )
    text = placement_summary(chosen.node, chosen.candidates, decision)
    await prefect_artifacts.markdown(f"place-{short(execution_id)}", text, node)


def _last_wait(conn: Connection, execution_id: ExecutionId) -> Waited:
    """Return the last wait of a run from the records of the gate: an admission ends a wait, and a return begins one."""
    wait = Waited(number=1, began_at=runs.find(conn, execution_id).submitted_at)
    for said in decisions.read(conn, execution_id):
        if isinstance(said.record, Started):
            wait = replace(wait, ended_at=said.at, admission=said.record)
        elif isinstance(said.record, Returned):
            wait = Waited(number=wait.number + 1, began_at=said.at)
    return wait
