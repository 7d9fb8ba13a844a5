"""/runs: runs of every kind, each as what all kinds have in common. Details are at /tests and /suites/runs."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import WithJsonSchema
from sqlalchemy import Connection

from api import openapi, responses, schemas
from api.auth import Caller
from api.parameters import Page
from api.services import ServicesDep
from db import runs
from model.execution import Status
from model.runs import RunKind
from orchestrator import kinds
from orchestrator.kinds import Cancelled, Wish

router = APIRouter(tags=["runs"])
RunText = Annotated[
    str,
    Path(alias="runId", description="The id, or a unique beginning or end of it", max_length=100),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]


@router.get("/runs", summary="List runs of every kind")
async def list_runs(
    services: ServicesDep,
    page: Page,
    *,
    kind: Annotated[RunKind | None, Query(description="Only runs of this kind")] = None,
    status: Annotated[Status | None, Query(description="Only runs with this status")] = None,
) -> schemas.RunList:
    """Return runs of every kind, newest first."""
    found, total = await services.database.run(lambda conn: kinds.listed(conn, kind, status, page.part))
    return schemas.RunList(
        runs=[responses.run(shown) for shown in found],
        total=total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(total),
    )


@router.get(
    "/runs/{runId}",  # noqa: FAST003  bound by alias
    summary="Get a run of any kind",
    responses=openapi.refusals(404),
)
async def show_run(run_id: RunText, services: ServicesDep) -> schemas.RunOut:
    """Return the kind of a run, its state and, once it has ended, its exit code."""

    def read(conn: Connection) -> kinds.ShownRun:
        return kinds.show(conn, runs.resolve_any(conn, run_id))

    return responses.run(await services.database.run(read))


@router.post(
    "/runs/{runId}/cancel",  # noqa: FAST003  bound by alias
    summary="Cancel a run of any kind",
    responses=openapi.refusals(404),
)
async def cancel_run(run_id: RunText, services: ServicesDep, caller: Caller) -> schemas.RunOut:
    """End a run: at once while it waits, else as soon as its processes are gone. Again changes nothing."""
    wish = Wish(by=caller.name, now=services.now())

    def change(conn: Connection) -> tuple[Cancelled, kinds.ShownRun]:
        run = runs.resolve_any(conn, run_id)
        return kinds.cancel_run(conn, run, wish), kinds.show(conn, run)

    done, shown = await services.database.run(change)
    if done.changed:
        services.gate_passes.request(done.pool)
    return responses.run(shown)
