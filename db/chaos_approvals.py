"""Approvals of executions by a second person. A row is made at the submit, and is decided once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from chaos.approval import Approval, ApprovalState
from db import chaos_tables, tables
from db.seeds import PREFECT_USER
from db.text import clean
from model.ids import RunId, UserId

A = chaos_tables.ChaosApproval
U = tables.User


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for: by which rules, of whom, about what, from when on, and how long an approval holds."""

    rules: tuple[str, ...]
    approvers: tuple[str, ...]
    digest: str
    begins_at: datetime
    holds: timedelta
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRow:
    """An approval as it is kept."""

    approval: Approval
    approvers: tuple[str, ...]
    begins_at: datetime
    holds: timedelta
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who decided what and why, at a moment, and until when that holds."""

    state: ApprovalState
    by: str
    at: datetime
    comment: str
    expires_at: datetime


def ask(conn: Connection, run_id: RunId, asked: Asked) -> None:
    """Write down that an execution waits for an approval."""
    values = {
        "rules": list(asked.rules),
        "approvers": list(asked.approvers),
        "digest": asked.digest,
        "begins_at": asked.begins_at,
        "holds_seconds": asked.holds.total_seconds(),
        "expires_at": asked.expires_at,
    }
    conn.execute(insert(A).values(run_id=run_id, **values))


def read(conn: Connection, run_id: RunId) -> ApprovalRow | None:
    """Return what was asked for and decided; None if nothing was asked for."""
    row = conn.execute(select(A.__table__).where(A.run_id == run_id)).one_or_none()
    return None if row is None else _row(row)


def decide(conn: Connection, run_id: RunId, decision: Decision) -> bool:
    """Write a decision down. False if there is one already."""
    values = {
        "state": decision.state,
        "decided_by": decision.by,
        "decided_at": decision.at,
        "comment": clean(decision.comment),
        "expires_at": decision.expires_at,
    }
    waiting = update(A).where(A.run_id == run_id, A.state == ApprovalState.WAITING)
    return conn.execute(waiting.values(**values)).rowcount == 1


def people(conn: Connection, submitter: UserId) -> list[tuple[str, Any]]:
    """Return all other active users as name and team, in order of name. The user of Prefect is no person."""
    nobody = (submitter, PREFECT_USER)
    query = select(U.username, U.team_id).where(U.active, U.user_id.not_in(nobody)).order_by(U.username)
    return [(row.username, row.team_id) for row in conn.execute(query)]


def _row(row: Row[Any]) -> ApprovalRow:
    approval = Approval(
        rules=tuple(row.rules),
        digest=row.digest,
        state=ApprovalState(row.state),
        expires_at=row.expires_at,
        by=row.decided_by,
        decided_at=row.decided_at,
        comment=row.comment,
    )
    return ApprovalRow(
        approval=approval,
        approvers=tuple(row.approvers),
        begins_at=row.begins_at,
        holds=timedelta(seconds=row.holds_seconds),
        requested_at=row.requested_at,
    )
