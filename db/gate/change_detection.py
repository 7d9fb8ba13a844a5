"""Whether a pass could find anything new, for the price of a few counts: asked once a second, however seldom it passes.

Whoever changes something passes at once. What is left to be noticed: that a backoff has ended, that other pools gave
back, or keep no more, what holds over all of them, what a watcher wrote of the nodes, and changes whose pass waited in
vain.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from db.errors import NotFoundError
from db.gate.pass_input import UNCLAIMED
from db.sql_text import statement
from model.ids import PoolName

_MARKS = statement("""
SELECT p.scheduling_interval_seconds AS seconds, waiting.number > 0 AND p.preemption AS restless, ARRAY[
    p.version,
    coalesce((SELECT s.version FROM node_snapshots s WHERE s.pool = p.name), 0),
    (SELECT count(*) FROM workers w WHERE w.pool = p.name AND NOT w.draining AND w.expires_at > clock_timestamp()),
    (SELECT coalesce(sum(hashtext(CAST(w.serves AS text))), 0) FROM workers w
     WHERE w.pool = p.name AND NOT w.draining AND w.expires_at > clock_timestamp()),
    (SELECT count(*) FROM queue q WHERE q.state = 'admitted'),
    (SELECT coalesce(max(q.turn), 0) FROM queue q WHERE q.state = 'admitted'),
    waiting.number, waiting.newest,
    (SELECT count(*) FROM queue q WHERE q.pool = p.name AND q.state = 'waiting' AND q.epoch > 0
        AND q.not_before > clock_timestamp()),
    (SELECT count(*) FROM queue q WHERE q.pool = p.name AND q.state = 'admitted'
        AND q.admitted_at < clock_timestamp() - CAST(:unclaimed AS interval)
        AND NOT EXISTS (SELECT FROM leases l WHERE l.execution_id = q.execution_id)),
    (SELECT coalesce(sum(hashtext(CAST(q.execution_id AS text) || CAST(q.reserved_for AS text))), 0)
        FROM queue q JOIN pools o ON o.name = q.pool
        WHERE q.state = 'waiting' AND q.reserved_for IS NOT NULL AND q.pool <> p.name
            AND (q.not_before IS NULL OR q.not_before <= clock_timestamp())
            AND q.enqueued_at <= clock_timestamp() - make_interval(secs => o.ageing_limit_seconds
                * CASE WHEN o.strategy = 'FIFO' THEN 1 ELSE q.priority + 1 END)
            AND EXISTS (SELECT FROM workers w
                WHERE w.pool = q.pool AND NOT w.draining AND w.expires_at > clock_timestamp())),
    (SELECT coalesce(sum(hashtext(CAST(u.quota AS text))), 0) FROM users u),
    (SELECT coalesce(sum(hashtext(CAST(t.quota AS text))), 0) FROM teams t)
] AS numbers
FROM pools p CROSS JOIN LATERAL (
    SELECT count(*) AS number, coalesce(max(q.seq), 0) AS newest FROM queue q
    WHERE q.pool = p.name AND q.state = 'waiting'
) AS waiting
WHERE p.name = :pool
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What there is to decide on, in numbers that change when it does. `interval` is that of the pool's settings.

    `restless`: what is running may be stopped for somebody once it has run for long enough, which nothing tells.
    """

    interval: timedelta
    restless: bool
    numbers: tuple[Any, ...]


def read(conn: Connection, pool: PoolName) -> Fingerprint:
    """Return the marks of a pool. Raises: NotFoundError."""
    row = conn.execute(_MARKS, {"pool": pool, "unclaimed": UNCLAIMED}).one_or_none()
    if row is None:
        raise NotFoundError("pool", pool)
    return Fingerprint(interval=timedelta(seconds=row.seconds), restless=row.restless, numbers=tuple(row.numbers))
