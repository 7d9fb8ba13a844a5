"""What was said to runs, read back: the records in order, and whose the runs are that they name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from db.gate import decision_records, shares
from db.gate.decision_records import Record
from db.gate.shares import Payer
from model.ids import ExecutionId, PoolName
from scheduler.values.run import payer

_READ = text("SELECT number, at, epoch, record FROM decisions WHERE execution_id = :execution_id ORDER BY number")
_OWNED = text("""
SELECT r.id AS execution_id, coalesce(d.name, r.kind) AS name, r.priority, r.submitted_by, u.username, r.team_id,
    t.team_name, r.pool, coalesce(p.strategy = 'FAIR_SHARE', false) AS shared
FROM runs r
LEFT JOIN test_run_details own ON own.execution_id = r.id
LEFT JOIN test_definitions d ON d.id = own.definition_id
JOIN users u ON u.user_id = r.submitted_by
LEFT JOIN pools p ON p.name = r.pool
LEFT JOIN teams t ON t.team_id = r.team_id
WHERE r.id = ANY(CAST(:ids AS uuid[]))
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One record: the how-manyeth of its run, when, and under which epoch."""

    number: int
    at: datetime
    epoch: int
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """What a run is called (by its kind, if it has no name), and whose it is.

    `share` (FAIR_SHARE): what its owner has and had, over its weight; owners are ordered by this.
    """

    name: str
    priority: int
    username: str
    team: str | None
    share: float | None


def read(conn: Connection, execution_id: ExecutionId) -> list[Said]:
    """Return all that was said to a run, the first first."""
    rows = conn.execute(_READ, {"execution_id": execution_id})
    return [
        Said(number=row.number, at=row.at, epoch=row.epoch, record=decision_records.from_json(row.record))
        for row in rows
    ]


def owned(conn: Connection, execution_ids: Collection[ExecutionId]) -> dict[ExecutionId, Owned]:
    """Return whose these runs are; those that nobody knows are left out."""
    if not execution_ids:
        return {}
    rows = conn.execute(_OWNED, {"ids": list(execution_ids)}).all()
    told = _shares(conn, [row for row in rows if row.shared])
    return {
        ExecutionId(row.execution_id): Owned(
            name=row.name,
            priority=row.priority,
            username=row.username,
            team=row.team_name,
            share=told.get((row.pool, payer(row.submitted_by, row.team_id))),
        )
        for row in rows
    }


def _shares(conn: Connection, rows: Sequence[Row[Any]]) -> dict[tuple[str, UUID], float]:
    """Return the share of each owner of these runs in each of their pools."""
    asked: dict[PoolName, list[Payer]] = {}
    for row in rows:
        asked.setdefault(PoolName(row.pool), []).append(Payer(user_id=row.submitted_by, team_id=row.team_id))
    return {
        (pool, owner): share for pool, them in asked.items() for owner, share in shares.read(conn, pool, them).items()
    }
