"""Backends: which have a live worker, for how long the others have had none, and which runs hold a place there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from db.gate.queue_rows import labels_of, shape_of
from db.gate.queue_watermarks import HOLDING_FROM
from model.ids import CLUSTERS, BackendName, ExecutionId, NodeName, PoolName
from scheduler.values.absence import Absence, Look
from scheduler.values.run import Labels, Shape

_LIVE = "SELECT FROM workers w WHERE w.pool = b.pool AND w.expires_at > clock_timestamp() AND b.name = ANY(w.serves)"
_REMOVED = f"""
b.name LIKE '{CLUSTERS}%' AND NOT EXISTS (SELECT FROM clusters c WHERE b.name = '{CLUSTERS}' || c.name)
"""
_LOOK = text(f"""
SELECT b.name, EXISTS ({_LIVE}) AS served, {_REMOVED} AS removed,
    b.absent_since, b.absent, b.observed_at, b.server_started_at,
    clock_timestamp() AS now, pg_postmaster_start_time() AS up_since
FROM backends b WHERE b.pool = :pool AND (b.absent_since IS NOT NULL OR NOT EXISTS ({_LIVE}))
ORDER BY b.name FOR UPDATE OF b SKIP LOCKED
""")  # noqa: S608  only our own text
"""Where all backends are served, and were so before, this locks and returns nothing."""
_NOTE = text("""
UPDATE backends SET absent_since = :since, absent = :counted, observed_at = :at, server_started_at = :up_since
WHERE pool = :pool AND name = :name
""")
_ABSENT = text("""
SELECT name, absent_since, absent, observed_at, server_started_at FROM backends
WHERE pool = :pool AND absent_since IS NOT NULL
""")
_SERVED = text("""
SELECT EXISTS (
    SELECT FROM workers WHERE pool = :pool AND expires_at > clock_timestamp() AND :name = ANY(serves)
)
""")
_DROP = text("""
DELETE FROM backends b WHERE b.pool = :pool AND b.name = :name
    AND NOT EXISTS (SELECT FROM nodes n WHERE n.pool = b.pool AND n.backend = b.name)
""")
_PLACED = text(f"""
SELECT execution_id FROM queue
WHERE pool = :pool AND state = 'admitted' AND turn >= ({HOLDING_FROM}) AND backend = :backend
    AND (CAST(:node AS text) IS NULL OR node = :node)
ORDER BY execution_id
""")  # noqa: S608
_UNREADY = text(f"""
SELECT DISTINCT q.backend, q.node FROM queue q
LEFT JOIN nodes n ON n.pool = q.pool AND n.name = q.node AND n.ready
WHERE q.pool = :pool AND q.state = 'admitted' AND q.turn >= ({HOLDING_FROM})
    AND q.backend = ANY(CAST(:backends AS text[])) AND q.node <> q.backend AND n.name IS NULL
ORDER BY q.backend, q.node
""")  # noqa: S608
"""A virtual node, which has the name of its backend, is always ready (012.2)."""
_PLACE = text("""
SELECT node, epoch, cpu_milli, memory_bytes, ephemeral_bytes, gpu, exclusive,
    CAST(constraints AS text) AS constraints, CAST(labels AS text) AS labels
FROM queue WHERE execution_id = :execution_id AND state = 'admitted' AND backend = :backend FOR UPDATE
""")
_WANTED = text("""
SELECT EXISTS (
    SELECT FROM queue q JOIN test_attempts a ON a.execution_id = q.execution_id
    WHERE q.execution_id = :execution_id AND q.state = 'admitted' AND q.backend = ANY(CAST(:serves AS text[]))
        AND a.number = :number AND a.ended_at IS NULL
)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look found of one backend that is not served, or was not: `absence` is None where it is served again.

    `removed`: it is a cluster that has no row any more.
    """

    name: BackendName
    look: Look
    served: bool
    removed: bool
    absence: Absence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A place on a backend, and what the run needs elsewhere."""

    node: NodeName
    epoch: int
    shape: Shape
    labels: Labels
    exclusive: tuple[str, ...]


def look(conn: Connection, pool: PoolName) -> list[Looked]:
    """Return the backends whose absence may change now, locked; without those that another worker looks at."""
    return [_looked(row) for row in conn.execute(_LOOK, {"pool": pool})]


def note(conn: Connection, pool: PoolName, name: BackendName, absence: Absence | None) -> None:
    """Write for how long a backend has been absent; None: it is served."""
    values: dict[str, object] = {"pool": pool, "name": name}
    values |= {"since": None, "counted": None, "at": None, "up_since": None}
    if absence is not None:
        values |= {"since": absence.since, "counted": absence.counted}
        values |= {"at": absence.last.at, "up_since": absence.last.server_started_at}
    conn.execute(_NOTE, values)


def absent(conn: Connection, pool: PoolName) -> dict[BackendName, Absence]:
    """Return the backends that had no live worker at the last look, and for how long they have had none."""
    return {BackendName(row.name): _absence(row) for row in conn.execute(_ABSENT, {"pool": pool})}


def is_served(conn: Connection, pool: PoolName, name: BackendName) -> bool:
    """Return whether a live worker serves a backend, one that takes no more runs included."""
    return bool(conn.execute(_SERVED, {"pool": pool, "name": name}).scalar_one())


def drop(conn: Connection, pool: PoolName, name: BackendName) -> None:
    """Forget a backend that has no node."""
    conn.execute(_DROP, {"pool": pool, "name": name})


def placed(
    conn: Connection, pool: PoolName, backend: BackendName, node: NodeName | None = None
) -> Sequence[ExecutionId]:
    """Return the runs that hold a place on a backend, or on one node of it, by id."""
    values = {"pool": pool, "backend": backend, "node": node}
    return [ExecutionId(found) for found in conn.execute(_PLACED, values).scalars()]


def unready(conn: Connection, pool: PoolName, backends: Sequence[BackendName]) -> list[tuple[BackendName, NodeName]]:
    """Return the nodes of these backends that hold runs and are not ready, or not there any more, in order."""
    rows = conn.execute(_UNREADY, {"pool": pool, "backends": list(backends)})
    return [(BackendName(row.backend), NodeName(row.node)) for row in rows]


def place(conn: Connection, execution_id: ExecutionId, backend: BackendName) -> Placed | None:
    """Return the place of a run on this backend, None if it has none; the caller holds the row of the run."""
    row = conn.execute(_PLACE, {"execution_id": execution_id, "backend": backend}).one_or_none()
    if row is None:
        return None
    return Placed(
        node=NodeName(row.node),
        epoch=row.epoch,
        shape=shape_of(row.cpu_milli, row.memory_bytes, row.ephemeral_bytes, row.gpu, row.constraints),
        labels=labels_of(row.labels),
        exclusive=tuple(row.exclusive),
    )


def is_wanted(conn: Connection, execution_id: ExecutionId, number: int, serves: Sequence[BackendName]) -> bool:
    """Return whether this attempt is open, and its run is placed on one of these backends."""
    values = {"execution_id": execution_id, "number": number, "serves": list(serves)}
    return bool(conn.execute(_WANTED, values).scalar_one())


def _looked(row: Row[Any]) -> Looked:
    known = None if row.absent_since is None else _absence(row)
    seen = Look(at=row.now, server_started_at=row.up_since)
    return Looked(name=BackendName(row.name), look=seen, served=row.served, removed=row.removed, absence=known)


def _absence(row: Row[Any]) -> Absence:
    last = Look(at=row.observed_at, server_started_at=row.server_started_at)
    return Absence(since=row.absent_since, last=last, counted=row.absent)
