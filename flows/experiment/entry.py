"""The first step of the flow of an experiment: submit it, or find the run that was submitted before."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from chaos.experiment_reading import check_experiment
from db import people, runs, seeds
from db.errors import ConflictError, NotFoundError
from db.runs import RunRef
from flows import entry
from flows.entry import CURRENT_FLOW_RUN, CurrentFlowRun, Refused, Run
from flows.flow_run_names import name_current
from flows.worker_context import WorkerContext, current_context
from model.execution import Door
from model.ids import ExecutionId, RunId
from model.problems import InvalidError
from model.runs import RunKind
from orchestrator import experiments
from orchestrator.experiment_targets import prepared
from orchestrator.submission import Sender


async def enter(experiment: Mapping[str, Any] | None, execution_id: UUID | str | None) -> Run | Refused:
    """Find or create the run of this flow run. Repeated calls for a flow run return the same run."""
    if (experiment is None) == (execution_id is None):
        return _refused("give exactly one of `experiment` and `execution_id`")
    found = await (_submitted(experiment) if execution_id is None else _known(str(execution_id)))
    entry.make_room()
    running = CURRENT_FLOW_RUN.get()
    if isinstance(found, Run) and running is not None and running.polled:
        await name_current(found.context, RunRef(id=found.execution_id, kind=RunKind.EXPERIMENT))
    return found


async def _known(text: str) -> Run | Refused:
    context = current_context()
    try:
        run_id = RunId(UUID(text))
        row = await context.db.run_patiently(lambda conn: runs.find(conn, run_id))
    except (ValueError, NotFoundError):
        return _refused(f"execution_id: there is no run {text}")
    if row.kind is not RunKind.EXPERIMENT:
        return _refused(f"execution_id: run {text} is no experiment")
    return Run(context, ExecutionId(run_id))


async def _submitted(raw: Mapping[str, Any] | None) -> Run | Refused:
    context, running = current_context(), CURRENT_FLOW_RUN.get()
    if running and (known := await context.db.run_patiently(lambda conn: runs.by_flow_run(conn, running.flow_run_id))):
        return Run(context, ExecutionId(known.id))
    try:
        wanted = await prepared(check_experiment(raw), context.places())
    except InvalidError as wrong:
        return _refused(*(f"{problem.path}: {problem.message}" for problem in wrong.problems))
    except ConflictError as error:
        return _refused(str(error))
    run_id = context.new_id()

    def write(conn: Connection) -> None:
        sender = _sender(conn, context, running, run_id)
        experiments.submit(conn, experiments.create(conn, wanted.experiment, sender.user_id), wanted, sender)

    try:
        await context.db.run_patiently(write)
    except InvalidError as wrong:
        return _refused(*(f"{problem.path}: {problem.message}" for problem in wrong.problems))
    except ConflictError as stopped:
        return _refused(str(stopped))
    await context.pass_gate(freed=False)
    return Run(context, ExecutionId(run_id))


def _sender(conn: Connection, context: WorkerContext, running: CurrentFlowRun | None, run_id: RunId) -> Sender:
    return Sender(
        run_id=run_id,
        user_id=people.deployment_user(conn, running.deployment) if running else seeds.PREFECT_USER,
        door=Door.PREFECT,
        now=context.now(),
        pool=context.settings.pool,
        flow_run_id=running.flow_run_id if running else None,
    )


def _refused(*lines: str) -> Refused:
    return Refused(state=entry.refusal(*lines))
