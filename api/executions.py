"""Tests: submit, show, cancel, retry, metrics."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Connection

from api import bodies, openapi, responses, schemas
from api.auth import Caller
from api.checked import checked
from api.parameters import ExecutionText, IntoPool
from api.quota_refusal import over_quota
from api.services import Services, ServicesDep
from db import executions
from model.execution import Door, Status
from model.ids import ExecutionId, PoolName
from orchestrator import cancel, listing, retry, submit
from orchestrator.checking import check
from orchestrator.submit import DEFAULT_POOL, Once, Order, OverQuota, Submitted

router = APIRouter(tags=["tests"])
ACCEPTED = "Test accepted for execution"
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A key of your choice. The same key with the same body returns the same run; another body gets 409",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitParameters:
    """The parameters of a submit beside the body."""

    pool: IntoPool = DEFAULT_POOL
    idempotency_key: Key = None

    def once(self, raw: object) -> Once | None:
        """Return what identifies a repeated submit: its key, and a digest of the body and of the pool."""
        if self.idempotency_key is None:
            return None
        parts = raw if self.pool == DEFAULT_POOL else [raw, self.pool]
        return Once(key=self.idempotency_key, digest=bodies.digest(parts))


@router.post(
    "/tests",
    summary="Submit a test for execution",
    status_code=202,
    response_model=schemas.TestResponse,
    response_description=ACCEPTED,
    responses=openapi.refusals(409, 413, 429, status_404="No such pool"),
    openapi_extra=openapi.body("TestRequest"),
)
async def submit_test(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    parameters: Annotated[SubmitParameters, Depends()],
) -> object:
    """Check the request, count it against the quotas, and queue it.

    The response has the position in the queue and the reason why the run waits.
    """
    raw = await bodies.read(request)
    wanted = await checked(check, raw, services, caller.user_id)
    order = Order(
        request=wanted,
        execution_id=ExecutionId(services.new_id()),
        user_id=caller.user_id,
        door=Door.REST,
        now=services.now(),
        pool=PoolName(parameters.pool),
        once=parameters.once(raw),
    )

    def write(conn: Connection) -> Submitted | OverQuota:
        return submit.submit(conn, order, services.contents.has)

    return await _accepted(await services.database.run(write), services, response)


async def _accepted(
    outcome: Submitted | OverQuota, services: Services, response: Response
) -> schemas.TestResponse | JSONResponse:
    """Build the response to a committed submit.

    The position is counted after the commit, because the transaction of the submit holds locks.
    """
    if isinstance(outcome, OverQuota):
        return over_quota(outcome, services.now())

    def read(conn: Connection) -> tuple[Status, listing.Standing | None]:
        status = Status.QUEUED if outcome.new else executions.find(conn, outcome.execution_id).status
        return status, listing.first_standing(conn, outcome.execution_id)

    status, standing = await services.database.run(read)
    services.gate_passes.request(outcome.pool)
    answer = responses.submitted(outcome, status, standing)
    response.headers["Location"] = answer.links.self
    return answer


@router.get(
    "/tests/{executionId}",  # noqa: FAST003  bound by alias
    summary="Get test execution status",
    response_description="Test execution details",
    responses=openapi.refusals(404),
)
async def show_test(execution_id: ExecutionText, services: ServicesDep) -> schemas.TestExecution:
    """Return the status of a run, why it waits, and how it ended."""

    def read(conn: Connection) -> listing.Shown:
        return listing.show(conn, executions.resolve(conn, execution_id))

    return responses.execution(await services.database.run(read))


@router.post(
    "/tests/{executionId}/cancel",  # noqa: FAST003  bound by alias
    summary="Cancel a test",
    responses=openapi.refusals(404),
)
async def cancel_test(execution_id: ExecutionText, services: ServicesDep, caller: Caller) -> schemas.CancelResponse:
    """Cancel a run: at once while it waits, else as soon as its processes have ended. Again changes nothing."""

    def change(conn: Connection) -> cancel.CancelOutcome:
        return cancel.cancel(conn, executions.resolve(conn, execution_id), by=caller.name, now=services.now())

    outcome = await services.database.run(change)
    if outcome.changed:
        services.gate_passes.request(outcome.pool)
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
async def retry_test(execution_id: ExecutionText, response: Response, services: ServicesDep, caller: Caller) -> object:
    """Create a new run of the same definition. 409 while the old run has not ended."""
    again = retry.Again(
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
    summary="Show the resources that a test used",
    responses=openapi.refusals(404),
)
async def metrics(execution_id: ExecutionText, services: ServicesDep) -> schemas.Metrics:
    """Return times, CPU and memory; null for a value that was not measured."""

    def read(conn: Connection) -> listing.Shown:
        return listing.show(conn, executions.resolve(conn, execution_id))

    shown = await services.database.run(read)
    row = shown.execution
    used = responses.usage(row)
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
