"""Faults of experiments: written down before they are in the world, until their revert was verified."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from chaos.provider import FaultId, FaultStatus
from chaos.targets import Target
from db import chaos_tables, tables
from model.ids import RunId

F = chaos_tables.ChaosFault
CLOSED = (FaultStatus.REVERTED, FaultStatus.RESIDUAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFault:
    """One fault on one target that is about to be injected. `number` counts the faults of the experiment from 0."""

    fault_id: FaultId
    execution_id: RunId
    number: int
    name: str
    type: str
    target: Target
    expires_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """A fault as it is kept."""

    fault_id: FaultId
    execution_id: RunId
    number: int
    name: str
    type: str
    target: Target
    status: FaultStatus
    expires_at: datetime
    injected_at: datetime | None
    reverted_at: datetime | None
    effect: str | None
    effect_seen: bool | None
    remains: tuple[str, ...]


def write_down(conn: Connection, faults: Sequence[NewFault]) -> None:
    """Write faults down, with their expiry by the database's clock. The same ones again change nothing."""
    for one in faults:
        values = {
            "fault_id": one.fault_id,
            "execution_id": one.execution_id,
            "number": one.number,
            "name": one.name,
            "type": one.type,
            "place": one.target.place,
            "service": one.target.service,
            "target": one.target.name,
            "identity": one.target.identity,
            "status": FaultStatus.PENDING,
            "expires_at": func.clock_timestamp() + one.expires_after,
        }
        conn.execute(insert(F).values(**values).on_conflict_do_nothing())


def injected(conn: Connection, faults: Sequence[FaultId], at: datetime) -> None:
    """Note that faults are active."""
    mine = (F.fault_id.in_(faults), F.status == FaultStatus.PENDING)
    conn.execute(update(F).where(*mine).values(status=FaultStatus.INJECTED, injected_at=at))


def closed(conn: Connection, rows: Sequence[FaultRow]) -> None:
    """Note how the revert of each fault ended, and what it was seen to do."""
    for row in rows:
        values = {
            "status": row.status,
            "reverted_at": row.reverted_at,
            "effect": row.effect,
            "effect_seen": row.effect_seen,
            "remains": list(row.remains),
        }
        conn.execute(update(F).where(F.fault_id == row.fault_id).values(**values))


def of_run(conn: Connection, run_id: RunId) -> list[FaultRow]:
    """Return the faults of an execution, in the order in which they were written down."""
    found = conn.execute(select(F).where(F.execution_id == run_id).order_by(F.number, F.fault_id))
    return [_fault(row) for row in found]


def forgotten(conn: Connection) -> list[FaultRow]:
    """Return the faults that are open although they have expired, or although their run has ended, oldest first."""
    r = tables.Run
    late = (F.expires_at < func.clock_timestamp()) | r.completed_at.is_not(None)
    query = select(F).join(r, r.id == F.execution_id).where(F.status.not_in(CLOSED), late)
    return [_fault(row) for row in conn.execute(query.order_by(F.expires_at, F.fault_id))]


def _fault(row: Row[Any]) -> FaultRow:
    return FaultRow(
        fault_id=FaultId(row.fault_id),
        execution_id=RunId(row.execution_id),
        number=row.number,
        name=row.name,
        type=row.type,
        target=Target(place=row.place, service=row.service, name=row.target, identity=row.identity),
        status=FaultStatus(row.status),
        expires_at=row.expires_at,
        injected_at=row.injected_at,
        reverted_at=row.reverted_at,
        effect=row.effect,
        effect_seen=row.effect_seen,
        remains=tuple(row.remains),
    )


def disturbed(run: Any, attempt: Any) -> ColumnElement[bool]:
    """Return the condition that a fault was active while an attempt ran, by an experiment of the run's own team.

    `run` and `attempt` are the tables of the query around it. No experiment of another team disturbs a test (024).
    """
    by = aliased(tables.Run)
    ours = by.team_id.is_not_distinct_from(run.team_id)
    return exists().where(F.execution_id == by.id, ours, _was_active(attempt)).correlate(run, attempt)


def over(conn: Connection, run_id: RunId) -> list[RunId]:
    """Return the experiments of the same team with a fault that was active while a test ran, in order of id."""
    run, attempt, by = tables.Run, tables.TestAttempt, aliased(tables.Run)
    query = (
        select(by.id)
        .distinct()
        .join_from(run, attempt, attempt.execution_id == run.id)
        .join(by, by.team_id.is_not_distinct_from(run.team_id))
        .join(F, F.execution_id == by.id)
        .where(run.id == run_id, _was_active(attempt))
        .order_by(by.id)
    )
    return [RunId(found) for found in conn.execute(query).scalars()]


def _was_active(attempt: Any) -> ColumnElement[bool]:
    """Return the condition that a fault may have been active while an attempt ran.

    It counts from when it was written down: an injection takes effect before it is known to be whole, and one that
    failed may have taken effect on some of its targets.
    """
    now = func.clock_timestamp()
    return and_(
        func.least(F.written_at, F.injected_at) < func.coalesce(attempt.ended_at, now),
        func.coalesce(F.reverted_at, now) > attempt.started_at,
    )
