"""Who was submitted lately: what forecasts draw from which runs are still to come.

A bounded read by the index of submits, made in a round of forecasts, never in a pass.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from db.durations import Kind
from model.ids import DefinitionId, ExecutionId, PoolName, TeamId, UserId
from scheduler.forecast.arrivals import LAST, WINDOW

MOST = 10_000
"""Submits that are looked at, the newest, of all pools."""
SAMPLE = 1_000
"""Of those that count at most so many are returned, each for as many others."""
LEAST_WINDOW = timedelta(minutes=5)
"""However many came at once: a burst is none that goes on for ever."""

_LATELY = text("""
WITH lately AS MATERIALIZED (
    SELECT id, pool, priority, status, submitted_by, team_id, parent_id, submitted_at, started_at
    FROM runs WHERE submitted_at > :since AND kind = 'test' ORDER BY submitted_at DESC LIMIT :most
), here AS (
    SELECT *, row_number() OVER (ORDER BY submitted_at DESC, id) AS place,
        CAST(ceil(count(*) OVER () / CAST(:sample AS float)) AS int) AS times
    FROM lately WHERE pool = :pool AND priority <= :last AND (started_at IS NOT NULL OR status <> 'cancelled')
)
SELECT here.*, d.definition_id, s.name AS suite, read.number, read.oldest
FROM here CROSS JOIN (SELECT count(*) AS number, min(submitted_at) AS oldest FROM lately) AS read
JOIN test_run_details d ON d.execution_id = here.id
LEFT JOIN suite_runs s ON s.suite_run_id = here.parent_id
WHERE place % times = 0 ORDER BY submitted_at, here.id
""")
"""Who was cancelled before it started took nobody's place."""
_ASKED = text("""
SELECT id, resources, config, metadata -> 'labels' AS labels FROM test_definitions WHERE id = ANY(CAST(:ids AS uuid[]))
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A run that was submitted lately. It stands for as many as `times` says."""

    execution_id: ExecutionId
    at: datetime
    priority: int
    user_id: UserId
    kind: Kind
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """Who came to a pool in the `window` before now: an hour, or less where more came than is looked at."""

    came: tuple[Came, ...] = ()
    window: timedelta = WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a definition asks for, as its columns hold it."""

    resources: dict[str, Any]
    config: dict[str, Any]
    labels: dict[str, str]


def read(conn: Connection, pool: PoolName, now: datetime, last: int = LAST, most: int = MOST) -> Lately:
    """Return who came to a pool lately, the first first; only those of priority 0 to `last`."""
    asked = {"pool": pool, "since": now - WINDOW, "last": last, "most": most, "sample": SAMPLE}
    rows = conn.execute(_LATELY, asked).all()
    if not rows or rows[0].number < most:
        return Lately(came=tuple(map(_came, rows)))
    return Lately(came=tuple(map(_came, rows)), window=max(LEAST_WINDOW, now - rows[0].oldest))


def asked(conn: Connection, definitions: Collection[DefinitionId]) -> dict[DefinitionId, Asked]:
    """Return what some definitions ask for. Their content is not read: it can be large."""
    rows = conn.execute(_ASKED, {"ids": list(definitions)})
    return {
        DefinitionId(row.id): Asked(resources=row.resources, config=row.config, labels=row.labels or {}) for row in rows
    }


def _came(row: Any) -> Came:
    team = None if row.team_id is None else TeamId(row.team_id)
    return Came(
        execution_id=ExecutionId(row.id),
        at=row.submitted_at,
        priority=row.priority,
        user_id=UserId(row.submitted_by),
        kind=Kind(definition_id=DefinitionId(row.definition_id), suite=row.suite, team_id=team),
        times=row.times,
    )
