"""The tags by which a run is found on Prefect's pages: its team, its suite, its tool, and its own labels and tags."""

from collections.abc import Iterator

from sqlalchemy import Connection

from db import executions, people, runs, suites
from db.runs import Run, RunRef
from model.ids import ExecutionId, SuiteRunId
from model.runs import RunKind


def tags_of(conn: Connection, run: RunRef) -> list[str]:
    """Return the tags of a run: `team:shop`, `suite:nightly`, `type:pytest`, `label=value`, and its own tags.

    Raises: NotFoundError.
    """
    return sorted(set(_tags(conn, runs.find(conn, run.id))))


def _tags(conn: Connection, row: Run) -> Iterator[str]:
    if row.team_id is not None:
        yield f"team:{people.team(conn, row.team_id).team_name}"
    suite = row.id if row.kind is RunKind.SUITE else row.parent_id
    if suite is not None:
        yield f"suite:{suites.find(conn, SuiteRunId(suite)).name}"
    if row.kind is RunKind.TEST:
        test = executions.find(conn, ExecutionId(row.id))
        yield f"type:{test.type}"
        yield from (f"{key}={value}" for key, value in test.labels.items())
        yield from test.tags
