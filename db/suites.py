"""Suites: what only a run of kind `suite` has, beside its row in `runs` (db/runs.py). Its tests have it as parent."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, and_, exists, func, insert, or_, select, update
from sqlalchemy.orm import aliased

from db import gate_tables, runs, tables
from db.errors import ConflictError, NotFoundError
from db.locks import Lock, lock_key
from db.page import FIRST_PAGE, Page
from db.runs import Become, Fenced, NewRun
from db.text import clean
from model.execution import Door, Phase, Reason, Status, Verdict
from model.ids import PoolName, SuiteRunId, TeamId, UserId, short
from model.runs import SKIPPED, RunKind, RunStatus, run_status
from model.suite_windows import SuiteWindow

R = tables.Run
S = tables.SuiteRun
PRIORITY = 5
"""Of the row of a suite run. It is never queued, so nothing depends on it."""
_FIRST_RUNS = (R.kind == RunKind.TEST, R.retried_from.is_(None))
"""The tests of a suite, without its experiment and without what ran once more (028)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSuiteRun:
    """A suite run to write. `definition` is the suite as `model.suite.check_suite` takes it."""

    suite_run_id: SuiteRunId
    name: str
    definition: Mapping[str, Any]
    door: Door
    pool: PoolName
    submitted_by: UserId
    submitted_at: datetime
    team_id: TeamId | None = None
    note: str = ""
    flow_run_id: UUID | None = None
    window: SuiteWindow | None = None
    """How far its experiment is, None without one."""

    @property
    def run(self) -> NewRun:
        """The part of it that every kind of run has."""
        return NewRun(
            id=self.suite_run_id,
            kind=RunKind.SUITE,
            priority=PRIORITY,
            door=self.door,
            pool=self.pool,
            submitted_by=self.submitted_by,
            team_id=self.team_id,
            submitted_at=self.submitted_at,
            flow_run_id=self.flow_run_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRow:
    """A suite run as it is kept. `definition` is the suite as `model.suite.check_suite` takes it."""

    suite_run_id: SuiteRunId
    name: str
    definition: Mapping[str, Any]
    status: RunStatus
    submitted_by: UserId
    submitted_at: datetime
    note: str = ""
    completed_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    cancelled_by: str | None = None
    flow_run_id: UUID | None = None
    host: str | None = None
    window: SuiteWindow | None = None
    """How far its experiment is, None without one."""
    failure_reason: Reason | None = None
    detail: str = ""

    @property
    def cancel_requested(self) -> bool:
        """True once somebody asked for its end."""
        return self.cancel_requested_at is not None


def save(conn: Connection, new: NewSuiteRun) -> None:
    """Write a new suite run. Raises: ConflictError if its flow run has another run already."""
    if not runs.insert(conn, new.run):
        raise ConflictError(f"suite run {short(new.suite_run_id)} was written before, or its flow run has another run")
    own = {"suite_run_id": new.suite_run_id, "name": new.name, "definition": dict(new.definition)}
    conn.execute(insert(S).values(**own, note=clean(new.note), current_window=new.window))


def find(conn: Connection, suite_run_id: SuiteRunId) -> SuiteRow:
    """Return a suite run. Raises: NotFoundError."""
    row = conn.execute(_rows().where(R.id == suite_run_id)).one_or_none()
    if row is None:
        raise NotFoundError("suite run", suite_run_id)
    return _suite(row)


def lock(conn: Connection, suite_run_id: SuiteRunId) -> SuiteRow:
    """Return a suite run and keep others from changing it until this transaction ends. Raises: NotFoundError."""
    query = _rows().where(R.id == suite_run_id).with_for_update(of=R, key_share=True)
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFoundError("suite run", suite_run_id)
    return _suite(row)


def resolve(conn: Connection, text: str) -> SuiteRunId:
    """Return the suite run that people mean. Raises: NotFoundError, or ConflictError with the candidates."""
    return SuiteRunId(runs.resolve(conn, text, RunKind.SUITE))


def list_suite_runs(conn: Connection, page: Page = FIRST_PAGE, name: str | None = None) -> tuple[list[SuiteRow], int]:
    """Return a page of the suite runs, newest first, and how many there are in all."""
    conditions = [] if name is None else [S.name == name]
    total = conn.execute(select(func.count()).select_from(S).where(*conditions)).scalar_one()
    query = _rows().where(R.kind == RunKind.SUITE, *conditions).order_by(R.submitted_at.desc(), R.id.desc())
    return [_suite(row) for row in conn.execute(query.limit(page.limit).offset(page.offset))], total


def verdicts(conn: Connection, suite_run_id: SuiteRunId) -> list[Verdict | None]:
    """Return the verdicts of its tests in the order of their submit; None for one that has not ended."""
    query = select(R.status, R.failure_reason, R.detail).where(R.parent_id == suite_run_id, *_FIRST_RUNS)
    rows = conn.execute(query.order_by(R.submitted_at, R.id))
    return [_verdict(Status(row.status), row.failure_reason, row.detail) for row in rows]


def kinds_of_verdicts(conn: Connection, suite_run_ids: Collection[SuiteRunId]) -> dict[SuiteRunId, list[Verdict]]:
    """Return how tests of these suite runs have ended: each status and reason once a suite run."""
    ended = (R.parent_id.in_(suite_run_ids), R.completed_at.is_not(None), *_FIRST_RUNS)
    found: dict[SuiteRunId, list[Verdict]] = {}
    for row in conn.execute(select(R.parent_id, R.status, R.failure_reason).where(*ended).distinct()):
        if (verdict := _verdict(Status(row.status), row.failure_reason, "")) is not None:
            found.setdefault(SuiteRunId(row.parent_id), []).append(verdict)
    return found


def counts(conn: Connection, suite_run_ids: Collection[SuiteRunId]) -> dict[SuiteRunId, Counter[Status]]:
    """Return how many tests of each of these suite runs have each status."""
    tests = (R.parent_id.in_(suite_run_ids), *_FIRST_RUNS)
    query = select(R.parent_id, R.status, func.count()).where(*tests)
    found: dict[SuiteRunId, Counter[Status]] = {}
    for parent, status, number in conn.execute(query.group_by(R.parent_id, R.status)):
        found.setdefault(SuiteRunId(parent), Counter())[Status(status)] = number
    return found


def finish(conn: Connection, suite_run_id: SuiteRunId, verdict: Verdict) -> bool:
    """End a suite run. False when it had ended: its first end stands."""
    become = Become(status=verdict.status, phase=Phase.ENDED, reason=verdict.reason, detail=verdict.detail)
    return runs.transition(conn, Fenced(run_id=suite_run_id, epoch=None), Status.QUEUED, become)


def skip(conn: Connection, suite_run_id: SuiteRunId) -> bool:
    """End a suite run that was not run. False when it had ended."""
    become = Become(status=SKIPPED, phase=Phase.ENDED)
    return runs.transition(conn, Fenced(run_id=suite_run_id, epoch=None), Status.QUEUED, become)


def unfinished(conn: Connection, name: str, user_id: UserId) -> list[SuiteRunId]:
    """Return the runs of a suite, by this user or the team, that have not ended: a scheduled one is skipped then.

    Whoever asks holds the suite's name until its transaction ends, so that two cannot both find nothing.
    """
    conn.execute(select(func.pg_advisory_xact_lock(int(Lock.SUITE), lock_key(name))))
    u = tables.User
    team = select(u.team_id).where(u.user_id == user_id).scalar_subquery()
    ours = or_(R.submitted_by == user_id, R.submitted_by.in_(select(u.user_id).where(u.team_id == team)))
    query = _open().join(S, S.suite_run_id == R.id).where(S.name == name, ours)
    return _ids(conn, query.order_by(R.submitted_at.desc(), R.id.desc()))


def open_with_ended_tests(conn: Connection, limit: int) -> list[SuiteRunId]:
    """Return suite runs that have not ended although all their tests have, oldest first."""
    test = aliased(R)
    tests = exists().where(test.parent_id == R.id)
    alive = exists().where(test.parent_id == R.id, test.completed_at.is_(None))
    return _ids(conn, _open().where(tests, ~alive).order_by(R.submitted_at, R.id).limit(limit))


def by_flow_run(conn: Connection, flow_run_id: UUID) -> SuiteRunId | None:
    """Return the suite run of a flow run."""
    found = runs.by_flow_run(conn, flow_run_id)
    return SuiteRunId(found.id) if found is not None and found.kind is RunKind.SUITE else None


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
    left = or_(~living, and_(S.host == worker, R.flow_run_id.not_in(carried)))
    mine = _open().join(S, S.suite_run_id == R.id).where(R.flow_run_id.is_not(None), S.host.is_not(None), left)
    orphans = mine.add_columns(R.flow_run_id).with_for_update(of=S, skip_locked=True).cte("orphans")
    taken = update(S).where(S.suite_run_id == orphans.c.id).values(host=worker)
    rows = conn.execute(taken.returning(S.suite_run_id, orphans.c.flow_run_id))
    return [(SuiteRunId(row.suite_run_id), row.flow_run_id) for row in rows]


def now(conn: Connection) -> datetime:
    """Return the time of this transaction by the database's clock."""
    return conn.execute(select(func.now())).scalar_one()


def _open() -> Select[Any]:
    return select(R.id).where(R.kind == RunKind.SUITE, R.completed_at.is_(None))


def _rows() -> Select[Any]:
    return select(R, S.name, S.definition, S.note, S.host, S.current_window).join_from(R, S, S.suite_run_id == R.id)


def _ids(conn: Connection, query: Select[Any]) -> list[SuiteRunId]:
    return [SuiteRunId(found) for found in conn.execute(query).scalars()]


def _verdict(status: Status, reason: str | None, detail: str) -> Verdict | None:
    if not status.terminal:
        return None
    return Verdict(status=status, reason=Reason(reason) if reason else None, detail=detail)


def _suite(row: Row[Any]) -> SuiteRow:
    return SuiteRow(
        suite_run_id=SuiteRunId(row.id),
        name=row.name,
        definition=row.definition,
        status=run_status(row.status),
        submitted_by=UserId(row.submitted_by),
        submitted_at=row.submitted_at,
        note=row.note,
        completed_at=row.completed_at,
        cancel_requested_at=row.cancel_requested_at,
        cancelled_by=row.cancelled_by,
        flow_run_id=row.flow_run_id,
        host=row.host,
        window=SuiteWindow(row.current_window) if row.current_window else None,
        failure_reason=Reason(row.failure_reason) if row.failure_reason else None,
        detail=row.detail,
    )
