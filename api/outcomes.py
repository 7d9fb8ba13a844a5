"""What a run left: results and files. Everything here was written by a test, so it is handed out as data only."""

import asyncio
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import FileResponse
from sqlalchemy import Connection

from api import openapi, schemas, shapes
from api.parameters import ExecutionText, FullPage, Paging
from api.services import Here
from db import executions, results
from model.result import Artifact, Outcome
from orchestrator import listing
from reports.junit import junit

router = APIRouter(tags=["tests"])


@router.get(
    "/tests/{executionId}/results",  # noqa: FAST003  bound by alias
    summary="What each test of a run did",
    response_model=schemas.ResultList,
    responses={
        **openapi.refusals(404),
        200: {"content": {"application/xml": {"schema": {"type": "string"}}}, "description": "The results"},
    },
)
async def read_results(  # noqa: PLR0913  the filters of one query
    execution_id: ExecutionText,
    services: Here,
    *,
    page: FullPage,
    attempt: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Which attempt; else the last one")] = None,
    status: Annotated[Outcome | None, Query(description="Only results with this status; JUnit XML has all")] = None,
    format: Annotated[Literal["json", "junit"], Query(description="JSON, or JUnit XML")] = "json",  # noqa: A002
) -> Response:
    """Return the results of one attempt: the last one that has any, unless another is asked for.

    JUnit XML is always whole. Either is written in a thread: it can be megabytes, and others are waiting.
    """
    if format == "junit":
        report = await services.database.run(
            lambda conn: listing.report(conn, executions.resolve(conn, execution_id), attempt)
        )
        return Response(await asyncio.to_thread(junit, report), media_type="application/xml")
    part = listing.Part(page=page.part, attempt=attempt, status=status)
    found = await services.database.run(
        lambda conn: listing.outcomes(conn, executions.resolve(conn, execution_id), part)
    )
    return Response(await asyncio.to_thread(_page, found, page), media_type="application/json")


def _page(found: listing.Outcomes, page: Paging) -> str:
    answer = schemas.ResultList(
        execution_id=found.execution_id,
        attempt=found.attempt,
        summary=shapes.summary(found.summary),
        total=found.total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(found.total),
        results=[shapes.result(result) for result in found.results],
    )
    return answer.model_dump_json()


@router.get(
    "/tests/{executionId}/artifacts",  # noqa: FAST003  bound by alias
    summary="The files that a run left",
    responses=openapi.refusals(404),
)
async def list_artifacts(execution_id: ExecutionText, services: Here) -> schemas.ArtifactList:
    """List the files of the last attempt."""

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
                    link=f"{shapes.TESTS}/{found}/artifacts/{quote(kept.name)}",
                )
                for kept in results.artifacts(conn, found)
            ],
        )

    return await services.database.run(read)


@router.get(
    "/tests/{executionId}/artifacts/{name:path}",  # noqa: FAST003  bound by alias
    summary="One file that a run left",
    response_class=FileResponse,
    responses={
        **openapi.refusals(status_404="No such run or file"),
        200: {"content": {"application/octet-stream": {}}, "description": "The file, as an attachment"},
    },
)
async def artifact(
    execution_id: ExecutionText,
    name: Annotated[str, Path(max_length=1000, description="As in the list")],
    services: Here,
) -> FileResponse:
    """Send the file as an attachment that no browser may take for a page."""

    def read(conn: Connection) -> Artifact:
        return results.artifact(conn, executions.resolve(conn, execution_id), name)

    kept = await services.database.run(read)
    return FileResponse(
        services.artifacts.path(kept.uri),
        media_type="application/octet-stream",
        filename=kept.name.rpartition("/")[2],
        headers={"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"},
    )
