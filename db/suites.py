"""Runs of suites: a row each; the tests point to it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, and_, exists, func, insert, or_, select, update

from db import gate_tables, identifiers, tables
from db.errors import NotFoundError
from db.locks import Lock, lock_key
from db.page import FIRST_PAGE, Page
from db.text import clean
from model.execution import Reason, Status, Verdict
from model.ids import SuiteRunId, UserId

S = tables.SuiteRun
E = tables.TestExecution
SKIPPED = "skipped"
"""The one status that a suite run has and a test has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRow:
    """A suite run as it is kept. `definition` is the suite as `model.suite.check_suite` takes it."""

    suite_run_id: SuiteRunId
    name: str
    definition: Mapping[str, Any]
    status: str
    submitted_by: UserId
    submitted_at: datetime
    note: str = ""
    completed_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    cancelled_by: str | None = None
    flow_run_id: UUID | None = None
    host: str | None = None

    @property
    def cancel_requested(self) -> bool:
        """True once somebody wished it to end."""
        return self.cancel_requested_at is not None


def save(conn: Connection, row: SuiteRow) -> None:
    """Write a new suite run."""
    values = {name: getattr(row, name) for name in SuiteRow.__slots__}
    conn.execute(insert(S).values(**values | {"definition": dict(row.definition), "note": clean(row.note)}))


def find(conn: Connection, suite_run_id: SuiteRunId) -> SuiteRow:
    """Return a suite run. Raises: NotFoundError."""
    row = conn.execute(select(S).where(S.suite_run_id == suite_run_id)).one_or_none()
    if row is None:
        raise NotFoundError("suite run", suite_run_id)
    return _suite(row)


def lock(conn: Connection, suite_run_id: SuiteRunId) -> SuiteRow:
    """Return a suite run and keep others from changing it until this transaction ends. Raises: NotFoundError."""
    query = select(S).where(S.suite_run_id == suite_run_id).with_for_update(key_share=True)
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFoundError("suite run", suite_run_id)
    return _suite(row)


def resolve(conn: Connection, text: str) -> SuiteRunId:
    """Return the suite run that people mean. Raises: NotFoundError, or ConflictError with the candidates."""
    return SuiteRunId(identifiers.resolve(conn, "suite run", S.suite_run_id, text))


def list_suite_runs(conn: Connection, page: Page = FIRST_PAGE, name: str | None = None) -> tuple[list[SuiteRow], int]:
    """Return a page of the suite runs, newest first, and how many there are in all."""
    conditions = [] if name is None else [S.name == name]
    total = conn.execute(select(func.count()).select_from(S).where(*conditions)).scalar_one()
    query: Select[Any] = select(S).where(*conditions).order_by(S.submitted_at.desc(), S.suite_run_id.desc())
    return [_suite(row) for row in conn.execute(query.limit(page.limit).offset(page.offset))], total


def verdicts(conn: Connection, suite_run_id: SuiteRunId) -> list[Verdict | None]:
    """Return the verdicts of its tests in the order of their submit; None for one that has not ended."""
    query = select(E.status, E.failure_reason, E.detail).where(E.suite_run_id == suite_run_id)
    rows = conn.execute(query.order_by(E.submitted_at, E.execution_id))
    return [_verdict(Status(row.status), row.failure_reason, row.detail) for row in rows]


def kinds_of_verdicts(conn: Connection, suite_run_ids: Collection[SuiteRunId]) -> dict[SuiteRunId, list[Verdict]]:
    """Return how tests of these suite runs have ended: each status and reason once a suite run."""
    ended = (E.suite_run_id.in_(suite_run_ids), E.completed_at.is_not(None))
    found: dict[SuiteRunId, list[Verdict]] = {}
    for row in conn.execute(select(E.suite_run_id, E.status, E.failure_reason).where(*ended).distinct()):
        if (verdict := _verdict(Status(row.status), row.failure_reason, "")) is not None:
            found.setdefault(SuiteRunId(row.suite_run_id), []).append(verdict)
    return found


def finish(conn: Connection, suite_run_id: SuiteRunId, status: str, now: datetime) -> bool:
    """End a suite run. False when it had ended: its first end stands."""
    mine = (S.suite_run_id == suite_run_id, S.completed_at.is_(None))
    changes = {"status": status, "completed_at": func.greatest(now, S.submitted_at)}
    return conn.execute(update(S).where(*mine).values(changes)).rowcount == 1


def request_cancel(conn: Connection, suite_run_id: SuiteRunId, by: str, now: datetime) -> bool:
    """Write the wish to cancel. False when it was written before, or the suite run has ended."""
    mine = (S.suite_run_id == suite_run_id, S.cancel_requested_at.is_(None), S.completed_at.is_(None))
    return conn.execute(update(S).where(*mine).values(cancel_requested_at=now, cancelled_by=clean(by))).rowcount == 1


def unfinished(conn: Connection, name: str, user_id: UserId) -> list[SuiteRunId]:
    """Return the runs of a suite, by this user or the team, that have not ended: a scheduled one is skipped then.

    Whoever asks holds the suite's name until its transaction ends, so that two cannot both find nothing.
    """
    conn.execute(select(func.pg_advisory_xact_lock(int(Lock.SUITE), lock_key(name))))
    u = tables.User
    team = select(u.team_id).where(u.user_id == user_id).scalar_subquery()
    ours = or_(S.submitted_by == user_id, S.submitted_by.in_(select(u.user_id).where(u.team_id == team)))
    query = select(S.suite_run_id).where(S.name == name, S.completed_at.is_(None), ours)
    return [SuiteRunId(found) for found in conn.execute(query.order_by(S.submitted_at.desc())).scalars()]


def open_with_ended_tests(conn: Connection, limit: int) -> list[SuiteRunId]:
    """Return suite runs that have not ended although all their tests have."""
    tests = exists().where(E.suite_run_id == S.suite_run_id)
    alive = exists().where(E.suite_run_id == S.suite_run_id, E.completed_at.is_(None))
    return _ids(conn, select(S.suite_run_id).where(S.completed_at.is_(None), tests, ~alive), limit)


def by_flow_run(conn: Connection, flow_run_id: UUID) -> SuiteRunId | None:
    """Return the suite run of a flow run."""
    found = conn.execute(select(S.suite_run_id).where(S.flow_run_id == flow_run_id)).scalar_one_or_none()
    return None if found is None else SuiteRunId(found)


def link_flow_run(conn: Connection, suite_run_id: SuiteRunId, flow_run_id: UUID) -> bool:
    """Give a suite run its flow run. False when it has another one."""
    mine = (S.suite_run_id == suite_run_id, or_(S.flow_run_id.is_(None), S.flow_run_id == flow_run_id))
    return conn.execute(update(S).where(*mine).values(flow_run_id=flow_run_id)).rowcount == 1


def is_settled(conn: Connection, suite_run_id: SuiteRunId, flow_run_id: UUID) -> bool:
    """Return whether a suite run has ended and this flow run of it is known to show that."""
    mine = exists().where(S.suite_run_id == suite_run_id, S.flow_run_id == flow_run_id, S.prefect_settled)
    return bool(conn.execute(select(mine)).scalar_one())


def unlink_flow_run(conn: Connection, suite_run_id: SuiteRunId) -> None:
    """Take an ended suite run's flow run away, so that it can carry another one."""
    mine = (S.suite_run_id == suite_run_id, S.completed_at.is_not(None))
    conn.execute(update(S).where(*mine).values(flow_run_id=None, prefect_settled=True))


def unmirrored(conn: Connection, limit: int) -> list[SuiteRunId]:
    """Return suite runs that have neither ended nor a flow run, oldest first."""
    return _ids(conn, select(S.suite_run_id).where(S.flow_run_id.is_(None), S.completed_at.is_(None)), limit)


def unsettled(conn: Connection, before: datetime, limit: int) -> list[SuiteRunId]:
    """Return suite runs that ended before a time and whose verdict Prefect is not known to show."""
    return _ids(conn, select(S.suite_run_id).where(~S.prefect_settled, S.completed_at < before), limit)


def settle(conn: Connection, suite_run_id: SuiteRunId) -> None:
    """Note that Prefect shows the verdict of a suite run that has ended."""
    mine = (S.suite_run_id == suite_run_id, S.completed_at.is_not(None))
    conn.execute(update(S).where(*mine).values(prefect_settled=True))


def host(conn: Connection, suite_run_id: SuiteRunId, worker: str) -> None:
    """Note in which worker a suite's flow waits."""
    conn.execute(update(S).where(S.suite_run_id == suite_run_id).values(host=worker))


def take_orphans(
    conn: Connection, worker: str, ttl: timedelta, carried: Collection[UUID] = ()
) -> list[tuple[SuiteRunId, UUID]]:
    """Take over the suite runs that nobody carries; return them with their flow runs. Two workers never take one.

    Nobody carries those of a worker that is gone, and those that are said to be this worker's own but whose flow runs
    are not among `carried`: an earlier life of it had them, or their flows broke off. After a restart of the server no
    worker counts as gone for one `ttl`, since none could say that it lives.
    """
    w = gate_tables.Worker
    lives = or_(w.expires_at > func.clock_timestamp(), func.pg_postmaster_start_time() + ttl > func.clock_timestamp())
    living = exists().where(w.worker_id == S.host, lives)
    left = or_(~living, and_(S.host == worker, S.flow_run_id.not_in(carried)))
    mine = (S.completed_at.is_(None), S.flow_run_id.is_not(None), S.host.is_not(None), left)
    orphans = select(S.suite_run_id).where(*mine).with_for_update(skip_locked=True)
    taken = update(S).where(S.suite_run_id.in_(orphans)).values(host=worker)
    return [(SuiteRunId(row.suite_run_id), row.flow_run_id) for row in conn.execute(taken.returning(S))]


def _ids(conn: Connection, query: Select[Any], limit: int) -> list[SuiteRunId]:
    found: Iterable[UUID] = conn.execute(query.order_by(S.submitted_at, S.suite_run_id).limit(limit)).scalars()
    return [SuiteRunId(suite_run_id) for suite_run_id in found]


def _verdict(status: Status, reason: str | None, detail: str) -> Verdict | None:
    if not status.terminal:
        return None
    return Verdict(status=status, reason=Reason(reason) if reason else None, detail=detail)


def _suite(row: Row[Any]) -> SuiteRow:
    return SuiteRow(
        suite_run_id=SuiteRunId(row.suite_run_id),
        name=row.name,
        definition=row.definition,
        status=row.status,
        submitted_by=UserId(row.submitted_by),
        submitted_at=row.submitted_at,
        note=row.note,
        completed_at=row.completed_at,
        cancel_requested_at=row.cancel_requested_at,
        cancelled_by=row.cancelled_by,
        flow_run_id=row.flow_run_id,
        host=row.host,
    )
