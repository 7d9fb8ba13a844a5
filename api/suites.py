"""Suite runs: submit, list, show, cancel. The tests of a suite are submitted all or none."""

import asyncio

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from api import bodies, openapi, responses, suite_schemas
from api.auth import Caller
from api.checked import checked
from api.parameters import IntoPool, Page, SuiteRunText
from api.quota_refusal import over_quota
from api.services import ServicesDep
from db import suites as rows
from model.execution import Door
from model.ids import PoolName, SuiteRunId
from orchestrator import suites
from orchestrator.checking import check_suite
from orchestrator.shown_suite import ShownSuite
from orchestrator.submit import DEFAULT_POOL, OverQuota
from reports.junit import junit_of_suite
from reports.run import CarriedReport, RunReport

router = APIRouter(tags=["suites"])
NOT_FOUND = "Suite run not found"


@router.post(
    "/suites/runs",
    summary="Submit all tests of a suite",
    status_code=202,
    response_model=suite_schemas.SuiteRunOut,
    response_description="All tests were accepted",
    responses=openapi.refusals(409, 413, 429, status_404="No such pool"),
    openapi_extra=openapi.body("Suite"),
)
async def submit_suite(
    request: Request, response: Response, services: ServicesDep, caller: Caller, pool: IntoPool = DEFAULT_POOL
) -> object:
    """Check the suite and queue all its tests in one transaction. Schedules are ignored; `assay deploy` sets them."""
    raw = await bodies.read(request)
    suite = await checked(check_suite, raw, services, caller.user_id)
    order = suites.SuiteOrder(
        suite=suite,
        suite_run_id=SuiteRunId(services.new_id()),
        user_id=caller.user_id,
        door=Door.REST,
        now=services.now(),
        pool=PoolName(pool),
    )

    def write(conn: Connection) -> tuple[ShownSuite, tuple[str, ...]] | OverQuota:
        outcome = suites.submit_suite(conn, order, services.contents.has)
        if isinstance(outcome, OverQuota):
            return outcome
        warnings = outcome.warnings if isinstance(outcome, suites.SuiteSubmitted) else ()
        return suites.show_suite(conn, outcome.suite_run_id), warnings

    written = await services.database.run(write)
    if isinstance(written, OverQuota):
        return over_quota(written, services.now())
    services.gate_passes.request(order.pool)
    answer = responses.suite_run(*written)
    response.headers["Location"] = answer.links.self
    return answer


@router.get("/suites/runs", summary="List suite runs")
async def list_suite_runs(services: ServicesDep, page: Page) -> suite_schemas.SuiteRunList:
    """Return suite runs, newest first."""
    found, total = await services.database.run(lambda conn: suites.list_suites(conn, page.part))
    return suite_schemas.SuiteRunList(
        suite_runs=[responses.suite_run(shown) for shown in found],
        total=total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(total),
    )


@router.get(
    "/suites/runs/{suiteRunId}",  # noqa: FAST003  bound by alias
    summary="Show a suite run",
    responses=openapi.refusals(status_404=NOT_FOUND),
)
async def show_suite_run(suite_run_id: SuiteRunText, services: ServicesDep) -> suite_schemas.SuiteRunOut:
    """Return a suite run with all its tests."""

    def read(conn: Connection) -> ShownSuite:
        return suites.show_suite(conn, rows.resolve(conn, suite_run_id))

    return responses.suite_run(await services.database.run(read))


@router.get(
    "/suites/runs/{suiteRunId}/junit",  # noqa: FAST003  bound by alias
    summary="Show the results of a suite run as JUnit XML",
    response_class=Response,
    responses={
        **openapi.refusals(status_404=NOT_FOUND),
        200: {"content": {"application/xml": {"schema": {"type": "string"}}}, "description": "The results"},
    },
)
async def suite_junit(suite_run_id: SuiteRunText, services: ServicesDep) -> Response:
    """Return the results of all tests of a suite run, with one `testsuite` for each of them."""

    def read(conn: Connection) -> tuple[str, list[RunReport], CarriedReport | None]:
        found = rows.resolve(conn, suite_run_id)
        return rows.find(conn, found).name, suites.reports(conn, found), suites.carried_report(conn, found)

    read_back = await services.database.run(read)
    return Response(await asyncio.to_thread(junit_of_suite, *read_back), media_type="application/xml")


@router.post(
    "/suites/runs/{suiteRunId}/cancel",  # noqa: FAST003  bound by alias
    summary="Cancel a suite run",
    responses=openapi.refusals(status_404=NOT_FOUND),
)
async def cancel_suite_run(
    suite_run_id: SuiteRunText, services: ServicesDep, caller: Caller
) -> suite_schemas.SuiteRunOut:
    """Cancel all tests of a suite run that have not ended. Cancelling again changes nothing."""

    def change(conn: Connection) -> ShownSuite:
        found = rows.resolve(conn, suite_run_id)
        suites.cancel_suite(conn, found, by=caller.name, now=services.now())
        return suites.show_suite(conn, found)

    shown = await services.database.run(change)
    for pool in {test.execution.pool for test in shown.tests}:
        services.gate_passes.request(pool)
    return responses.suite_run(shown)
