"""Watermarks: the numbers below which the queue has no live row. Readers of the queue start there.

PostgreSQL keeps dead rows while an old transaction is open, and a reader that starts at the beginning of an index walks
over all of them. So each reader starts at the watermark of what it looks for:

    waiting    for each priority, by `seq`. A run that never started is never below it. A run that came back to wait
               may be below it, and has an index of its own (epoch > 0)
    holding    by `turn`, the number of an admission

A watermark may be too low, but never too high. Whoever enqueues holds a shared lock from before it draws a `seq` until
it commits, and a watermark of waiting runs is raised only under the same lock, held exclusively. So no number that was
drawn is still to appear. `turn` is drawn under the lock of the pool, and its watermark is raised under that lock.
"""

from sqlalchemy import Connection

from db.locks import Lock, lock_key
from db.sql_text import sql, statement
from model.ids import PoolName

LOWEST_PRIORITY = 9
HOLDING = -1
"""The level of the runs that hold a place. The other levels are the priorities."""
SMALLEST_STEP = 200
"""A watermark is raised by at least this much, since each step costs a row version."""

WAITING_FROM = sql(
    """
SELECT p AS priority, least(
    coalesce((SELECT f.lowest FROM queue_watermarks f WHERE f.pool = :pool AND f.level = p), 0),
    (SELECT min(seq) FROM queue WHERE pool = :pool AND state = 'waiting' AND priority = p AND epoch > 0)) AS lowest
FROM generate_series(0, $lowest_priority) AS p
""",
    lowest_priority=LOWEST_PRIORITY,
)
HOLDING_FROM = sql(
    "SELECT coalesce(max(lowest), 0) FROM queue_watermarks WHERE pool = :pool AND level = $holding", holding=HOLDING
)

_ALONE = statement("""
SELECT pg_try_advisory_xact_lock(:enter, :key) AS nobody_enters, pg_try_advisory_xact_lock(:run, :key) AS nobody_passes
""")
_RAISE = statement(
    """
WITH levels AS MATERIALIZED ($waiting_from), drawn AS (
    SELECT s.last_value + CASE WHEN s.is_called THEN 1 ELSE 0 END AS seq,
        t.last_value + CASE WHEN t.is_called THEN 1 ELSE 0 END AS turn
    FROM queue_seq_seq AS s CROSS JOIN queue_turns AS t
), found AS (
    SELECT l.priority AS level, coalesce((
        SELECT min(seq) FROM queue
        WHERE pool = :pool AND state = 'waiting' AND priority = l.priority AND seq >= l.lowest
    ), drawn.seq) AS lowest
    FROM levels AS l CROSS JOIN drawn WHERE :nobody_enters
    UNION ALL
    SELECT $holding, coalesce((
        SELECT min(turn) FROM queue WHERE pool = :pool AND state = 'admitted' AND turn >= ($holding_from)
    ), drawn.turn)
    FROM drawn WHERE :nobody_passes
)
INSERT INTO queue_watermarks AS f (pool, level, lowest)
SELECT :pool, level, lowest FROM found WHERE lowest >= :step ORDER BY level
ON CONFLICT (pool, level) DO UPDATE SET lowest = excluded.lowest WHERE excluded.lowest >= f.lowest + :step
""",
    waiting_from=WAITING_FROM,
    holding=HOLDING,
    holding_from=HOLDING_FROM,
)


def advance(conn: Connection, pool: PoolName) -> bool:
    """Raise the watermarks of a pool to where its rows begin, in a short transaction of its own.

    A worker does this now and then. Without it passes are as right, but slower. False: somebody enqueues, or makes a
    pass, at this moment. Then the watermark of the waiting rows, or of the running ones, stays.
    """
    locks = {"enter": Lock.ENTER, "run": Lock.RUN, "key": lock_key(pool)}
    alone = conn.execute(_ALONE, locks).one()._asdict()
    conn.execute(_RAISE, {"pool": pool, "step": SMALLEST_STEP, **alone})
    return all(alone.values())
