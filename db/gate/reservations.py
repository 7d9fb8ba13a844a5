"""Read and write what is reserved for aged runs in all pools: the pass of their pool writes it, the others read it.

Both hold the locks of the owners and names, so what is read is not changed meanwhile. With one pool nothing is read or
written. A reservation binds nobody if its pool has no live worker, or if its run is not aged any more. That is so even
if no pass of its pool removes it.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row

from db.gate.queue_rows import Noted, constraints_of
from db.prepared import Prepared
from model.ids import ExecutionId, PoolName
from model.resources import Resources
from scheduler.admission.cross_pool_reservations import CrossPoolReservation, CrossPoolReservations
from scheduler.values.order import key_at
from scheduler.values.pool import Owner
from scheduler.values.quota_limits import beyond, bound_of
from scheduler.values.usage_totals import need

_RESERVED = Prepared("""
SELECT q.execution_id, q.pool, q.cpu_milli, q.memory_bytes, q.ephemeral_bytes, q.gpu, q.exclusive,
    CAST(q.constraints AS text) AS constraints, CAST(q.reserved_for AS text[]) AS reserved_for,
    first.key, first.seq, first.execution_id AS first_id
FROM queue q JOIN pools p ON p.name = q.pool CROSS JOIN LATERAL (
    SELECT g.execution_id, g.seq, g.enqueued_at + g.priority * CASE WHEN p.strategy = 'FIFO' THEN interval '0'
        ELSE make_interval(secs => p.ageing_limit_seconds) END AS key
    FROM queue g WHERE g.execution_id = q.execution_id OR (g.group_id = q.group_id AND g.state = 'waiting'
        AND (g.not_before IS NULL OR g.not_before <= clock_timestamp()))
    ORDER BY key, g.seq LIMIT 1
) AS first
WHERE q.state = 'waiting' AND q.reserved_for IS NOT NULL AND q.pool <> :pool
    AND (q.not_before IS NULL OR q.not_before <= clock_timestamp())
    AND (q.reserved_for && CAST(:owners AS uuid[]) OR q.exclusive && CAST(:names AS text[]))
    AND first.key <= clock_timestamp() - make_interval(secs => p.ageing_limit_seconds)
    AND EXISTS (SELECT FROM workers w
        WHERE w.pool = q.pool AND NOT w.draining AND w.expires_at > clock_timestamp())
""")
_KEEP = Prepared("""
WITH wanted AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:reserved_for AS text[])) AS w (execution_id, reserved_for)
), mine AS (
    SELECT execution_id FROM queue WHERE execution_id = ANY(CAST(:ids AS uuid[])) AND state = 'waiting'
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE queue q SET reserved_for = CAST(wanted.reserved_for AS uuid[]) FROM wanted JOIN mine USING (execution_id)
WHERE q.execution_id = wanted.execution_id
""")


def read(
    conn: Connection, pool: PoolName, owners: Mapping[UUID, Owner], names: Collection[str]
) -> CrossPoolReservations:
    """Return what is reserved for aged runs of other pools of these owners' limits, and of these names.

    If a limit was lowered so far that the run can never start, nothing is reserved for it any more.
    """
    asked = {"pool": pool, "owners": list(owners), "names": list(names)}
    found = [_reservation(row) for row in _RESERVED.execute(conn, asked)]
    return CrossPoolReservations(
        one for one in found if not any(_never(one, owner, owners.get(owner)) for owner in one.owners)
    )


def write(
    conn: Connection,
    runs: Iterable[ExecutionId],
    kept: Mapping[ExecutionId, Collection[UUID]],
    notes: Mapping[ExecutionId, Noted],
) -> None:
    """Write in whose limits room is reserved for waiting `runs`, where that has changed. Locked rows stay as they are.

    The next pass writes those, as everywhere in the gate.
    """
    wanted = {run: frozenset(kept[run]) if run in kept else None for run in runs}
    changed = {run: owners for run, owners in wanted.items() if notes[run].reserved_for != owners}
    if changed:
        arrays = [None if owners is None else f"{{{','.join(map(str, owners))}}}" for owners in changed.values()]
        _KEEP.execute(conn, {"ids": list(changed), "reserved_for": arrays})


def _never(one: CrossPoolReservation, owner: UUID, facts: Owner | None) -> bool:
    return facts is not None and beyond(bound_of(owner, facts, team=True), one.need)


def _reservation(row: Row[Any]) -> CrossPoolReservation:
    amounts = Resources(
        cpu_milli=row.cpu_milli, memory_bytes=row.memory_bytes, ephemeral_bytes=row.ephemeral_bytes, gpu=row.gpu
    )
    return CrossPoolReservation(
        run=ExecutionId(row.execution_id),
        pool=PoolName(row.pool),
        rank=(key_at(row.key), row.seq, row.first_id),
        owners=tuple(map(UUID, row.reserved_for)),
        need=need(amounts, constraints_of(row.constraints).slots),
        names=tuple(row.exclusive),
    )
