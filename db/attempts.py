"""Attempts: the launches of an execution. At most one of them is open, and an end is never written twice."""

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from db import tables
from db.text import clean
from model.execution import Attempt, Cause, Reason, Status, Verdict
from model.ids import ExecutionId

A = tables.TestAttempt


def read(conn: Connection, execution_id: ExecutionId) -> list[Attempt]:
    """Return the attempts of a run, first to last."""
    rows = conn.execute(select(A).where(A.execution_id == execution_id).order_by(A.number))
    return [_attempt(row) for row in rows]


def open_next(conn: Connection, execution_id: ExecutionId, *, epoch: int, node: str | None) -> Attempt:
    """Return the attempt that is open, as a former holder left it, or open the next one.

    The caller holds the execution's row, so that no second one is opened beside it.
    """
    known = read(conn, execution_id)
    if known and known[-1].ended_at is None:
        return known[-1]
    values = {"execution_id": execution_id, "number": len(known) + 1, "epoch": epoch, "node": node}
    details = tables.TestRunDetails
    definition = select(details.definition_id).where(details.execution_id == execution_id).scalar_subquery()
    row = insert(A).values(**values, definition_id=definition, cause=_cause(conn, execution_id, known)).returning(A)
    return _attempt(conn.execute(row).one())


def close(conn: Connection, execution_id: ExecutionId, number: int, verdict: Verdict, exit_code: int | None) -> bool:
    """End an attempt. False when it had ended: its first end stands."""
    mine = (A.execution_id == execution_id, A.number == number, A.ended_at.is_(None))
    statement = (
        update(A)
        .where(*mine)
        .values(
            ended_at=func.greatest(func.now(), A.started_at),
            exit_code=exit_code,
            status=verdict.status,
            failure_reason=verdict.reason,
            detail=clean(verdict.detail),
        )
    )
    return conn.execute(statement).rowcount == 1


def _cause(conn: Connection, execution_id: ExecutionId, known: list[Attempt]) -> Cause:
    """Return why there is another attempt: the counter that is ahead of the attempts tells it."""
    if not known:
        return Cause.FIRST
    r = tables.Run
    query = select(r.retry_count, r.infrastructure_count).where(r.id == execution_id)
    retries, infrastructure = conn.execute(query).one()
    for cause, count in ((Cause.RETRY, retries), (Cause.INFRASTRUCTURE, infrastructure)):
        if sum(attempt.cause is cause for attempt in known) < count:
            return cause
    last = known[-1].verdict
    return Cause.PLACEMENT if last is not None and last.reason is Reason.PLACEMENT else Cause.PREEMPTED


def _attempt(row: Row[Any]) -> Attempt:
    verdict = row.status and Verdict(
        status=Status(row.status), reason=Reason(row.failure_reason) if row.failure_reason else None, detail=row.detail
    )
    return Attempt(
        number=row.number,
        epoch=row.epoch,
        cause=Cause(row.cause),
        node=row.node,
        started_at=row.started_at,
        ended_at=row.ended_at,
        exit_code=row.exit_code,
        verdict=verdict or None,
    )
