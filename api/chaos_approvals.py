"""/chaos/executions/{id}/approve and /deny: a second person decides about an execution that waits for that."""

from collections.abc import Callable
from typing import TypeAlias

from fastapi import APIRouter, Request
from sqlalchemy import Connection

from api import bodies, chaos_schemas, openapi
from api.auth import Actor, Caller
from api.chaos import NO_EXECUTION, ChaosExecutionText, resolved, shown
from api.services import Services, ServicesDep
from db import runs
from model.ids import PoolName, RunId
from orchestrator import approvals
from orchestrator.approvals import Person

router = APIRouter(prefix="/chaos", tags=["chaos"])
Decide: TypeAlias = Callable[[Connection, RunId, Person], None]


@router.post(
    "/executions/{executionId}/approve",  # noqa: FAST003  bound by alias
    summary="Approve an execution",
    responses=openapi.refusals(409, status_404=NO_EXECUTION, status_403="Submitted by the caller, or not asked of it"),
    openapi_extra=openapi.body("ChaosApproval"),
)
async def approve_execution(
    execution_id: ChaosExecutionText, request: Request, services: ServicesDep, caller: Caller
) -> chaos_schemas.ChaosExecutionOut:
    """Approve exactly the experiment with this digest. Who submitted it never may."""
    form = approvals.read_approval(await bodies.read(request))
    return await _decided(
        services, caller, execution_id, lambda conn, run_id, person: approvals.approve(conn, run_id, form, person)
    )


@router.post(
    "/executions/{executionId}/deny",  # noqa: FAST003  bound by alias
    summary="Deny an execution",
    responses=openapi.refusals(409, status_404=NO_EXECUTION, status_403="Submitted by the caller, or not asked of it"),
    openapi_extra=openapi.body("ChaosDenial"),
)
async def deny_execution(
    execution_id: ChaosExecutionText, request: Request, services: ServicesDep, caller: Caller
) -> chaos_schemas.ChaosExecutionOut:
    """Deny an execution. It ends at once, and is never run."""
    form = approvals.read_denial(await bodies.read(request))
    return await _decided(
        services, caller, execution_id, lambda conn, run_id, person: approvals.deny(conn, run_id, form, person)
    )


async def _decided(
    services: Services, caller: Actor, execution_id: str, decide: Decide
) -> chaos_schemas.ChaosExecutionOut:
    person = Person(user_id=caller.user_id, name=caller.name, now=services.now())

    def write(conn: Connection) -> tuple[RunId, PoolName]:
        run_id = resolved(conn, execution_id)
        decide(conn, run_id, person)
        return run_id, runs.find(conn, run_id).pool

    run_id, pool = await services.database.run(write)
    services.gate_passes.request(pool)
    return await services.database.run(lambda conn: shown(conn, run_id))
