"""Leases: which worker has an admitted run, until when by the database's clock, and under which epoch.

An expired lease frees no place: it lets another worker take the run over, under a new epoch, so that the former holder
changes nothing more. Only a worker that serves the backend of the place may claim a run or take it over (010.2).
After a restart of the server nothing expires for one ttl, since nobody could renew.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, Row, text

from db.gate.queue_watermarks import HOLDING_FROM
from db.prepared import Prepared
from model.ids import BackendName, ExecutionId, NodeName, WorkerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An admitted run that is ours now. `taken_over`: another worker had it, so its process may be running."""

    execution_id: ExecutionId
    epoch: int
    node: NodeName
    backend: BackendName
    candidates: tuple[NodeName, ...] = ()
    flow_run_id: UUID | None = None
    taken_over: bool = False


_POOL = "(SELECT pool FROM workers WHERE worker_id = :worker)"
_JUST_STARTED = """clock_timestamp() BETWEEN pg_postmaster_start_time()
    AND pg_postmaster_start_time() + CAST(:ttl AS interval)"""
"""Where the clock went back behind the server's start, nobody knows, and leases are what they say."""
_FREE = Prepared(f"""
SELECT q.execution_id, q.node, q.candidates, q.backend, q.epoch, r.flow_run_id
FROM workers me
JOIN queue q ON q.pool = {_POOL} AND q.state = 'admitted' AND q.turn >= ({HOLDING_FROM.replace(":pool", _POOL)})
JOIN runs r ON r.id = q.execution_id
LEFT JOIN LATERAL (SELECT * FROM leases WHERE leases.execution_id = q.execution_id LIMIT 1) AS l ON true
WHERE me.worker_id = :worker AND NOT me.draining AND me.expires_at > clock_timestamp()
    AND q.backend = ANY(me.serves)
    AND (l.execution_id IS NULL OR l.expires_at = to_timestamp(0)
        OR (:resume AND l.holder = me.worker_id AND q.execution_id <> ALL(CAST(:known AS uuid[])))
        OR (l.expires_at < clock_timestamp() AND NOT ({_JUST_STARTED})))
    AND NOT EXISTS (
        SELECT FROM workers host
        WHERE host.worker_id = q.host AND host.worker_id <> me.worker_id AND NOT host.draining
            AND q.backend = ANY(host.serves) AND (host.expires_at > clock_timestamp() OR {_JUST_STARTED})
    )
ORDER BY q.priority, q.seq LIMIT :limit
FOR NO KEY UPDATE OF q, r SKIP LOCKED
""")  # noqa: S608  only our own text
"""Both rows are locked, and none is waited for: whoever changes a run locks its row of `runs` first. The LIMIT keeps
PostgreSQL from reading all that was ever leased, which it takes for little where much of it is dead."""

_TAKE = Prepared("""
INSERT INTO leases AS l (execution_id, epoch, holder, acquired_at, expires_at)
SELECT execution_id, epoch, :worker, clock_timestamp(), clock_timestamp() + CAST(:ttl AS interval)
FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS int[])) AS free (execution_id, epoch) ORDER BY execution_id
ON CONFLICT (execution_id) DO UPDATE SET
    epoch = CASE WHEN l.holder = excluded.holder AND l.expires_at >= clock_timestamp()
        THEN l.epoch ELSE excluded.epoch + 1 END,
    holder = excluded.holder, acquired_at = excluded.acquired_at, expires_at = excluded.expires_at
WHERE l.expires_at < clock_timestamp() OR (:resume AND l.holder = excluded.holder)
RETURNING l.execution_id, l.epoch
""")
"""The snapshot of the search may be older than the locks, so the lease itself decides. A conflict is a takeover, unless
the lease is our own and still good."""

_FENCE = text("""
WITH taken AS (
    SELECT execution_id, epoch FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS int[])) AS t (execution_id, epoch)
), fenced AS (
    UPDATE runs r SET epoch = taken.epoch FROM taken WHERE r.id = taken.execution_id
)
UPDATE queue q SET epoch = taken.epoch, began_at = NULL FROM taken WHERE q.execution_id = taken.execution_id
""")
"""Whether its test still runs is not known yet: who took it over says so, or launches it anew (`began`)."""
_BEGAN = text("""
UPDATE queue SET began_at = clock_timestamp()
WHERE execution_id = :execution_id AND epoch = :epoch AND state = 'admitted' AND restartable
""")
_RENEW = text("""
WITH mine AS (
    SELECT execution_id FROM leases WHERE holder = :worker FOR UPDATE SKIP LOCKED
), beat AS (
    UPDATE workers SET expires_at = clock_timestamp() + CAST(:ttl AS interval), lease = CAST(:ttl AS interval)
    WHERE worker_id = :worker
)
UPDATE leases l SET expires_at = clock_timestamp() + CAST(:ttl AS interval)
FROM mine WHERE l.execution_id = mine.execution_id
RETURNING l.execution_id, l.epoch
""")
_HELD = text("""
SELECT EXISTS (
    SELECT FROM leases
    WHERE execution_id = :execution_id AND epoch = :epoch AND holder = :worker AND expires_at > clock_timestamp()
)
""")


def claim(
    conn: Connection,
    worker: WorkerId,
    ttl: timedelta,
    limit: int = 10,
    known: Collection[ExecutionId] | None = None,
) -> list[Claimed]:
    """Claim admitted runs on the worker's backends that no worker has, most important first.

    A run whose flow already waits in another live worker is left to that one, if it serves the backend. `known` are the
    runs that the caller has: with it, the call also returns the runs that the caller holds without knowing it, since
    the answer to an earlier claim was lost.
    """
    own = {"resume": known is not None, "worker": worker, "ttl": ttl}
    found = _FREE.execute(conn, {**own, "known": list(known or ()), "limit": limit})
    if not found:
        return []
    wanted = {"ids": [row.execution_id for row in found], "epochs": [row.epoch for row in found]}
    taken = _TAKE.execute(conn, {**own, **wanted})
    epochs: dict[UUID, int] = {row.execution_id: row.epoch for row in taken}
    claimed = [_claimed(row, epochs[row.execution_id]) for row in found if row.execution_id in epochs]
    over = [run for run in claimed if run.taken_over]
    if over:
        conn.execute(_FENCE, {"ids": [run.execution_id for run in over], "epochs": [run.epoch for run in over]})
    return claimed


def renew(conn: Connection, worker: WorkerId, ttl: timedelta) -> set[tuple[ExecutionId, int]]:
    """Say that a worker lives, and hold on to what it carries; return that. What is missing was taken over or ended.

    An expired lease that nobody took over is held on to as well.
    """
    rows = conn.execute(_RENEW, {"worker": worker, "ttl": ttl})
    return {(ExecutionId(row.execution_id), row.epoch) for row in rows}


def hold(conn: Connection, execution_id: ExecutionId, epoch: int, worker: WorkerId) -> bool:
    """Return whether a worker carries a run under this epoch now."""
    mine = {"execution_id": execution_id, "epoch": epoch, "worker": worker}
    return bool(conn.execute(_HELD, mine).scalar_one())


def began(conn: Connection, execution_id: ExecutionId, epoch: int) -> None:
    """Note that a run's test runs from now on, as far as that matters: whether it may be stopped for another.

    The caller holds the run's row.
    """
    conn.execute(_BEGAN, {"execution_id": execution_id, "epoch": epoch})


def _claimed(row: Row[tuple[object, ...]], epoch: int) -> Claimed:
    return Claimed(
        execution_id=ExecutionId(row.execution_id),
        epoch=epoch,
        node=NodeName(row.node),
        backend=BackendName(row.backend),
        candidates=tuple(map(NodeName, row.candidates)),
        flow_run_id=row.flow_run_id,
        taken_over=epoch != row.epoch,
    )
