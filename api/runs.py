"""/runs: runs of every kind, each as what all kinds have in common. Details are at /tests and /suites/runs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import WithJsonSchema
from sqlalchemy import Connection

from api import bodies, openapi, responses, schemas
from api.auth import Caller
from api.checked import checked
from api.executions import SubmitParameters
from api.parameters import Page
from api.quota_refusal import over_quota
from api.services import Services, ServicesDep
from db import runs
from model.execution import Door, Status
from model.ids import PoolName
from model.problems import InvalidError
from model.run_form import check_run
from model.runs import RunKind
from orchestrator import kinds
from orchestrator.kinds import Cancelled, Wish
from orchestrator.submission import Accepted, Sender, Write
from orchestrator.submit import OverQuota

router = APIRouter(tags=["runs"])
RunText = Annotated[
    str,
    Path(alias="runId", description="The id, or a unique beginning or end of it", max_length=100),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]


@router.post(
    "/runs",
    summary="Submit a run of any kind",
    status_code=202,
    response_model=schemas.RunOut,
    response_description="The run was accepted",
    responses=openapi.refusals(409, 413, 429, status_404="No such pool"),
    openapi_extra=openapi.body("Run"),
)
async def submit_run(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    parameters: Annotated[SubmitParameters, Depends()],
) -> object:
    """Check what is sent by the rules of its kind, count it against the quotas, and queue it."""
    raw = await bodies.read(request)
    form = check_run(raw)
    sender = Sender(
        run_id=services.new_id(),
        user_id=caller.user_id,
        door=Door.REST,
        now=services.now(),
        pool=PoolName(parameters.pool),
        once=parameters.once(raw),
        known_content=services.contents.has,
    )

    def prepare(spec: object) -> Write:
        return kinds.KINDS[form.kind].prepare(spec, sender)

    try:
        write = await checked(prepare, form.spec, services, caller.user_id)
        outcome = await services.database.run(write)
    except InvalidError as wrong:
        raise wrong.under("spec") from wrong
    return await _accepted(outcome, services, response)


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
    "/runs/{runId}/retry",  # noqa: FAST003  bound by alias
    summary="Run a run of any kind again",
    status_code=202,
    response_model=schemas.RunOut,
    response_description="The new run was accepted",
    responses=openapi.refusals(404, 409, 429),
)
async def retry_run(run_id: RunText, response: Response, services: ServicesDep, caller: Caller) -> object:
    """Submit what an ended run ran, as a new run. 409 while it has not ended."""
    sender = Sender(
        run_id=services.new_id(),
        user_id=caller.user_id,
        door=Door.REST,
        now=services.now(),
        known_content=services.contents.has,
    )

    def write(conn: Connection) -> Accepted | OverQuota:
        return kinds.retry_run(conn, runs.resolve_any(conn, run_id), sender)

    return await _accepted(await services.database.run(write), services, response)


async def _accepted(
    outcome: Accepted | OverQuota, services: Services, response: Response
) -> schemas.RunOut | JSONResponse:
    if isinstance(outcome, OverQuota):
        return over_quota(outcome, services.now())
    services.gate_passes.request(outcome.pool)
    answer = responses.run(await services.database.run(lambda conn: kinds.show(conn, outcome.run)), outcome.warnings)
    response.headers["Location"] = answer.links.self
    return answer


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
