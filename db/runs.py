"""Runs of every kind: one row each in `runs`. All changes of their status are one function, `transition`.

`epoch` fences the changes: a worker that was admitted before the last admission of a run changes nothing any more.
What only one kind has is in `db/executions.py` (tests) and `db/suites.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, case, exists, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as insert_row

from db import gate_tables, identifiers, outbox, tables
from db.errors import NotFoundError
from db.page import Page
from db.prepared import Prepared
from db.text import clean
from model.execution import PHASES, Cause, Door, Phase, Reason, Status
from model.ids import PoolName, RunId, TeamId, UserId
from model.runs import RunKind, RunStatus, kinds_with, phases_of, run_status

R = tables.Run
ALIVE = tuple(status for status in Status if not status.terminal)
_ENDED = Prepared(f"""
WITH ended AS (
    UPDATE runs SET status = :status, phase = 'ended', completed_at = greatest(now(), submitted_at),
        failure_reason = :reason, detail = :detail, node_name = coalesce(:node, node_name)
    WHERE id = :id AND epoch = coalesce(CAST(:epoch AS int), epoch) AND status = :source
        AND kind = ANY(CAST(:kinds AS text[]))
    RETURNING id, kind, status, failure_reason
) {outbox.APPEND_ENDED}
""")  # noqa: S608  only our own text
WORDS = {RunKind.TEST: "run", RunKind.SUITE: "suite run", RunKind.EXPERIMENT: "experiment run"}
"""What people call a run of a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A row to write: a run that has not begun."""

    id: RunId
    kind: RunKind
    priority: int
    door: Door
    pool: PoolName
    submitted_by: UserId
    team_id: TeamId | None
    submitted_at: datetime
    flow_run_id: UUID | None = None
    parent_id: RunId | None = None
    retried_from: RunId | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """Which run, and of which kind."""

    id: RunId
    kind: RunKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row as it is kept, for every kind."""

    id: RunId
    kind: RunKind
    status: RunStatus
    phase: Phase
    epoch: int
    pool: PoolName
    submitted_by: UserId
    submitted_at: datetime
    door: Door
    team_id: TeamId | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    retry_count: int = 0
    infrastructure_count: int = 0
    failure_reason: Reason | None = None
    detail: str = ""
    cancel_requested_at: datetime | None = None
    cancelled_by: str | None = None
    parent_id: RunId | None = None
    flow_run_id: UUID | None = None

    @property
    def cancel_requested(self) -> bool:
        """True once somebody asked for its end."""
        return self.cancel_requested_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """Which row to change, and the epoch of the place by which one may; None where no place is needed."""

    run_id: RunId
    epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Become:
    """What a row becomes. `cause` is given when it goes back to wait: why there will be another attempt."""

    status: RunStatus
    phase: Phase
    node: str | None = None
    cause: Cause | None = None
    reason: Reason | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if self.phase not in phases_of(self.status):
            msg = f"{self.status} has no phase {self.phase}"
            raise ValueError(msg)


def insert(conn: Connection, new: NewRun) -> bool:
    """Write a run that has not begun. False when this id, its flow run or its key is there already."""
    values = {name: getattr(new, name) for name in NewRun.__slots__}
    row = insert_row(R).values(**values, status=Status.QUEUED, phase=Phase.WAITING)
    return conn.execute(row.on_conflict_do_nothing()).rowcount == 1


def find(conn: Connection, run_id: RunId) -> Run:
    """Return a run of any kind. Raises: NotFoundError."""
    row = conn.execute(select(R).where(R.id == run_id)).one_or_none()
    if row is None:
        raise NotFoundError("run", run_id)
    return _run(row)


def lock(conn: Connection, run_id: RunId, epoch: int | None = None) -> Run | None:
    """Return a run and keep others from changing it until this transaction ends; None for an old epoch."""
    query = select(R).where(*fence(Fenced(run_id=run_id, epoch=epoch))).with_for_update(key_share=True)
    row = conn.execute(query).one_or_none()
    return None if row is None else _run(row)


def resolve(conn: Connection, text: str, kind: RunKind) -> RunId:
    """Return the run of a kind that people mean by an id, or by a beginning or end of it.

    Raises: NotFoundError, or ConflictError with the candidates.
    """
    return RunId(identifiers.resolve(conn, WORDS[kind], R.id, text, R.kind == kind))


def resolve_any(conn: Connection, text: str) -> RunRef:
    """Return the run of any kind that people mean. Raises: NotFoundError, or ConflictError with the candidates."""
    run = find(conn, RunId(identifiers.resolve(conn, "run", R.id, text, true())))
    return RunRef(id=run.id, kind=run.kind)


def list_runs(conn: Connection, kind: RunKind | None, status: Status | None, page: Page) -> tuple[list[RunRef], int]:
    """Return a page of the runs of every kind, newest first, and how many there are in all."""
    wanted = [column == value for column, value in ((R.kind, kind), (R.status, status)) if value is not None]
    total = conn.execute(select(func.count()).select_from(R).where(*wanted)).scalar_one()
    query = select(R.id, R.kind).where(*wanted).order_by(R.submitted_at.desc(), R.id.desc())
    return [_ref(row) for row in conn.execute(query.limit(page.limit).offset(page.offset))], total


def transition(conn: Connection, fenced: Fenced, source: RunStatus, become: Become) -> bool:
    """Change a status: the one place where that happens. False when the row is not as the caller believes.

    An end is written to the outbox in the same statement (008.7). Raises: ValueError for a change that a run of this
    kind may never make (`model.runs.RUN_TRANSITIONS`).
    """
    kinds = kinds_with(source, become.status)
    change = _end if become.status.terminal else _go_on
    changed = change(conn, fenced, source, become)
    if not changed and _kind(conn, fenced.run_id) not in (None, *kinds):
        msg = f"run {fenced.run_id}: {source} is never followed by {become.status}"
        raise ValueError(msg)
    return changed


def set_phase(conn: Connection, fenced: Fenced, phase: Phase, detail: str = "") -> bool:
    """Note where a run stands inside its status, and in words what holds it up there.

    False when the place is lost, or the phase is none of the status.
    """
    statuses = [status for status, phases in PHASES.items() if phase in phases]
    statement = update(R).where(*fence(fenced), R.status.in_(statuses)).values(phase=phase, detail=clean(detail))
    return conn.execute(statement).rowcount == 1


def request_cancel(conn: Connection, run_id: RunId, by: str, now: datetime) -> bool:
    """Write down that somebody asked for the end of a run. False when it was written before, or the run has ended."""
    mine = (R.id == run_id, R.cancel_requested_at.is_(None), R.status.in_(ALIVE))
    statement = update(R).where(*mine).values(cancel_requested_at=now, cancelled_by=clean(by))
    return conn.execute(statement).rowcount == 1


def team_of(conn: Connection, run_id: RunId) -> TeamId | None:
    """Return the team that a run counts for."""
    found = conn.execute(select(R.team_id).where(R.id == run_id)).scalar_one_or_none()
    return None if found is None else TeamId(found)


def unsettled(conn: Connection, before: datetime, limit: int) -> list[RunRef]:
    """Return runs that ended before a time and whose verdict Prefect is not known to show, oldest first."""
    query = select(R.id, R.kind).where(~R.settled, R.completed_at < before)
    return [_ref(row) for row in conn.execute(query.order_by(R.completed_at, R.id).limit(limit))]


def settle(conn: Connection, run_id: RunId) -> None:
    """Note that Prefect shows the verdict of a run that has ended."""
    conn.execute(update(R).where(R.id == run_id, R.status.not_in(ALIVE)).values(settled=True))


def is_settled(conn: Connection, run_id: RunId, flow_run_id: UUID) -> bool:
    """Return whether a run has ended and this flow run of it is known to show that."""
    mine = exists().where(R.id == run_id, R.flow_run_id == flow_run_id, R.settled)
    return bool(conn.execute(select(mine)).scalar_one())


def by_flow_run(conn: Connection, flow_run_id: UUID) -> RunRef | None:
    """Return the run of a flow run."""
    row = conn.execute(select(R.id, R.kind).where(R.flow_run_id == flow_run_id)).one_or_none()
    return None if row is None else _ref(row)


def by_key(conn: Connection, user_id: UserId, key: str) -> tuple[RunId, str] | None:
    """Return the run that a user submitted with an idempotency key, and the digest of its request."""
    query = select(R.id, R.request_digest).where(R.submitted_by == user_id, R.idempotency_key == key)
    row = conn.execute(query).one_or_none()
    return None if row is None else (RunId(row.id), row.request_digest or "")


def flow_run_of(conn: Connection, run_id: RunId) -> UUID | None:
    """Return the flow run of a run."""
    return conn.execute(select(R.flow_run_id).where(R.id == run_id)).scalar_one_or_none()


def link_flow_run(conn: Connection, run_id: RunId, flow_run_id: UUID) -> bool:
    """Give a run its flow run. False when it has another one."""
    mine = (R.id == run_id, or_(R.flow_run_id.is_(None), R.flow_run_id == flow_run_id))
    return conn.execute(update(R).where(*mine).values(flow_run_id=flow_run_id)).rowcount == 1


def lose_flow_run(conn: Connection, run_id: RunId, flow_run_id: UUID) -> None:
    """Forget a flow run that Prefect does not know any more."""
    conn.execute(update(R).where(R.id == run_id, R.flow_run_id == flow_run_id).values(flow_run_id=None))


def unlink_flow_run(conn: Connection, run_id: RunId) -> None:
    """Take the flow run of an ended run away, so that another run can have it."""
    mine = (R.id == run_id, R.status.not_in(ALIVE))
    conn.execute(update(R).where(*mine).values(flow_run_id=None, settled=True))


def unmirrored(conn: Connection, head: int, limit: int) -> list[RunRef]:
    """Return runs that have no flow run: suite runs that have not ended, and those of the first `head` of the queue."""
    query = select(R.id, R.kind).where(R.kind == RunKind.SUITE, R.completed_at.is_(None), R.flow_run_id.is_(None))
    found = [_ref(row) for row in conn.execute(query.order_by(R.submitted_at, R.id).limit(limit))]
    return [*found, *_unmirrored_queue(conn, head, limit)]


def alive_flow_runs(conn: Connection) -> list[UUID]:
    """Return the flow runs of all runs that have not ended and that nobody has cancelled yet."""
    mine = (R.flow_run_id.is_not(None), R.status.in_(ALIVE), R.cancel_requested_at.is_(None))
    return [found for found in conn.execute(select(R.flow_run_id).where(*mine)).scalars() if found is not None]


def fence(fenced: Fenced) -> list[ColumnElement[bool]]:
    """Return the conditions under which a row may be changed."""
    return [R.id == fenced.run_id, true() if fenced.epoch is None else R.epoch == fenced.epoch]


def _unmirrored_queue(conn: Connection, head: int, limit: int) -> list[RunRef]:
    """Return them in the order of the queue."""
    q, p = gate_tables.QueueRow, gate_tables.Pool
    step = case((p.strategy == "FIFO", 0.0), else_=p.ageing_limit_seconds)
    key = (q.enqueued_at + q.priority * func.make_interval(0, 0, 0, 0, 0, 0, step)).label("key")
    first = select(q.execution_id, key, q.seq).join(p, p.name == q.pool).where(q.state == "waiting")
    front = first.order_by(key, q.seq).limit(head).subquery()
    query: Select[Any] = select(R.id, R.kind).join(front, front.c.execution_id == R.id)
    found = query.where(R.flow_run_id.is_(None)).order_by(front.c.key, front.c.seq).limit(limit)
    return [_ref(row) for row in conn.execute(found)]


def _kind(conn: Connection, run_id: RunId) -> RunKind | None:
    found = conn.execute(select(R.kind).where(R.id == run_id)).scalar_one_or_none()
    return None if found is None else RunKind(found)


def _go_on(conn: Connection, fenced: Fenced, source: RunStatus, become: Become) -> bool:
    changes: dict[str, Any] = {"status": become.status, "phase": become.phase, "detail": clean(become.detail)}
    if become.node is not None:
        changes["node_name"] = become.node
    if become.status is Status.RUNNING:
        changes["started_at"] = func.coalesce(R.started_at, func.greatest(func.now(), R.submitted_at))
    if become.cause is Cause.RETRY:
        changes["retry_count"] = R.retry_count + 1
    if become.cause is Cause.INFRASTRUCTURE:
        changes["infrastructure_count"] = R.infrastructure_count + 1
    mine = (*fence(fenced), R.status == source, R.kind.in_(kinds_with(source, become.status)))
    return conn.execute(update(R).where(*mine).values(**changes)).rowcount == 1


def _end(conn: Connection, fenced: Fenced, source: RunStatus, become: Become) -> bool:
    values = {
        "id": fenced.run_id,
        "epoch": fenced.epoch,
        "source": source,
        "kinds": list(kinds_with(source, become.status)),
        "status": become.status,
        "reason": become.reason,
        "detail": clean(become.detail),
        "node": become.node,
    }
    return len(_ENDED.execute(conn, values)) == 1


def _ref(row: Row[Any]) -> RunRef:
    return RunRef(id=RunId(row.id), kind=RunKind(row.kind))


def _run(row: Row[Any]) -> Run:
    return Run(
        id=RunId(row.id),
        kind=RunKind(row.kind),
        status=run_status(row.status),
        phase=Phase(row.phase),
        epoch=row.epoch,
        pool=PoolName(row.pool),
        submitted_by=UserId(row.submitted_by),
        submitted_at=row.submitted_at,
        door=Door(row.door),
        team_id=row.team_id,
        started_at=row.started_at,
        completed_at=row.completed_at,
        retry_count=row.retry_count,
        infrastructure_count=row.infrastructure_count,
        failure_reason=Reason(row.failure_reason) if row.failure_reason else None,
        detail=row.detail,
        cancel_requested_at=row.cancel_requested_at,
        cancelled_by=row.cancelled_by,
        parent_id=row.parent_id,
        flow_run_id=row.flow_run_id,
    )
