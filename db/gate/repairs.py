"""Repair what was left behind in the queue: runs that no worker took up, runs that have ended, times in the future.

As in a pass, a row that somebody else has locked is skipped.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from db.gate import decision_records
from db.gate.decision_records import Returned
from db.gate.pass_input import Facts
from db.sql_text import statement
from model.ids import ExecutionId

NOBODY = "no worker took it up in time, so its place went to others"


_TURN_BACK = statement("""
WITH ahead AS (
    SELECT execution_id FROM queue
    WHERE pool = :pool AND (enqueued_at > :now OR admitted_at > :now OR not_before > :now)
    ORDER BY execution_id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE queue q SET enqueued_at = least(q.enqueued_at, :now),
    admitted_at = CASE WHEN q.admitted_at > :now THEN :now ELSE q.admitted_at END,
    not_before = CASE WHEN q.not_before > :now THEN NULL ELSE q.not_before END,
    reason = CASE WHEN q.not_before > :now THEN '' ELSE q.reason END
FROM ahead WHERE q.execution_id = ahead.execution_id
""")
_LOCK = statement("""
SELECT execution_id FROM queue WHERE execution_id = ANY(CAST(:ids AS uuid[])) FOR UPDATE SKIP LOCKED
""")
_LOCK_RUNS = statement("""
SELECT id FROM runs WHERE id = ANY(CAST(:ids AS uuid[]))
FOR NO KEY UPDATE SKIP LOCKED
""")
_GIVE_BACK = statement("""
WITH back AS (
    UPDATE queue q SET state = 'waiting', node = NULL, candidates = '{}', backend = NULL, host = NULL,
        admitted_at = NULL, reason = '', preempted_for = NULL, preempted_at = NULL, guarded = false,
        record_count = q.record_count + 1
    WHERE q.execution_id = ANY(CAST(:ids AS uuid[])) AND q.state = 'admitted'
        AND NOT EXISTS (SELECT FROM leases l WHERE l.execution_id = q.execution_id)
        AND EXISTS (SELECT FROM runs r WHERE r.id = q.execution_id AND r.status = 'queued')
    RETURNING q.execution_id, q.record_count, q.epoch
), recorded AS (
    INSERT INTO decisions (execution_id, number, at, epoch, record)
    SELECT execution_id, record_count, clock_timestamp(), epoch, CAST(:record AS jsonb) FROM back
)
UPDATE runs r SET phase = 'waiting' FROM back WHERE r.id = back.execution_id
RETURNING r.id
""")
_DROP_ENDED = statement("""
DELETE FROM queue q USING runs r
WHERE q.execution_id = ANY(CAST(:ids AS uuid[])) AND r.id = q.execution_id
    AND r.status NOT IN ('queued', 'running')
    AND NOT EXISTS (SELECT FROM leases l WHERE l.execution_id = q.execution_id)
""")


def give_back(conn: Connection, runs: Sequence[ExecutionId]) -> int:
    """Send runs that no worker took up back to wait, in their old place; return how many.

    Locked first, looked at again after: a worker may have taken one up in between.
    """
    locked = _locked(conn, runs)
    if not locked:
        return 0
    record = decision_records.to_json(Returned(text=NOBODY))
    back = len(conn.execute(_GIVE_BACK, {"ids": locked, "record": record}).all())
    conn.execute(_DROP_ENDED, {"ids": locked})
    return back


def turn_back(conn: Connection, known: Facts) -> None:
    """Let nothing wait for a time that lies ahead only because the clock went back: it may be hours.

    Who was to age does so from now on, who was in backoff may start at once.
    """
    conn.execute(_TURN_BACK, {"pool": known.pool, "now": known.now})


def clean_up(conn: Connection, runs: Sequence[ExecutionId]) -> None:
    """Take out of the queue what has ended without leaving it."""
    locked = _locked(conn, runs)
    if locked:
        conn.execute(_DROP_ENDED, {"ids": locked})


def _locked(conn: Connection, runs: Sequence[ExecutionId]) -> list[UUID]:
    """Lock the rows of those runs that nobody else has locked, that of `runs` before that of the queue."""
    locked = list(conn.execute(_LOCK_RUNS, {"ids": list(runs)}).scalars())
    return list(conn.execute(_LOCK, {"ids": locked}).scalars()) if locked else []
