"""What a run left: results and files. Everything here was written by a test, so it is handed out as data only."""

import asyncio
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import FileResponse
from sqlalchemy import Connection

from api import openapi, schemas, shapes
from api.parameters import ExecutionText
from api.services import Here
from db import executions, results
from model.result import Artifact, summarise
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
async def read_results(
    execution_id: ExecutionText,
    services: Here,
    *,
    attempt: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Which attempt; else the last one")] = None,
    format: Annotated[Literal["json", "junit"], Query(description="JSON, or JUnit XML")] = "json",  # noqa: A002
) -> schemas.ResultList | Response:
    """Return the results of one attempt: the last one that has any, unless another is asked for."""
    if format == "junit":
        report = await services.database.run(
            lambda conn: listing.report(conn, executions.resolve(conn, execution_id), attempt)
        )
        return Response(await asyncio.to_thread(junit, report), media_type="application/xml")
    found = await services.database.run(
        lambda conn: listing.outcome(conn, executions.resolve(conn, execution_id), attempt)
    )
    return schemas.ResultList(
        execution_id=found.execution.execution_id,
        attempt=found.attempt,
        summary=shapes.summary(summarise(found.results)),
        results=[
            schemas.ResultOut(
                name=result.name,
                status=result.outcome,
                duration_ms=result.duration_ms,
                error_message=result.message or None,
                stack_trace=result.trace or None,
                executed_at=result.executed_at,
                assertions=list(result.assertions),
            )
            for result in found.results
        ],
    )


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
