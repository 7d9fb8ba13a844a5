"""Workers: which are alive, by the database's clock, and which backends each of them serves.

Without a live worker nothing is admitted, and nothing to the nodes of a backend that no live worker serves.

Where that clock goes back, what was to end in seconds would end in hours: who beats then shortens what lies further
ahead than a worker's lease, its own and that of those that died meanwhile.
"""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Connection, text

from model.ids import BackendName, PoolName, WorkerId

_REGISTER = text("""
INSERT INTO workers (worker_id, pool, started_at, expires_at, lease, draining, serves)
VALUES (:worker, :pool, clock_timestamp(), clock_timestamp() + :ttl, greatest(:ttl, interval '0'), false, :serves)
ON CONFLICT (worker_id) DO UPDATE SET
    pool = excluded.pool, started_at = excluded.started_at, expires_at = excluded.expires_at, lease = excluded.lease,
    draining = false, serves = excluded.serves
""")
_BEAT = text("UPDATE workers SET expires_at = clock_timestamp() + :ttl, lease = :ttl WHERE worker_id = :worker")
_SHORTEN = text("""
WITH ahead AS MATERIALIZED (
    SELECT worker_id, lease FROM workers WHERE expires_at > clock_timestamp() + lease
    ORDER BY worker_id FOR UPDATE SKIP LOCKED
), held AS MATERIALIZED (
    SELECT l.execution_id, ahead.lease FROM leases l JOIN ahead ON ahead.worker_id = l.holder
    WHERE l.expires_at > clock_timestamp() + ahead.lease ORDER BY l.execution_id FOR UPDATE OF l SKIP LOCKED
), shortened AS (
    UPDATE leases l SET expires_at = clock_timestamp() + held.lease FROM held WHERE l.execution_id = held.execution_id
)
UPDATE workers w SET expires_at = clock_timestamp() + ahead.lease FROM ahead WHERE w.worker_id = ahead.worker_id
""")
_BACKENDS = text("""
INSERT INTO backends (pool, name) SELECT :pool, name FROM unnest(CAST(:serves AS text[])) AS name ORDER BY name
ON CONFLICT (pool, name) DO NOTHING
""")
_SERVE = text("UPDATE workers SET serves = CAST(:serves AS text[]) WHERE worker_id = :worker")
_SERVERS = text("""
SELECT worker_id FROM workers
WHERE :backend = ANY(serves) AND NOT draining AND expires_at > clock_timestamp() ORDER BY worker_id
""")
_DRAIN = text("UPDATE workers SET draining = true WHERE worker_id = :worker")
_LEAVE = text("DELETE FROM workers WHERE worker_id = :worker")
_FORGET = text("DELETE FROM workers WHERE expires_at < clock_timestamp() - interval '1 day'")
_ABANDON = text("""
UPDATE leases SET expires_at = to_timestamp(0)
WHERE execution_id IN (
    SELECT execution_id FROM leases WHERE holder = :worker AND expires_at > to_timestamp(0)
    ORDER BY execution_id FOR UPDATE
)
""")
_ALIVE = text("""
SELECT worker_id FROM workers
WHERE pool = :pool AND NOT draining AND expires_at > clock_timestamp() ORDER BY worker_id
""")
_WORKING = text("""
SELECT count(*) FROM workers WHERE NOT draining AND expires_at > clock_timestamp() + lease / 3
""")
_SERVED = text("""
SELECT DISTINCT unnest(serves) FROM workers
WHERE pool = :pool AND NOT draining AND expires_at > clock_timestamp()
""")


def register(
    conn: Connection, worker: WorkerId, pool: PoolName, ttl: timedelta, serves: Collection[BackendName]
) -> None:
    """Announce a worker, and the backends that it serves.

    What an earlier worker of the same name held can be taken over at once.
    """
    conn.execute(_REGISTER, {"worker": worker, "pool": pool, "ttl": ttl, "serves": sorted(serves)})
    conn.execute(_BACKENDS, {"pool": pool, "serves": sorted(serves)})
    conn.execute(_ABANDON, {"worker": worker})
    conn.execute(_FORGET)


def serve(conn: Connection, worker: WorkerId, pool: PoolName, serves: Collection[BackendName]) -> None:
    """Change the backends that a worker serves. It keeps the runs that it holds."""
    conn.execute(_SERVE, {"worker": worker, "serves": sorted(serves)})
    conn.execute(_BACKENDS, {"pool": pool, "serves": sorted(serves)})


def servers(conn: Connection, backend: BackendName) -> list[WorkerId]:
    """Return the live workers that serve a backend, of all pools."""
    return [WorkerId(worker) for worker in conn.execute(_SERVERS, {"backend": backend}).scalars()]


def beat(conn: Connection, worker: WorkerId, ttl: timedelta) -> bool:
    """Say that a worker lives, and that nobody lives longer than it can. False when nobody knows it: register again."""
    conn.execute(_SHORTEN)
    return conn.execute(_BEAT, {"worker": worker, "ttl": ttl}).rowcount == 1


def drain(conn: Connection, worker: WorkerId) -> None:
    """Give a worker nothing more; what it holds it keeps."""
    conn.execute(_DRAIN, {"worker": worker})


def leave(conn: Connection, worker: WorkerId) -> None:
    """Say goodbye: the tests that it leaves running are taken over by the next worker without waiting for a lease."""
    conn.execute(_ABANDON, {"worker": worker})
    conn.execute(_LEAVE, {"worker": worker})


def working(conn: Connection) -> int:
    """Count the workers whose last heartbeat was in time: at most two thirds of a lease ago, with three a lease."""
    return int(conn.execute(_WORKING).scalar_one())


def alive(conn: Connection, pool: PoolName) -> list[WorkerId]:
    """Return the workers that take runs of a pool."""
    return [WorkerId(worker) for worker in conn.execute(_ALIVE, {"pool": pool}).scalars()]


def served(conn: Connection, pool: PoolName) -> frozenset[BackendName]:
    """Return the backends of a pool to which runs may be admitted: those that a live worker serves."""
    return frozenset(BackendName(name) for name in conn.execute(_SERVED, {"pool": pool}).scalars())
