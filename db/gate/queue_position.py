"""Read where a run stands in the queue, for people: counted from the rows, or as the passes wrote it.

Under FIFO and PRIORITY a position is counted when it is asked for. Under FAIR_SHARE the order depends on shares, which
only a pass knows. Then a position is the one that the last pass wrote; it writes the first ones once a second.

Workers make the passes. If no worker is alive, the last reasons are old. Then that is the reason of every run.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from db.gate.queue_watermarks import LOWEST_PRIORITY
from db.sql_text import sql, statement
from model.ids import ExecutionId, PoolName
from scheduler.values.reasons import NO_WORKER


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a waiting run stands. A run in backoff has no position; `total` is None where nobody counted it."""

    position: int | None
    total: int | None
    reason: str

    @property
    def ahead(self) -> int:
        """How many runs come before it now."""
        return 0 if self.position is None else self.position - 1

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        place = "" if self.position is None else f"position {self.position}{of}"
        return "; ".join(filter(None, (place, self.reason)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A waiting run, for people; `decisions.owned` reads its name and its owner."""

    execution_id: ExecutionId
    priority: int
    enqueued_at: datetime
    position: int | None
    reason: str
    not_before: datetime | None = None


_WRITTEN_REASON = """coalesce(nullif(q.reason, ''), (
    SELECT first.reason FROM queue first
    WHERE first.pool = q.pool AND first.state = 'waiting' AND first.priority = q.priority AND first.shape = q.shape
    ORDER BY first.seq LIMIT 1
))"""
"""Runs of one shape wait for one reason. Where no pass has written one yet, that of the first run is shown."""

_ALIVE = """EXISTS (
    SELECT FROM workers w WHERE w.pool = q.pool AND NOT w.draining AND w.expires_at > clock_timestamp())"""
_RESTING = "q.not_before IS NOT NULL AND q.not_before > clock_timestamp()"

_STEP = """CASE WHEN p.strategy = 'FIFO' THEN interval '0' ELSE make_interval(secs => p.ageing_limit_seconds) END"""
"""How much later a run comes in the order for each step of priority (`scheduler.values.order`)."""

_REASON = statement(
    """
SELECT $written_reason AS reason, $alive AS alive, $resting AS resting
FROM queue q WHERE q.execution_id = :execution_id AND q.state = 'waiting'
""",
    written_reason=_WRITTEN_REASON,
    alive=_ALIVE,
    resting=_RESTING,
)
_ME = sql(
    """
WITH me AS (
    SELECT q.pool, q.seq, q.priority, q.enqueued_at, q.not_before, $written_reason AS reason,
        clock_timestamp() AS now, p.strategy = 'FAIR_SHARE' AS shared, q.position AS written,
        $step AS step, q.enqueued_at + q.priority * $step AS key, $alive AS alive
    FROM queue q JOIN pools p ON p.name = q.pool WHERE q.execution_id = :execution_id AND q.state = 'waiting'
)
SELECT me.reason, me.alive, me.not_before IS NOT NULL AND me.not_before > me.now AS resting, me.shared, me.written,
""",
    written_reason=_WRITTEN_REASON,
    step=_STEP,
    alive=_ALIVE,
)
_POSITION = statement(
    """$me
    count(q.execution_id) AS total,
    count(*) FILTER (WHERE (q.enqueued_at + q.priority * me.step, q.seq) < (me.key, me.seq)) AS ahead
FROM me LEFT JOIN queue q ON q.pool = me.pool AND q.state = 'waiting'
    AND (q.not_before IS NULL OR q.not_before <= me.now)
GROUP BY me.reason, me.alive, me.not_before, me.now, me.shared, me.written
""",
    me=_ME,
)
_READY = "q.pool = me.pool AND q.state = 'waiting' AND (q.not_before IS NULL OR q.not_before <= me.now)"
_NEAR = statement(
    """$me
    NULL AS total,
    (SELECT count(*) FROM (
        SELECT FROM generate_series(0, $lowest_priority) AS p (priority) CROSS JOIN LATERAL (
            SELECT q.enqueued_at, q.seq FROM queue q WHERE $ready AND q.priority = p.priority
            ORDER BY q.seq LIMIT :most
        ) AS before WHERE (before.enqueued_at + p.priority * me.step, before.seq) < (me.key, me.seq) LIMIT :most
    ) AS counted) AS ahead
FROM me
""",
    me=_ME,
    lowest_priority=LOWEST_PRIORITY,
    ready=_READY,
)
"""As `_POSITION`, but it stops counting at `most`: of each priority the first are enough."""
_LIST = statement(
    """
WITH ordered AS (
    SELECT q.execution_id, q.pool, q.priority, q.shape, q.seq, q.enqueued_at, q.not_before, q.reason,
        p.strategy = 'FAIR_SHARE' AS shared, CASE WHEN p.strategy = 'FAIR_SHARE' THEN q.position END AS written,
        $resting AS resting, q.enqueued_at + q.priority * $step AS key
    FROM queue q JOIN pools p ON p.name = q.pool WHERE q.pool = :pool AND q.state = 'waiting'
    ORDER BY resting, written, key, seq LIMIT :limit OFFSET :offset
)
SELECT q.execution_id, q.priority, q.enqueued_at, q.not_before, q.resting, q.shared, q.written,
    $written_reason AS reason, $alive AS alive
FROM ordered q
ORDER BY q.resting, q.written, q.key, q.seq
""",
    resting=_RESTING,
    step=_STEP,
    written_reason=_WRITTEN_REASON,
    alive=_ALIVE,
)
_NOTED = statement(
    """
SELECT q.execution_id, q.position, q.reason, $alive AS alive, $resting AS resting
FROM queue q WHERE q.execution_id = ANY(CAST(:ids AS uuid[])) AND q.state = 'waiting'
""",
    alive=_ALIVE,
    resting=_RESTING,
)
_COUNT = statement("SELECT count(*) FROM queue WHERE pool = :pool AND state = 'waiting'")


def reason(conn: Connection, execution_id: ExecutionId) -> str | None:
    """Return the reason that the last pass wrote; None if the run does not wait. Reads one row, so it may be polled."""
    row = conn.execute(_REASON, {"execution_id": execution_id}).one_or_none()
    return None if row is None else _reason(row)


def noted(conn: Connection, execution_ids: Collection[ExecutionId]) -> dict[ExecutionId, Position]:
    """Return what the last passes wrote about those of the runs that wait. To count would cost the queue."""
    rows = conn.execute(_NOTED, {"ids": list(execution_ids)})
    return {
        ExecutionId(row.execution_id): Position(position=row.position, total=None, reason=_reason(row)) for row in rows
    }


def position(conn: Connection, execution_id: ExecutionId) -> Position | None:
    """Return where a run stands, counted now; None if it does not wait. Costs the depth of the queue."""
    row = conn.execute(_POSITION, {"execution_id": execution_id}).one_or_none()
    return None if row is None else _position(row)


def near(conn: Connection, execution_id: ExecutionId, most: int) -> Position | None:
    """Return where a run stands; without a position beyond `most`. The cost does not grow with the queue."""
    row = conn.execute(_NEAR, {"execution_id": execution_id, "most": most}).one_or_none()
    return None if row is None else _position(row, most)


def queue(conn: Connection, pool: PoolName, limit: int = 50, offset: int = 0) -> tuple[list[Entry], int]:
    """Return a page of the waiting runs in order, those in backoff last, and how many wait in all."""
    rows = conn.execute(_LIST, {"pool": pool, "limit": limit, "offset": offset}).all()
    entries = [_entry(row, offset + number) for number, row in enumerate(rows, start=1)]
    return entries, conn.execute(_COUNT, {"pool": pool}).scalar_one()


def _position(row: Row[Any], most: int | None = None) -> Position:
    far = most is not None and row.ahead >= most
    counted = row.written if row.shared else None if far else row.ahead + 1
    return Position(
        position=None if row.resting else counted,
        total=row.total,
        reason=_reason(row),
    )


def _reason(row: Row[Any]) -> str:
    """Return the reason that a pass wrote, unless no later pass can come to change it."""
    written: str = row.reason
    return written if row.alive or row.resting else str(NO_WORKER)


def _entry(row: Row[Any], place: int) -> Entry:
    return Entry(
        execution_id=ExecutionId(row.execution_id),
        priority=row.priority,
        enqueued_at=row.enqueued_at,
        position=None if row.resting else row.written if row.shared else place,
        reason=_reason(row),
        not_before=row.not_before,
    )
