"""Results and artifacts of a run. A test wrote them, so they are served only as data that no browser executes."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import FileResponse
from sqlalchemy import Connection

from api import openapi, responses, schemas
from api.parameters import ExecutionText, FullPage, Paging
from api.services import ServicesDep
from db import executions, results
from model.result import Artifact, Outcome
from orchestrator import listing
from reports.junit import junit

router = APIRouter(tags=["tests"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultQuery:
    """The attempt whose results a request asks for, a filter, and the format."""

    attempt: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="Number of the attempt; the default is the last one")
    ] = None
    status: Annotated[
        Outcome | None, Query(description="Only results with this status; JUnit XML always has all results")
    ] = None
    format: Annotated[Literal["json", "junit"], Query(description="JSON, or JUnit XML")] = "json"


@router.get(
    "/tests/{executionId}/results",  # noqa: FAST003  bound by alias
    summary="Show the results of a run",
    response_model=schemas.ResultList,
    responses={
        **openapi.refusals(status_404="No such run, or it ended without such an attempt"),
        200: {"content": {"application/xml": {"schema": {"type": "string"}}}, "description": "The results"},
    },
)
async def read_results(
    execution_id: ExecutionText, services: ServicesDep, query: Annotated[ResultQuery, Depends()], page: FullPage
) -> Response:
    """Return the results of one attempt. The default is the last attempt that has results.

    JUnit XML is not divided into pages. A thread writes the body, because megabytes would block other requests.
    """
    if query.format == "junit":
        report = await services.database.run(
            lambda conn: listing.report(conn, executions.resolve(conn, execution_id), query.attempt)
        )
        return Response(await asyncio.to_thread(junit, report), media_type="application/xml")
    part = listing.Part(page=page.part, attempt=query.attempt, status=query.status)
    found = await services.database.run(
        lambda conn: listing.outcomes(conn, executions.resolve(conn, execution_id), part)
    )
    return Response(await asyncio.to_thread(_page, found, page), media_type="application/json")


def _page(found: listing.Outcomes, page: Paging) -> str:
    answer = schemas.ResultList(
        execution_id=found.execution_id,
        attempt=found.attempt,
        summary=responses.summary(found.summary),
        total=found.total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(found.total),
        results=[responses.result(result, found.failed_before.get(result.key, ())) for result in found.results],
    )
    return answer.model_dump_json()


@router.get(
    "/tests/{executionId}/artifacts",  # noqa: FAST003  bound by alias
    summary="List the artifacts of a run",
    responses=openapi.refusals(404),
)
async def list_artifacts(execution_id: ExecutionText, services: ServicesDep) -> schemas.ArtifactList:
    """Return the artifacts of the last attempt."""

    def read(conn: Connection) -> schemas.ArtifactList:
        found = executions.resolve(conn, execution_id)
        return schemas.ArtifactList(
            execution_id=found,
            artifacts=[
                schemas.ArtifactOut(
                    name=kept.name,
                    type=kept.type,
                    size_bytes=kept.size_bytes,
                    content_type=kept.content_type,
                    link=f"{responses.TESTS}/{found}/artifacts/{quote(kept.name)}",
                )
                for kept in results.artifacts(conn, found)
            ],
        )

    return await services.database.run(read)


@router.get(
    "/tests/{executionId}/artifacts/{name:path}",  # noqa: FAST003  bound by alias
    summary="Download an artifact of a run",
    response_class=FileResponse,
    responses={
        **openapi.refusals(status_404="No such run or file"),
        200: {"content": {"application/octet-stream": {}}, "description": "The file, as an attachment"},
    },
)
async def artifact(
    execution_id: ExecutionText,
    name: Annotated[str, Path(max_length=1000, description="Name of the artifact, as in the list")],
    services: ServicesDep,
) -> FileResponse:
    """Return the file as an attachment, so that no browser shows it as a page."""

    def read(conn: Connection) -> Artifact:
        return results.artifact(conn, executions.resolve(conn, execution_id), name)

    kept = await services.database.run(read)
    return FileResponse(
        services.artifacts.path(kept.uri),
        media_type="application/octet-stream",
        filename=kept.name.rpartition("/")[2],
        headers={"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"},
    )
