"""/chaos/stop and /chaos/cordons: what keeps all experiments, or experiments on one target, from running."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection

from api import bodies, chaos_schemas, openapi
from api.auth import Caller
from api.services import ServicesDep
from db import chaos_runs, chaos_switch
from db.runs import RunRef
from model.ids import RunId
from model.runs import RunKind
from orchestrator import chaos_forms, kinds
from orchestrator.ceilings import read_change
from orchestrator.kinds import Wish

router = APIRouter(prefix="/chaos", tags=["chaos"])


@router.get("/stop", summary="Show whether all experiments are stopped")
async def show_stop(services: ServicesDep) -> chaos_schemas.StopOut:
    """Return who stopped them and why."""
    return _stop(await services.database.run(chaos_switch.stopped))


@router.post(
    "/stop",
    summary="Stop all experiments",
    openapi_extra=openapi.body("ChaosStop"),
)
async def stop(request: Request, services: ServicesDep, caller: Caller) -> chaos_schemas.StopOut:
    """Abort every execution, and let none begin until somebody resumes."""
    form = read_change(chaos_forms.STOP, await bodies.read(request), nullable=frozenset()).form

    def change(conn: Connection) -> tuple[chaos_switch.Stop, list[RunId]]:
        switched = chaos_switch.stop(conn, form.reason, caller.name)
        wish = Wish(by=f"{caller.name}, who stopped all experiments ({form.reason}),", now=services.now())
        alive = list(chaos_runs.alive(conn))
        for run_id in alive:
            kinds.cancel_run(conn, RunRef(id=run_id, kind=RunKind.EXPERIMENT), wish)
        return switched, alive

    switched, aborted = await services.database.run(change)
    return _stop(switched, aborted)


@router.post("/resume", summary="Allow experiments again")
async def resume(services: ServicesDep, caller: Caller) -> chaos_schemas.StopOut:
    """Let experiments begin again. Those that were aborted stay so."""
    await services.database.run(lambda conn: chaos_switch.resume(conn, caller.name))
    return _stop(None)


@router.get("/cordons", summary="List the targets that no experiment may use")
async def list_cordons(services: ServicesDep) -> chaos_schemas.CordonList:
    """Return all cordoned targets, by path."""
    return _cordons(await services.database.run(chaos_switch.cordons))


@router.post("/cordons", summary="Cordon a target", openapi_extra=openapi.body("ChaosCordon"))
async def cordon(request: Request, services: ServicesDep, caller: Caller) -> chaos_schemas.CordonList:
    """Keep experiments off a target until somebody uncordons it."""
    form = read_change(chaos_forms.CORDON, await bodies.read(request), nullable=frozenset()).form

    def change(conn: Connection) -> list[chaos_switch.CordonedTarget]:
        chaos_switch.cordon(conn, [form.path], form.reason, caller.name)
        return chaos_switch.cordons(conn)

    return _cordons(await services.database.run(change))


@router.delete(
    "/cordons",
    summary="Uncordon a target",
    responses=openapi.refusals(status_404="No such cordoned target"),
)
async def uncordon(
    services: ServicesDep,
    _: Caller,
    path: Annotated[str, Query(max_length=300, description="Such as local/shop/payments")],
) -> chaos_schemas.CordonList:
    """Let experiments use a target again."""

    def change(conn: Connection) -> list[chaos_switch.CordonedTarget]:
        chaos_switch.uncordon(conn, path)
        return chaos_switch.cordons(conn)

    return _cordons(await services.database.run(change))


def _stop(found: chaos_switch.Stop | None, aborted: list[RunId] | None = None) -> chaos_schemas.StopOut:
    if found is None:
        return chaos_schemas.StopOut(stopped=False)
    return chaos_schemas.StopOut(
        stopped=True, reason=found.reason, by=found.by, at=found.at, aborted=list(aborted or ())
    )


def _cordons(found: list[chaos_switch.CordonedTarget]) -> chaos_schemas.CordonList:
    return chaos_schemas.CordonList(
        cordons=[chaos_schemas.CordonOut(path=one.path, reason=one.reason, by=one.by, at=one.at) for one in found]
    )
