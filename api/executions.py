"""Tests: submit, list, show, cancel, retry, metrics."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import JsonValue
from sqlalchemy import Connection

from api import bodies, openapi, schemas, shapes
from api.auth import Caller
from api.parameters import ExecutionText, IntoPool, Page
from api.quota_answers import over_quota
from api.services import Here, Services
from db import executions
from model.execution import Door, Status
from model.ids import DefinitionId, ExecutionId, PoolName, SuiteRunId
from model.problems import InvalidError, Problem
from model.request import TestType
from orchestrator import cancel, listing, retry, submit
from orchestrator.checking import check
from orchestrator.submit import DEFAULT_POOL, Once, Order, OverQuota, Submitted

router = APIRouter(tags=["tests"])
ACCEPTED = "Test accepted for execution"
MOMENT: dict[str, JsonValue] = {"format": "date-time"}
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Chosen by the sender. The same key and body again is the same run; 409 for another body",
    ),
]


@router.post(
    "/tests",
    summary="Submit a test for execution",
    status_code=202,
    response_model=schemas.TestResponse,
    response_description=ACCEPTED,
    responses=openapi.refusals(409, 413, 429, status_404="No such pool"),
    openapi_extra=openapi.body("TestRequest"),
)
async def submit_test(  # noqa: PLR0913  the parts of one request
    request: Request,
    response: Response,
    services: Here,
    caller: Caller,
    *,
    pool: IntoPool = DEFAULT_POOL,
    idempotency_key: Key = None,
) -> object:
    """Check the request whole, take the quota, and queue it. It says its place in the queue, and why it waits."""
    raw = await bodies.read(request)
    wanted = await asyncio.to_thread(check, raw)
    order = Order(
        request=wanted,
        execution_id=ExecutionId(services.new_id()),
        user_id=caller.user_id,
        door=Door.REST,
        now=services.now(),
        pool=PoolName(pool),
        once=_once(idempotency_key, raw, pool),
    )

    def write(conn: Connection) -> Submitted | OverQuota:
        return submit.submit(conn, order, services.contents.has)

    return await _accepted(await services.database.run(write), services, response)


def _once(key: str | None, raw: object, pool: str) -> Once | None:
    """Return what makes a repeated submit the same one: its key, and a digest of all that was asked for."""
    asked = raw if pool == DEFAULT_POOL else [raw, pool]
    return Once(key=key, digest=bodies.digest(asked)) if key else None


async def _accepted(
    outcome: Submitted | OverQuota, services: Services, response: Response
) -> schemas.TestResponse | JSONResponse:
    """Answer a committed submit. Its position is counted after the commit, when it keeps no lock from others."""
    if isinstance(outcome, OverQuota):
        return over_quota(outcome, services.now())

    def read(conn: Connection) -> tuple[Status, listing.Standing | None]:
        status = Status.QUEUED if outcome.new else executions.find(conn, outcome.execution_id).status
        return status, listing.first_standing(conn, outcome.execution_id)

    status, standing = await services.database.run(read)
    services.passes.want(outcome.pool)
    answer = shapes.submitted(outcome, status, standing)
    response.headers["Location"] = answer.links.self
    return answer


@router.get(
    "/tests",
    summary="List test executions",
    response_description="List of test executions",
)
async def list_tests(  # noqa: PLR0913  the filters of one query
    services: Here,
    page: Page,
    *,
    status: Annotated[Status | None, Query(description="Only runs with this status")] = None,
    type: Annotated[TestType | None, Query(description="Only runs of this tool")] = None,  # noqa: A002  the parameter's name
    user: Annotated[str | None, Query(max_length=100, description="Only runs of this user")] = None,
    label: Annotated[str | None, Query(max_length=400, description="Only runs with this label, key=value")] = None,
    tag: Annotated[str | None, Query(max_length=100, description="Only runs with this tag")] = None,
    suite_run: Annotated[UUID | None, Query(alias="suiteRun", description="Only tests of this suite run")] = None,
    definition: Annotated[UUID | None, Query(description="Only runs of this definition")] = None,
    since: Annotated[str | None, Query(description="Submitted then or later", json_schema_extra=MOMENT)] = None,
    until: Annotated[str | None, Query(description="Submitted before then", json_schema_extra=MOMENT)] = None,
) -> schemas.ExecutionList:
    """List runs, newest first."""
    problems: list[Problem] = []
    wanted = listing.Wanted(
        status=status,
        type=type,
        user=user,
        label=_label(label, problems),
        tag=tag,
        suite_run=SuiteRunId(suite_run) if suite_run else None,
        definition=DefinitionId(definition) if definition else None,
        since=_moment(since, "since", problems),
        until=_moment(until, "until", problems),
    )
    if problems:
        raise InvalidError(problems)
    found, total = await services.database.run(lambda conn: listing.list_shown(conn, wanted, page.part))
    return schemas.ExecutionList(
        executions=[shapes.execution(shown) for shown in found],
        total=total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(total),
    )


def _label(text: str | None, problems: list[Problem]) -> tuple[str, str] | None:
    if text is None:
        return None
    key, separator, value = text.partition("=")
    if separator and key:
        return key, value
    problems.append(Problem(path="query.label", message="must be key=value"))
    return None


def _moment(text: str | None, name: str, problems: list[Problem]) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = "must be a moment, for example 2025-01-01T10:30:00Z"
    else:
        if moment.tzinfo is not None:
            return moment
        message = "must name its zone, for example 2025-01-01T10:30:00Z"
    problems.append(Problem(path=f"query.{name}", message=message))
    return None


@router.get(
    "/tests/{executionId}",  # noqa: FAST003  bound by alias
    summary="Get test execution status",
    response_description="Test execution details",
    responses=openapi.refusals(404),
)
async def show_test(execution_id: ExecutionText, services: Here) -> schemas.TestExecution:
    """Say where a run stands, why it waits, and how it ended."""

    def read(conn: Connection) -> listing.Shown:
        return listing.show(conn, executions.resolve(conn, execution_id))

    return shapes.execution(await services.database.run(read))


@router.post(
    "/tests/{executionId}/cancel",  # noqa: FAST003  bound by alias
    summary="Cancel a test",
    responses=openapi.refusals(404),
)
async def cancel_test(execution_id: ExecutionText, services: Here, caller: Caller) -> schemas.CancelResponse:
    """End a run: at once while it waits, else as soon as its processes are gone. Again changes nothing."""

    def change(conn: Connection) -> cancel.CancelOutcome:
        return cancel.cancel(conn, executions.resolve(conn, execution_id), by=caller.name, now=services.now())

    outcome = await services.database.run(change)
    if outcome.changed:
        services.passes.want(outcome.pool)
    return schemas.CancelResponse(
        execution_id=outcome.execution_id,
        status=outcome.status,
        cancel_requested=outcome.changed or outcome.status in {Status.QUEUED, Status.RUNNING, Status.CANCELLED},
        changed=outcome.changed,
    )


@router.post(
    "/tests/{executionId}/retry",  # noqa: FAST003  bound by alias
    summary="Run a test again",
    status_code=202,
    response_model=schemas.TestResponse,
    response_description=ACCEPTED,
    responses=openapi.refusals(404, 409, 429),
)
async def retry_test(execution_id: ExecutionText, response: Response, services: Here, caller: Caller) -> object:
    """Make a new run of the same definition. 409 while the old one is alive."""
    again = retry.Again(
        by=caller.name,
        now=services.now(),
        new_id=ExecutionId(services.new_id()),
        user_id=caller.user_id,
        door=Door.REST,
    )

    def change(conn: Connection) -> Submitted | OverQuota:
        return retry.retry(conn, executions.resolve(conn, execution_id), again, services.contents.has)

    return await _accepted(await services.database.run(change), services, response)


@router.get(
    "/tests/{executionId}/metrics",  # noqa: FAST003  bound by alias
    summary="What a test used",
    responses=openapi.refusals(404),
)
async def metrics(execution_id: ExecutionText, services: Here) -> schemas.Metrics:
    """Return times, CPU and memory; null where they were not measured."""

    def read(conn: Connection) -> listing.Shown:
        return listing.show(conn, executions.resolve(conn, execution_id))

    shown = await services.database.run(read)
    row = shown.execution
    used = shapes.usage(row)
    return schemas.Metrics(
        execution_id=row.execution_id,
        duration_seconds=shown.duration_seconds,
        wait_seconds=(row.started_at - row.submitted_at).total_seconds() if row.started_at else None,
        cpu_seconds=used.cpu_seconds,
        cpu_milli=used.cpu_milli,
        memory_bytes=used.memory_bytes,
        peak_cpu_milli=used.peak_cpu_milli,
        peak_memory_bytes=used.peak_memory_bytes,
        attempts=len(shown.attempts),
    )
