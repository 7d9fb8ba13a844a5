"""Executions: one row a verdict. All changes of their status are one function over one table of what may follow what.

`epoch` fences them: who was admitted before the last admission of a run changes nothing any more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_row

from db import attempts as attempt_rows
from db import gate_tables, identifiers, tables
from db.definitions import labelled, request_parts, tagged
from db.errors import NotFoundError
from db.page import FIRST_PAGE, Page
from db.text import clean
from model.definition import from_json
from model.execution import PHASES, TRANSITIONS, Attempt, Cause, Door, Phase, Reason, Status, TestExecution, Verdict
from model.ids import DefinitionId, ExecutionId, PoolName, SuiteRunId, TeamId, UserId
from model.request import TestRequest, TestType

E = tables.TestExecution
D = tables.TestDefinition
TERMINAL = tuple(status for status in Status if status.terminal)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution:
    """A row to write: a run that waits."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """Which row to change, and the epoch of the place by which one may; None where no place is needed."""

    execution_id: ExecutionId
    epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Become:
    """What a row becomes. `cause` is given when it goes back to wait: why there will be another attempt."""

    status: Status
    phase: Phase
    node: str | None = None
    cause: Cause | None = None
    reason: Reason | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if self.phase not in PHASES[self.status]:
            msg = f"{self.status} has no phase {self.phase}"
            raise ValueError(msg)


def insert(conn: Connection, new: NewExecution) -> bool:
    """Write a run that waits. False when this execution, or one of the same flow run or key, is there already."""
    values = {name: getattr(new, name) for name in NewExecution.__slots__}
    row = insert_row(E).values(**values, status=Status.QUEUED, phase=Phase.WAITING)
    return conn.execute(row.on_conflict_do_nothing()).rowcount == 1


def find(conn: Connection, execution_id: ExecutionId) -> Execution:
    """Return one execution. Raises: NotFoundError."""
    row = conn.execute(_rows().where(E.execution_id == execution_id)).one_or_none()
    if row is None:
        raise NotFoundError("run", execution_id)
    return _execution(row)


def lock(conn: Connection, execution_id: ExecutionId, epoch: int | None = None) -> Execution | None:
    """Return the execution and keep others from changing it until this transaction ends; None for an old epoch."""
    mine = _rows().where(*_fence(Fenced(execution_id=execution_id, epoch=epoch)))
    row = conn.execute(mine.with_for_update(of=E, key_share=True)).one_or_none()
    return None if row is None else _execution(row)


def resolve(conn: Connection, text: str) -> ExecutionId:
    """Return the run that people mean by an id, or by a beginning or end of it.

    Raises: NotFoundError, or ConflictError with the candidates.
    """
    return ExecutionId(identifiers.resolve(conn, "run", E.execution_id, text))


def list_executions(conn: Connection, wanted: ExecutionFilter, page: Page = FIRST_PAGE) -> tuple[list[Execution], int]:
    """Return a page of the executions, newest first, and how many there are in all."""
    conditions = list(_conditions(wanted))
    counted = select(func.count()).select_from(E).join(D, D.id == E.definition_id).where(*conditions)
    total = conn.execute(counted).scalar_one()
    query = _rows().where(*conditions).order_by(E.submitted_at.desc(), E.execution_id.desc())
    return [_execution(row) for row in conn.execute(query.limit(page.limit).offset(page.offset))], total


def transition(conn: Connection, fenced: Fenced, source: Status, become: Become) -> bool:
    """Change a status: the one place where that happens. False when the row is not as the caller believes.

    Raises: ValueError for a change that is never right (model.execution.TRANSITIONS).
    """
    if (source, become.status) not in TRANSITIONS:
        msg = f"run {fenced.execution_id}: {source} is never followed by {become.status}"
        raise ValueError(msg)
    statement = update(E).where(*_fence(fenced), E.status == source).values(**_changes(become))
    return conn.execute(statement).rowcount == 1


def set_phase(conn: Connection, fenced: Fenced, phase: Phase) -> bool:
    """Note where a run stands inside its status. False when the place is lost, or the phase is none of the status."""
    statuses = [status for status, phases in PHASES.items() if phase in phases]
    statement = update(E).where(*_fence(fenced), E.status.in_(statuses)).values(phase=phase)
    return conn.execute(statement).rowcount == 1


def request_cancel(conn: Connection, execution_id: ExecutionId, by: str, now: datetime) -> bool:
    """Write the wish to cancel. False when it was written before, or the run has ended."""
    mine = (E.execution_id == execution_id, E.cancel_requested_at.is_(None), E.status.not_in(TERMINAL))
    statement = update(E).where(*mine).values(cancel_requested_at=now, cancelled_by=clean(by))
    return conn.execute(statement).rowcount == 1


def request_of(conn: Connection, execution_id: ExecutionId) -> TestRequest:
    """Return what an execution runs. Raises: NotFoundError."""
    columns = (D.name, D.type, D.content, D.resources, D.config, D.run, D.meta)
    query = select(*columns, E.priority).join(E, E.definition_id == D.id).where(E.execution_id == execution_id)
    row = conn.execute(query).one_or_none()
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
    """Keep how far a run has come; nothing is written by who has lost its place, nor for what is there already."""
    mine = (*_fence(fenced), E.status == Status.RUNNING, E.progress != dict(progress))
    conn.execute(update(E).where(*mine).values(progress=dict(progress)))


def set_metrics(conn: Connection, execution_id: ExecutionId, metrics: Mapping[str, float]) -> None:
    """Add figures to those that are kept."""
    conn.execute(update(E).where(E.execution_id == execution_id).values(metrics=E.metrics.concat(dict(metrics))))


def team_of(conn: Connection, execution_id: ExecutionId) -> TeamId | None:
    """Return the team that a run counts for."""
    found = conn.execute(select(E.team_id).where(E.execution_id == execution_id)).scalar_one_or_none()
    return None if found is None else TeamId(found)


def unsettled(conn: Connection, before: datetime, limit: int) -> list[ExecutionId]:
    """Return runs that ended before a time and whose verdict Prefect is not known to show, oldest first."""
    query = select(E.execution_id).where(~E.prefect_settled, E.completed_at < before)
    return [ExecutionId(found) for found in conn.execute(query.order_by(E.completed_at).limit(limit)).scalars()]


def settle(conn: Connection, execution_id: ExecutionId) -> None:
    """Note that Prefect shows the verdict of a run that has ended."""
    mine = (E.execution_id == execution_id, E.status.in_(TERMINAL))
    conn.execute(update(E).where(*mine).values(prefect_settled=True))


def is_settled(conn: Connection, execution_id: ExecutionId, flow_run_id: UUID) -> bool:
    """Return whether a run has ended and this flow run of it is known to show that."""
    mine = exists().where(E.execution_id == execution_id, E.flow_run_id == flow_run_id, E.prefect_settled)
    return bool(conn.execute(select(mine)).scalar_one())


def by_flow_run(conn: Connection, flow_run_id: UUID) -> ExecutionId | None:
    """Return the execution of a flow run."""
    found = conn.execute(select(E.execution_id).where(E.flow_run_id == flow_run_id)).scalar_one_or_none()
    return None if found is None else ExecutionId(found)


def by_key(conn: Connection, user_id: UserId, key: str) -> tuple[ExecutionId, str] | None:
    """Return the execution that a user submitted with an idempotency key, and the digest of its request."""
    query = select(E.execution_id, E.request_digest).where(E.submitted_by == user_id, E.idempotency_key == key)
    row = conn.execute(query).one_or_none()
    return None if row is None else (ExecutionId(row.execution_id), row.request_digest or "")


def flow_run_of(conn: Connection, execution_id: ExecutionId) -> UUID | None:
    """Return the flow run of an execution."""
    return conn.execute(select(E.flow_run_id).where(E.execution_id == execution_id)).scalar_one_or_none()


def link_flow_run(conn: Connection, execution_id: ExecutionId, flow_run_id: UUID) -> bool:
    """Give an execution its flow run. False when it has another one."""
    mine = (E.execution_id == execution_id, or_(E.flow_run_id.is_(None), E.flow_run_id == flow_run_id))
    return conn.execute(update(E).where(*mine).values(flow_run_id=flow_run_id)).rowcount == 1


def lose_flow_run(conn: Connection, execution_id: ExecutionId, flow_run_id: UUID) -> None:
    """Forget a flow run that Prefect does not know any more."""
    mine = (E.execution_id == execution_id, E.flow_run_id == flow_run_id)
    conn.execute(update(E).where(*mine).values(flow_run_id=None))


def unlink_flow_run(conn: Connection, execution_id: ExecutionId) -> None:
    """Take an ended execution's flow run away, so that it can carry another one."""
    mine = (E.execution_id == execution_id, E.status.in_(TERMINAL))
    conn.execute(update(E).where(*mine).values(flow_run_id=None, prefect_settled=True))


def unmirrored(conn: Connection, head: int, limit: int) -> list[ExecutionId]:
    """Return runs of the first `head` waiting ones that have no flow run, in the order of the queue."""
    q = gate_tables.QueueRow
    first = select(q.execution_id, q.priority, q.seq).where(q.state == "waiting")
    front = first.order_by(q.priority, q.seq).limit(head).subquery()
    query = select(E.execution_id).join(front, front.c.execution_id == E.execution_id).where(E.flow_run_id.is_(None))
    found = conn.execute(query.order_by(front.c.priority, front.c.seq).limit(limit)).scalars()
    return [ExecutionId(execution_id) for execution_id in found]


def alive_flow_runs(conn: Connection) -> list[UUID]:
    """Return the flow runs of all tests and suites that have not ended and that nobody has cancelled yet."""
    s = tables.SuiteRun
    tests = select(E.flow_run_id).where(
        E.flow_run_id.is_not(None), E.status.not_in(TERMINAL), E.cancel_requested_at.is_(None)
    )
    suites = select(s.flow_run_id).where(
        s.flow_run_id.is_not(None), s.completed_at.is_(None), s.cancel_requested_at.is_(None)
    )
    return [found for found in conn.execute(tests.union(suites)).scalars() if found is not None]


def _rows() -> Select[Any]:
    columns = (E, D.name, D.type, D.meta, tables.User.username)
    query = select(*columns).join_from(E, D, D.id == E.definition_id)
    return query.join(tables.User, tables.User.user_id == E.submitted_by)


def _conditions(wanted: ExecutionFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.statuses:
        yield E.status.in_(wanted.statuses)
    if wanted.types:
        yield D.type.in_(wanted.types)
    if wanted.name is not None:
        yield D.name == wanted.name
    if wanted.submitted_from is not None:
        yield E.submitted_at >= wanted.submitted_from
    if wanted.submitted_to is not None:
        yield E.submitted_at < wanted.submitted_to
    same = {
        E.submitted_by: wanted.user_id,
        E.team_id: wanted.team_id,
        E.suite_run_id: wanted.suite_run_id,
        E.definition_id: wanted.definition_id,
    }
    yield from (column == value for column, value in same.items() if value is not None)
    yield from labelled(wanted.labels)
    yield from tagged(wanted.tags)


def _fence(fenced: Fenced) -> list[ColumnElement[bool]]:
    mine = [E.execution_id == fenced.execution_id]
    return mine if fenced.epoch is None else [*mine, E.epoch == fenced.epoch]


def _changes(become: Become) -> dict[str, Any]:
    changes: dict[str, Any] = {"status": become.status, "phase": become.phase, "detail": clean(become.detail)}
    if become.node is not None:
        changes["node_name"] = become.node
    if become.status is Status.RUNNING:
        changes["started_at"] = func.coalesce(E.started_at, func.greatest(func.now(), E.submitted_at))
    if become.status.terminal:
        changes["completed_at"] = func.greatest(func.now(), E.submitted_at)
        changes["failure_reason"] = become.reason
    if become.cause is Cause.RETRY:
        changes["retry_count"] = E.retry_count + 1
    if become.cause is Cause.INFRASTRUCTURE:
        changes["infrastructure_count"] = E.infrastructure_count + 1
    return changes


def _execution(row: Row[Any]) -> Execution:
    return Execution(
        execution_id=ExecutionId(row.execution_id),
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
        suite_run_id=row.suite_run_id,
        retried_from=row.retried_from,
        cancel_requested_at=row.cancel_requested_at,
        cancelled_by=row.cancelled_by,
        prefect_settled=row.prefect_settled,
        metrics=row.metrics,
        progress=row.progress,
        labels=row.metadata.get("labels", {}),
        tags=tuple(row.metadata.get("tags", ())),
    )
