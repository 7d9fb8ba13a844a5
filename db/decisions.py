"""What was said to runs, read back: the records in order, and whose the runs are that they name."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from db import gate_records
from db.gate_records import Record
from model.ids import ExecutionId

_READ = text("SELECT number, at, epoch, record FROM decisions WHERE execution_id = :execution_id ORDER BY number")
_OWNED = text("""
SELECT e.execution_id, d.name, e.priority, u.username, t.team_name,
    CASE WHEN p.strategy = 'FAIR_SHARE' THEN coalesce(f.usage, 0) / coalesce(t.weight, u.weight) END AS share
FROM test_executions e
JOIN test_definitions d ON d.id = e.definition_id
JOIN users u ON u.user_id = e.submitted_by
LEFT JOIN pools p ON p.name = e.pool
LEFT JOIN teams t ON t.team_id = e.team_id
LEFT JOIN fair_usage f ON f.pool = e.pool AND f.owner_id = coalesce(e.team_id, e.submitted_by)
WHERE e.execution_id = ANY(CAST(:ids AS uuid[]))
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
    """Whose a run is. `share` (FAIR_SHARE): what its team has of the pool on the average, over its weight, now."""

    name: str
    priority: int
    username: str
    team: str | None
    share: float | None


def read(conn: Connection, execution_id: ExecutionId) -> list[Said]:
    """Return all that was said to a run, the first first."""
    rows = conn.execute(_READ, {"execution_id": execution_id})
    return [
        Said(number=row.number, at=row.at, epoch=row.epoch, record=gate_records.from_json(row.record)) for row in rows
    ]


def owned(conn: Connection, execution_ids: Collection[ExecutionId]) -> dict[ExecutionId, Owned]:
    """Return whose these runs are; those that nobody knows are left out."""
    if not execution_ids:
        return {}
    return {
        ExecutionId(row.execution_id): Owned(
            name=row.name, priority=row.priority, username=row.username, team=row.team_name, share=row.share
        )
        for row in conn.execute(_OWNED, {"ids": list(execution_ids)})
    }
