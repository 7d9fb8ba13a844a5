"""/chaos: experiments and their executions: create, run, abort, status, list; the stop switch; cordoned targets."""

import asyncio
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import AwareDatetime, JsonValue, WithJsonSchema
from sqlalchemy import Connection

from api import bodies, chaos_schemas, openapi
from api.auth import Caller
from api.parameters import IntoPool, Page
from api.services import Services, ServicesDep
from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.verdict import ChaosStatus
from cluster.fault_providers import PlaceSettings
from db import chaos_approvals, chaos_runs, experiments, runs
from db.gate import queue_position
from db.runs import RunRef
from model.execution import Door
from model.ids import ExecutionId, PoolName, RunId
from model.runs import RunKind
from orchestrator import experiments as cases
from orchestrator import kinds
from orchestrator.experiment_targets import prepared
from orchestrator.kinds import Wish
from orchestrator.submission import Sender
from orchestrator.submit import DEFAULT_POOL

router = APIRouter(prefix="/chaos", tags=["chaos"])
NO_EXPERIMENT, NO_EXECUTION = "Experiment not found", "Execution not found"
_UUID = WithJsonSchema({"type": "string", "format": "uuid"})
_ANY_PART = "The id, or a unique beginning or end of it"
ExperimentText = Annotated[str, Path(alias="experimentId", description=_ANY_PART, max_length=100), _UUID]
ChaosExecutionText = Annotated[str, Path(alias="executionId", description=_ANY_PART, max_length=100), _UUID]


class RunParameters:
    """How an experiment is run: in which pool, and not before which time."""

    def __init__(
        self,
        pool: IntoPool = DEFAULT_POOL,
        at: Annotated[
            AwareDatetime | None, Query(description="Not before this time; unless given as the experiment says")
        ] = None,
    ) -> None:
        self.pool = PoolName(pool)
        self.at = at


@router.post(
    "/experiments",
    summary="Create an experiment",
    status_code=201,
    response_description="The experiment was written; the same one of the same person is found again",
    responses=openapi.refusals(413),
    openapi_extra=openapi.body("Experiment"),
)
async def create_experiment(
    request: Request, response: Response, services: ServicesDep, caller: Caller
) -> chaos_schemas.ExperimentOut:
    """Check an experiment and write it down. It is not run."""
    raw = await bodies.read(request)
    checked = await asyncio.to_thread(check_experiment, raw)

    def write(conn: Connection) -> experiments.ExperimentRow:
        return experiments.find(conn, cases.create(conn, checked, caller.user_id))

    answer = chaos_schemas.experiment(await services.database.run(write))
    response.headers["Location"] = answer.links.self
    return answer


@router.get("/experiments", summary="List experiments")
async def list_experiments(services: ServicesDep, page: Page) -> chaos_schemas.ExperimentList:
    """Return experiments, the last used first."""
    found, total = await services.database.run(lambda conn: experiments.listed(conn, page.part))
    return chaos_schemas.ExperimentList(
        experiments=[chaos_schemas.experiment(row) for row in found],
        total=total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(total),
    )


@router.get(
    "/experiments/{experimentId}",  # noqa: FAST003  bound by alias
    summary="Get an experiment",
    responses=openapi.refusals(status_404=NO_EXPERIMENT),
)
async def show_experiment(experiment_id: ExperimentText, services: ServicesDep) -> chaos_schemas.ExperimentOut:
    """Return an experiment as it was written."""

    def read(conn: Connection) -> experiments.ExperimentRow:
        return experiments.find(conn, experiments.resolve(conn, experiment_id))

    return chaos_schemas.experiment(await services.database.run(read))


@router.post(
    "/experiments/{experimentId}/run",  # noqa: FAST003  bound by alias
    summary="Run an experiment",
    status_code=202,
    response_description="The execution was accepted",
    responses=openapi.refusals(409, status_404=NO_EXPERIMENT),
)
async def run_experiment(
    experiment_id: ExperimentText,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    parameters: Annotated[RunParameters, Depends()],
) -> chaos_schemas.ChaosExecutionOut:
    """Look for the targets and queue an execution. 409 while all experiments are stopped."""
    sender = Sender(
        run_id=services.new_id(), user_id=caller.user_id, door=Door.REST, now=services.now(), pool=parameters.pool
    )

    def read(conn: Connection) -> tuple[UUID, Experiment]:
        found = experiments.resolve(conn, experiment_id)
        return found, cases.read(conn, found)

    found, experiment = await services.database.run(read)
    wanted = replace(await prepared(experiment, PlaceSettings(state=services.settings.state)), at=parameters.at)
    accepted = await services.database.run(lambda conn: cases.submit(conn, found, wanted, sender))
    services.gate_passes.request(accepted.pool)
    answer = await services.database.run(lambda conn: shown(conn, sender.run_id))
    response.headers["Location"] = answer.links.self
    return answer


@router.get("/executions", summary="List executions of experiments")
async def list_executions(
    services: ServicesDep,
    page: Page,
    *,
    status: Annotated[ChaosStatus | None, Query(description="Only executions with this status")] = None,
    experiment: Annotated[UUID | None, Query(description="Only executions of this experiment")] = None,
) -> chaos_schemas.ChaosExecutionList:
    """Return executions, newest first."""

    def read(conn: Connection) -> tuple[list[chaos_schemas.ChaosExecutionOut], int]:
        found, total = experiments.executions(conn, status, experiment, page.part)
        return [shown(conn, row.execution_id) for row in found], total

    found, total = await services.database.run(read)
    return chaos_schemas.ChaosExecutionList(
        executions=found, total=total, limit=page.limit, offset=page.offset, links=page.links(total)
    )


@router.get(
    "/executions/{executionId}",  # noqa: FAST003  bound by alias
    summary="Get the status of an execution",
    responses=openapi.refusals(status_404=NO_EXECUTION),
)
async def show_execution(execution_id: ChaosExecutionText, services: ServicesDep) -> chaos_schemas.ChaosExecutionOut:
    """Return status, step and progress of an execution, and its verdict once it has ended."""
    return await services.database.run(lambda conn: shown(conn, resolved(conn, execution_id)))


@router.post(
    "/executions/{executionId}/abort",  # noqa: FAST003  bound by alias
    summary="Abort an execution",
    responses=openapi.refusals(status_404=NO_EXECUTION),
)
async def abort_execution(
    execution_id: ChaosExecutionText, services: ServicesDep, caller: Caller
) -> chaos_schemas.ChaosExecutionOut:
    """Ask for the end of an execution: its faults are reverted at once. Again changes nothing."""

    def change(conn: Connection) -> RunId:
        run_id = resolved(conn, execution_id)
        return _aborted(conn, run_id, services, caller.name)

    run_id = await services.database.run(change)
    return await services.database.run(lambda conn: shown(conn, run_id))


@router.get(
    "/executions/{executionId}/journal",  # noqa: FAST003  bound by alias
    summary="Get the journal of an execution",
    responses=openapi.refusals(status_404="Execution not found, or not ended"),
)
async def show_journal(execution_id: ChaosExecutionText, services: ServicesDep) -> dict[str, JsonValue]:
    """Return everything that an execution has seen and done."""
    found = await services.database.run(lambda conn: chaos_runs.journal(conn, resolved(conn, execution_id)))
    return dict(found)


@router.get(
    "/executions/{executionId}/report",  # noqa: FAST003  bound by alias
    summary="Get the report of an execution",
    response_class=HTMLResponse,
    responses={
        **openapi.refusals(status_404="Execution not found, or not ended"),
        200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "One HTML file"},
    },
)
async def show_report(execution_id: ChaosExecutionText, services: ServicesDep) -> HTMLResponse:
    """Return the report as one HTML file that needs nothing from elsewhere."""
    found = await services.database.run(lambda conn: chaos_runs.report(conn, resolved(conn, execution_id)))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return HTMLResponse(found, headers={"Content-Security-Policy": policy})


def resolved(conn: Connection, text: str) -> RunId:
    """Return the execution that people mean by an id, or by a beginning or end of it. Raises: as `runs.resolve`."""
    return runs.resolve(conn, text, RunKind.EXPERIMENT)


def shown(conn: Connection, run_id: RunId) -> chaos_schemas.ChaosExecutionOut:
    """Return the response body of an execution. Raises: NotFoundError."""
    row = experiments.execution(conn, run_id)
    shown_run = kinds.show(conn, RunRef(id=run_id, kind=RunKind.EXPERIMENT))
    waits = queue_position.reason(conn, ExecutionId(run_id)) if row.status is ChaosStatus.SCHEDULED else None
    return chaos_schemas.execution(row, shown_run, waits or "", chaos_approvals.read(conn, run_id))


def _aborted(conn: Connection, run_id: RunId, services: Services, by: str) -> RunId:
    kinds.cancel_run(conn, RunRef(id=run_id, kind=RunKind.EXPERIMENT), Wish(by=by, now=services.now()))
    return run_id
