"""What a pass writes: who starts, why the others wait, what gave its place back.

Whoever changes a run locks its execution's row before the queue's. A pass waits for neither: a row that somebody else
has in hand is left out, and the next pass sees what became of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from db.gate_read import FRONT, Facts, Waiting
from db.gate_rows import admit_record, wait_record
from db.listen import notify
from model.ids import ExecutionId, NodeName
from scheduler.plan import Admit, Wait

IDS_A_MESSAGE = 200
"""A payload must stay below 8000 bytes; an id and its comma take 37."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A run that has a place now."""

    execution_id: ExecutionId
    epoch: int
    node: NodeName


_ADMIT = text("""
WITH chosen AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:nodes AS text[]), CAST(:records AS text[]))
        AS c (execution_id, node, record)
), mine AS (
    SELECT e.execution_id, e.epoch FROM test_executions e JOIN chosen USING (execution_id)
    WHERE e.status = 'queued' FOR NO KEY UPDATE OF e SKIP LOCKED
), placed AS (
    UPDATE queue q SET state = 'admitted', epoch = greatest(q.epoch, mine.epoch) + 1, node = chosen.node,
        admitted_at = clock_timestamp(), nominated = NULL, not_before = NULL, reason = '', position = NULL,
        decision = CAST(chosen.record AS jsonb)
    FROM mine JOIN chosen USING (execution_id)
    WHERE q.execution_id = mine.execution_id AND q.state = 'waiting'
    RETURNING q.execution_id, q.epoch, q.node
), told AS (
    UPDATE test_executions e SET epoch = placed.epoch, phase = 'admitted'
    FROM placed WHERE e.execution_id = placed.execution_id
)
SELECT execution_id, epoch, node FROM placed
""")
_EXPLAIN = text("""
WITH said AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[]), CAST(:records AS text[]),
        CAST(:positions AS int[]), CAST(:nominated AS text[])) AS s (execution_id, reason, record, position, nominated)
), mine AS (
    SELECT execution_id FROM queue WHERE execution_id = ANY(CAST(:ids AS uuid[])) AND state = 'waiting'
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE queue q SET reason = said.reason, position = said.position, nominated = said.nominated,
    decision = CAST(said.record AS jsonb)
FROM said JOIN mine USING (execution_id) WHERE q.execution_id = said.execution_id
""")
_ANNOTATED = text("""
UPDATE pools SET annotated_at = :now
WHERE name IN (SELECT name FROM pools WHERE name = :pool FOR NO KEY UPDATE SKIP LOCKED)
""")
_LOCK = text("""
SELECT execution_id FROM queue WHERE execution_id = ANY(CAST(:ids AS uuid[])) FOR UPDATE SKIP LOCKED
""")
_LOCK_EXECUTIONS = text("""
SELECT execution_id FROM test_executions WHERE execution_id = ANY(CAST(:ids AS uuid[]))
FOR NO KEY UPDATE SKIP LOCKED
""")
_GIVE_BACK = text("""
WITH back AS (
    UPDATE queue q SET state = 'waiting', node = NULL, host = NULL, admitted_at = NULL, reason = '', decision = NULL
    WHERE q.execution_id = ANY(CAST(:ids AS uuid[])) AND q.state = 'admitted'
        AND NOT EXISTS (SELECT FROM leases l WHERE l.execution_id = q.execution_id)
        AND EXISTS (SELECT FROM test_executions e WHERE e.execution_id = q.execution_id AND e.status = 'queued')
    RETURNING q.execution_id
)
UPDATE test_executions e SET phase = 'waiting' FROM back WHERE e.execution_id = back.execution_id
RETURNING e.execution_id
""")
_DROP_ENDED = text("""
DELETE FROM queue q USING test_executions e
WHERE q.execution_id = ANY(CAST(:ids AS uuid[])) AND e.execution_id = q.execution_id
    AND e.status NOT IN ('queued', 'running')
    AND NOT EXISTS (SELECT FROM leases l WHERE l.execution_id = q.execution_id)
""")


def admit(conn: Connection, decisions: Sequence[Admit], now: datetime) -> list[Admitted]:
    """Give places to runs, each under a new epoch. Who is being cancelled at this moment gets none."""
    if not decisions:
        return []
    rows = conn.execute(
        _ADMIT,
        {
            "ids": [d.run.execution_id for d in decisions],
            "nodes": [d.node for d in decisions],
            "records": [admit_record(d, now) for d in decisions],
        },
    )
    admitted = {
        row.execution_id: Admitted(execution_id=ExecutionId(row.execution_id), epoch=row.epoch, node=NodeName(row.node))
        for row in rows
    }
    missing = [d.run.execution_id for d in decisions if d.run.execution_id not in admitted]
    if missing:
        clean_up(conn, missing)
    return [admitted[d.run.execution_id] for d in decisions if d.run.execution_id in admitted]


def explain(conn: Connection, decisions: Sequence[Wait], known: Facts, found: Waiting) -> None:
    """Write why runs wait, where that is news: a row is not rewritten for numbers that move, but once a second."""
    started = len(found.runs) - len(decisions)
    news = [(d, _position(d, known, found, FRONT - started)) for d in decisions if _is_news(d, known, found)]
    changed = [(d, position) for d, position in news if _differs(d, position, found)]
    if changed:
        conn.execute(
            _EXPLAIN,
            {
                "ids": [d.run.execution_id for d, _ in changed],
                "reasons": [str(d.reason) for d, _ in changed],
                "records": [wait_record(d, known.now) for d, _ in changed],
                "positions": [position for _, position in changed],
                "nominated": [d.nominated for d, _ in changed],
            },
        )
    if known.annotate:
        conn.execute(_ANNOTATED, {"pool": known.pool, "now": known.now})


def give_back(conn: Connection, runs: Sequence[ExecutionId]) -> int:
    """Send runs that no worker took up back to wait, in their old place; return how many.

    Locked first, looked at again after: a worker may have taken one up in between.
    """
    locked = _locked(conn, runs)
    if not locked:
        return 0
    back = len(conn.execute(_GIVE_BACK, {"ids": locked}).all())
    conn.execute(_DROP_ENDED, {"ids": locked})
    return back


def clean_up(conn: Connection, runs: Sequence[ExecutionId]) -> None:
    """Take out of the queue what has ended without leaving it."""
    locked = _locked(conn, runs)
    if locked:
        conn.execute(_DROP_ENDED, {"ids": locked})


def tell(conn: Connection, admitted: Collection[Admitted]) -> None:
    """Tell all workers who has a place now, once, when the pass commits."""
    ids = [str(run.execution_id) for run in admitted]
    for first in range(0, len(ids), IDS_A_MESSAGE):
        notify(conn, f"admitted:{','.join(ids[first : first + IDS_A_MESSAGE])}")


def _locked(conn: Connection, runs: Sequence[ExecutionId]) -> list[UUID]:
    """Lock the rows of those runs that nobody else has in hand, the execution's first."""
    executions = list(conn.execute(_LOCK_EXECUTIONS, {"ids": list(runs)}).scalars())
    return list(conn.execute(_LOCK, {"ids": executions}).scalars()) if executions else []


def _is_news(decision: Wait, known: Facts, found: Waiting) -> bool:
    note = found.notes[decision.run.execution_id]
    moved = decision.nominated != decision.run.nominated
    return known.annotate or moved or note.code != decision.reason.code or not note.reason


def _position(decision: Wait, known: Facts, found: Waiting, last: int) -> int | None:
    """Return the position to write: a new one only where all rows before it were read."""
    if not known.annotate:
        return found.notes[decision.run.execution_id].position
    return decision.position if decision.position is not None and decision.position <= last else None


def _differs(decision: Wait, position: int | None, found: Waiting) -> bool:
    note = found.notes[decision.run.execution_id]
    text_differs = note.reason != str(decision.reason) or note.code != decision.reason.code
    return text_differs or note.position != position or decision.nominated != decision.run.nominated
