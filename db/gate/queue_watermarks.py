"""Where the rows that live begin: below these numbers the queue holds only what is dead.

While somebody's transaction stays open, PostgreSQL keeps every row that ended since, and whoever reads the queue from
its beginning walks over all of them. So who reads begins at the floor of what it looks for:

    waiting    of each priority, by `seq`. A run that never started has none below; one that came back to wait may,
               and is found by an index of its own (epoch > 0)
    holding    by `turn`, the number of an admission

A floor may be too low, never too high. For `seq` that is sure since who enqueues holds a lock, shared, from before it
draws its number until it commits, and a floor is raised only by who gets that lock alone: then no number that was drawn
is still to appear. `turn` is drawn under the pool's lock, and that floor raised under it.
"""

from sqlalchemy import Connection, text

from db.locks import Lock, lock_key
from model.ids import PoolName

LOWEST_PRIORITY = 9
HOLDING = -1
"""The level of those that hold a place; the others are the priorities."""
LEAP = 200
"""A floor is raised by so much at least: less is not worth a row version."""

WAITING_FROM = f"""
SELECT p AS priority, least(
    coalesce((SELECT f.lowest FROM queue_watermarks f WHERE f.pool = :pool AND f.level = p), 0),
    (SELECT min(seq) FROM queue WHERE pool = :pool AND state = 'waiting' AND priority = p AND epoch > 0)) AS lowest
FROM generate_series(0, {LOWEST_PRIORITY}) AS p
"""  # noqa: S608  only our own text
HOLDING_FROM = f"SELECT coalesce(max(lowest), 0) FROM queue_watermarks WHERE pool = :pool AND level = {HOLDING}"  # noqa: S608

_ALONE = text("""
SELECT pg_try_advisory_xact_lock(:enter, :key) AS nobody_enters, pg_try_advisory_xact_lock(:run, :key) AS nobody_passes
""")
_RAISE = text(f"""
WITH levels AS MATERIALIZED ({WAITING_FROM}), drawn AS (
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
    SELECT {HOLDING}, coalesce((
        SELECT min(turn) FROM queue WHERE pool = :pool AND state = 'admitted' AND turn >= ({HOLDING_FROM})
    ), drawn.turn)
    FROM drawn WHERE :nobody_passes
)
INSERT INTO queue_watermarks AS f (pool, level, lowest)
SELECT :pool, level, lowest FROM found WHERE lowest >= :leap ORDER BY level
ON CONFLICT (pool, level) DO UPDATE SET lowest = excluded.lowest WHERE excluded.lowest >= f.lowest + :leap
""")  # noqa: S608


def lift(conn: Connection, pool: PoolName) -> bool:
    """Raise the floors of a pool to where its rows begin, in a short transaction of its own.

    False when somebody enqueues, or passes, at this moment: then the floor of those that wait, or hold, stays. A worker
    does this now and then; where nobody does, passes are as right, and slower.
    """
    locks = {"enter": Lock.ENTER, "run": Lock.RUN, "key": lock_key(pool)}
    alone = conn.execute(_ALONE, locks).one()._asdict()
    conn.execute(_RAISE, {"pool": pool, "leap": LEAP, **alone})
    return all(alone.values())
