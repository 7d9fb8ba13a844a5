"""GET /tests: the list of tests, with its filters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import JsonValue

from api import responses, schemas
from api.parameters import Page
from api.services import ServicesDep
from model.execution import Status
from model.ids import DefinitionId, RunId, SuiteRunId
from model.problems import InvalidError, Problem
from model.request import TestType
from orchestrator import listing

router = APIRouter(tags=["tests"])
DATE_TIME: dict[str, JsonValue] = {"format": "date-time"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The filters of the list. A run must match all that are given."""

    status: Annotated[Status | None, Query(description="Only runs with this status")] = None
    type: Annotated[TestType | None, Query(description="Only runs of this tool")] = None
    user: Annotated[str | None, Query(max_length=100, description="Only runs of this user")] = None
    label: Annotated[str | None, Query(max_length=400, description="Only runs with this label, key=value")] = None
    tag: Annotated[str | None, Query(max_length=100, description="Only runs with this tag")] = None
    suite_run: Annotated[UUID | None, Query(alias="suiteRun", description="Only tests of this suite run")] = None
    definition: Annotated[UUID | None, Query(description="Only runs of this definition")] = None
    since: Annotated[
        str | None, Query(description="Only runs submitted at or after this time", json_schema_extra=DATE_TIME)
    ] = None
    until: Annotated[
        str | None, Query(description="Only runs submitted before this time", json_schema_extra=DATE_TIME)
    ] = None

    def wanted(self) -> listing.Wanted:
        """Return the filters in the form of the use case. Raises: InvalidError with all problems."""
        problems: list[Problem] = []
        wanted = listing.Wanted(
            status=self.status,
            type=self.type,
            user=self.user,
            label=_label(self.label, problems),
            tag=self.tag,
            suite_run=SuiteRunId(RunId(self.suite_run)) if self.suite_run else None,
            definition=DefinitionId(self.definition) if self.definition else None,
            since=_time(self.since, "since", problems),
            until=_time(self.until, "until", problems),
        )
        if problems:
            raise InvalidError(problems)
        return wanted


@router.get(
    "/tests",
    summary="List test executions",
    response_description="List of test executions",
)
async def list_tests(
    services: ServicesDep, filters: Annotated[Filters, Depends()], page: Page
) -> schemas.ExecutionList:
    """Return runs, newest first."""
    wanted = filters.wanted()
    found, total = await services.database.run(lambda conn: listing.list_shown(conn, wanted, page.part))
    return schemas.ExecutionList(
        executions=[responses.execution(shown) for shown in found],
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


def _time(text: str | None, name: str, problems: list[Problem]) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        message = "must be a date and time, for example 2025-01-01T10:30:00Z"
    else:
        if time.tzinfo is not None:
            return time
        message = "must have a time zone, for example 2025-01-01T10:30:00Z"
    problems.append(Problem(path=f"query.{name}", message=message))
    return None
