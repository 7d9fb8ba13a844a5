"""Tests: what only a run of kind `test` has, beside its row in `runs` (db/runs.py)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update

from db import attempts as attempt_rows
from db import runs, tables
from db.definitions import labelled, request_parts, tagged
from db.errors import NotFoundError
from db.page import FIRST_PAGE, Page
from db.prepared import Prepared
from db.runs import Fenced
from model import provenance as provenance_rows
from model.definition import from_json
from model.execution import Attempt, Door, Phase, Reason, Status, TestExecution, Verdict
from model.ids import DefinitionId, ExecutionId, PoolName, SuiteRunId, TeamId, UserId
from model.provenance import NOTHING_KNOWN, Provenance
from model.request import TestRequest, TestType
from model.runs import RunKind

R = tables.Run
T = tables.TestRunDetails
D = tables.TestDefinition


_INSERT = Prepared("""
WITH run AS (
    INSERT INTO runs (id, kind, status, phase, priority, door, pool, submitted_by, team_id, submitted_at, flow_run_id,
        parent_id, retried_from, idempotency_key, request_digest)
    VALUES (:execution_id, 'test', 'queued', 'waiting', :priority, :door, :pool, :submitted_by, :team_id, :submitted_at,
        :flow_run_id, :suite_run_id, :retried_from, :idempotency_key, :request_digest)
    ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO test_run_details (execution_id, definition_id)
SELECT id, CAST(:definition_id AS uuid) FROM run RETURNING execution_id
""")
"""It is prepared, because SQLAlchemy compiles a statement with ON CONFLICT anew each time, which costs more than it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution:
    """A test to write: a run that waits, and what it runs."""

    execution_id: ExecutionId
    definition_id: DefinitionId
    priority: int
    door: Door
    pool: PoolName
    submitted_by: UserId
    team_id: TeamId | None
    submitted_at: datetime
    flow_run_id: UUID | None = None
    suite_run_id: SuiteRunId | None = None
    retried_from: ExecutionId | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(TestExecution):
    """A row as it is kept: the execution, and how it is connected."""

    epoch: int
    pool: PoolName
    submitted_by: UserId
    username: str
    team_id: TeamId | None = None
    infrastructure_count: int = 0
    flow_run_id: UUID | None = None
    suite_run_id: SuiteRunId | None = None
    retried_from: ExecutionId | None = None
    cancel_requested_at: datetime | None = None
    cancelled_by: str | None = None
    prefect_settled: bool = False
    metrics: Mapping[str, Any] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFilter:
    """Which executions are wanted; what is not given does not matter. Times are of the submit, the end exclusive."""

    statuses: tuple[Status, ...] = ()
    types: tuple[TestType, ...] = ()
    user_id: UserId | None = None
    team_id: TeamId | None = None
    name: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    submitted_from: datetime | None = None
    submitted_to: datetime | None = None
    suite_run_id: SuiteRunId | None = None
    definition_id: DefinitionId | None = None


def insert(conn: Connection, new: NewExecution) -> bool:
    """Write a test that waits. False when this execution, or one of the same flow run or key, is there already."""
    return len(_INSERT.execute(conn, {name: getattr(new, name) for name in NewExecution.__slots__})) == 1


def find(conn: Connection, execution_id: ExecutionId) -> Execution:
    """Return one execution. Raises: NotFoundError."""
    row = conn.execute(_rows().where(R.id == execution_id)).one_or_none()
    if row is None:
        raise NotFoundError("run", execution_id)
    return _execution(row)


def resolve(conn: Connection, text: str) -> ExecutionId:
    """Return the test that people mean by an id, or by a beginning or end of it.

    Raises: NotFoundError, or ConflictError with the candidates.
    """
    return ExecutionId(runs.resolve(conn, text, RunKind.TEST))


def by_flow_run(conn: Connection, flow_run_id: UUID) -> ExecutionId | None:
    """Return the execution of a flow run."""
    found = runs.by_flow_run(conn, flow_run_id)
    return ExecutionId(found.id) if found is not None and found.kind is RunKind.TEST else None


def list_executions(conn: Connection, wanted: ExecutionFilter, page: Page = FIRST_PAGE) -> tuple[list[Execution], int]:
    """Return a page of the executions, newest first, and how many there are in all."""
    conditions = list(_conditions(wanted))
    total = conn.execute(_counted(wanted).where(*conditions)).scalar_one()
    query = _rows().where(R.kind == RunKind.TEST, *conditions).order_by(R.submitted_at.desc(), R.id.desc())
    return [_execution(row) for row in conn.execute(query.limit(page.limit).offset(page.offset))], total


def request_of(conn: Connection, execution_id: ExecutionId) -> TestRequest:
    """Return what an execution runs. Raises: NotFoundError."""
    columns = (D.name, D.type, D.content, D.resources, D.config, D.run, D.meta)
    query = select(*columns, R.priority).join(T, T.definition_id == D.id).join(R, R.id == T.execution_id)
    row = conn.execute(query.where(R.id == execution_id)).one_or_none()
    if row is None:
        raise NotFoundError("run", execution_id)
    parts = request_parts(row)
    return from_json({**parts, "metadata": {**parts["metadata"], "priority": row.priority}})


def attempts(conn: Connection, execution_id: ExecutionId) -> list[Attempt]:
    """Return the attempts of a run, first to last."""
    return attempt_rows.read(conn, execution_id)


def open_attempt(conn: Connection, execution_id: ExecutionId, *, epoch: int, node: str | None) -> Attempt:
    """Return the attempt that is open, or open the next one."""
    return attempt_rows.open_next(conn, execution_id, epoch=epoch, node=node)


def close_attempt(
    conn: Connection, execution_id: ExecutionId, number: int, verdict: Verdict, exit_code: int | None = None
) -> bool:
    """End an attempt. False when it had ended: its first end stands."""
    return attempt_rows.close(conn, execution_id, number, verdict, exit_code)


def set_progress(conn: Connection, fenced: Fenced, progress: Mapping[str, Any]) -> None:
    """Keep how far a run has come. A worker that has lost its place writes nothing."""
    mine = select(R.id).where(*runs.fence(fenced), R.status == Status.RUNNING).with_for_update(key_share=True)
    run = mine.cte("mine")
    changed = (T.execution_id == run.c.id, T.progress != dict(progress))
    conn.execute(update(T).where(*changed).values(progress=dict(progress)))


def set_outcome(
    conn: Connection,
    execution_id: ExecutionId,
    *,
    metrics: Mapping[str, float],
    progress: Mapping[str, Any],
    provenance: Provenance = NOTHING_KNOWN,
) -> None:
    """Add figures and provenance to those that are kept, and keep how far the run has come.

    The caller holds the run's row.
    """
    values = {
        "metrics": T.metrics.concat(dict(metrics)),
        "progress": dict(progress),
        "provenance": T.provenance.concat(provenance_rows.to_json(provenance)),
    }
    conn.execute(update(T).where(T.execution_id == execution_id).values(values))


def commit_of(conn: Connection, execution_id: ExecutionId) -> str | None:
    """Return the commit that an earlier attempt of a run has run, None if none is known."""
    query = select(func.jsonb_extract_path_text(T.provenance, "commit")).where(T.execution_id == execution_id)
    return conn.execute(query).scalar_one_or_none()


def set_commit(conn: Connection, execution_id: ExecutionId, commit: str) -> None:
    """Keep the commit that a run runs. The first one stays. The caller holds the run's row."""
    unknown = (T.execution_id == execution_id, ~func.jsonb_exists(T.provenance, "commit"))
    conn.execute(update(T).where(*unknown).values(provenance=T.provenance.concat({"commit": commit})))


def _rows() -> Select[Any]:
    details = (T.definition_id, T.pod_name, T.metrics, T.progress, T.provenance)
    query = select(R, *details, D.name, D.type, D.meta, tables.User.username).join_from(R, T, T.execution_id == R.id)
    return query.join(D, D.id == T.definition_id).join(tables.User, tables.User.user_id == R.submitted_by)


def _counted(wanted: ExecutionFilter) -> Select[Any]:
    """Count the tests, joining only what the filter asks about: without a filter there may be very many."""
    query = select(func.count()).select_from(R).where(R.kind == RunKind.TEST)
    about_definition = wanted.types or wanted.name is not None or wanted.labels or wanted.tags
    if about_definition or wanted.definition_id is not None:
        query = query.join(T, T.execution_id == R.id)
    return query.join(D, D.id == T.definition_id) if about_definition else query


def _conditions(wanted: ExecutionFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.statuses:
        yield R.status.in_(wanted.statuses)
    if wanted.types:
        yield D.type.in_(wanted.types)
    if wanted.name is not None:
        yield D.name == wanted.name
    if wanted.submitted_from is not None:
        yield R.submitted_at >= wanted.submitted_from
    if wanted.submitted_to is not None:
        yield R.submitted_at < wanted.submitted_to
    same = {
        R.submitted_by: wanted.user_id,
        R.team_id: wanted.team_id,
        R.parent_id: wanted.suite_run_id,
        T.definition_id: wanted.definition_id,
    }
    yield from (column == value for column, value in same.items() if value is not None)
    yield from labelled(wanted.labels)
    yield from tagged(wanted.tags)


def _execution(row: Row[Any]) -> Execution:
    return Execution(
        execution_id=ExecutionId(row.id),
        definition_id=DefinitionId(row.definition_id),
        name=row.name,
        type=row.type,
        priority=row.priority,
        status=Status(row.status),
        phase=Phase(row.phase),
        door=Door(row.door),
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        retry_count=row.retry_count,
        node_name=row.node_name,
        pod_name=row.pod_name,
        failure_reason=Reason(row.failure_reason) if row.failure_reason else None,
        detail=row.detail,
        cancel_requested=row.cancel_requested_at is not None,
        epoch=row.epoch,
        pool=PoolName(row.pool),
        submitted_by=UserId(row.submitted_by),
        username=row.username,
        team_id=row.team_id,
        infrastructure_count=row.infrastructure_count,
        flow_run_id=row.flow_run_id,
        suite_run_id=row.parent_id,
        retried_from=row.retried_from,
        cancel_requested_at=row.cancel_requested_at,
        cancelled_by=row.cancelled_by,
        prefect_settled=row.settled,
        metrics=row.metrics,
        progress=row.progress,
        provenance=provenance_rows.from_json(row.provenance),
        labels=row.metadata.get("labels", {}),
        tags=tuple(row.metadata.get("tags", ())),
    )
