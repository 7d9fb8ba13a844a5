"""Read what a pass needs, under the lock of the pool. The number of rows is bounded, however deep the queue is.

A pass reads the first few rows of each shape, the first rows of the order, the first aged rows, and all waiting members
of each group of which one member was read. If the pool is full, it reads only the newest rows, to write their reasons;
with several pools also the first aged rows, for what is reserved for them in all pools. Once a second it reads more of
the order, to write positions. Each part has the first rows of every shape in it. So no run is passed by a later one of
its shape only because that one was read (`ReadRows.last`).

Shapes are found by a loose scan of idx_queue_shape: at most `SHAPES`, in equal parts for each owner and priority, so
that no owner hides another. Of more than `SHAPES` pairs of owner and priority those of the lowest priority are left for
a later pass, as are an owner's shapes beyond its part; they come in as the others start, are cancelled, or grow old.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from db import nodes
from db.errors import NotFoundError
from db.gate import owner_limits, reservations
from db.gate.pass_locks import name_claim, owner_claim
from db.gate.queue_rows import COLUMNS, REST_BITS, running
from db.gate.queue_watermarks import HOLDING_FROM, WAITING_FROM
from db.gate.read_rows import ReadRows
from db.gate_tables import EXPERIMENT_WAITS
from db.prepared import Prepared
from db.sql_text import sql, statement
from model.ids import BackendName, ExecutionId, PoolName
from scheduler.admission.cross_pool_reservations import NOTHING_RESERVED
from scheduler.admission.state import State
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.order import head_start
from scheduler.values.pool import DEFAULT_PROFILE, PROFILES, Ceiling, PoolSettings, Strategy
from scheduler.values.run import Running

SHAPES = 500
"""Different shapes that one pass looks at."""
ROWS = 128
"""Rows to read of all shapes together, at least one of each: of those that start, the next round reads more."""
UNLIMITED = 10_000
"""Runs that may start in one round where the pool has no limit of its own."""
MOST_IN_ORDER = 500
"""Rows of the order that one round reads where as many may start."""
OLDEST = 100
"""Aged rows that are read at least."""
NEWEST = 16
POSITIONS = 200
"""Rows whose position is written."""
ANNOTATE_EVERY = timedelta(seconds=1)
BELIEVED = timedelta(minutes=1)
"""By so much the time of an arrival may lie before that of an earlier arrival (queue.enqueue)."""
UNCLAIMED = timedelta(seconds=60)
"""After this an admitted run that no worker took up gives its place back."""

_POOL = Prepared(
    """
SELECT p.max_concurrent_tests, p.max_cpu_milli, p.max_memory_bytes, p.max_ephemeral_bytes, p.max_gpu, p.strategy,
    p.max_concurrent_experiments,
    p.ageing_limit_seconds, p.backfill_after_seconds, p.half_life_seconds, p.scheduling_interval_seconds, p.preemption,
    p.min_runtime_seconds, p.default_node_selector, p.enable_spot_instances, p.target_node_utilization, p.profile,
    p.candidates, p.usage_at, p.annotated_at,
    clock_timestamp() AS now, (SELECT count(*) > 1 FROM pools) AS several,
    coalesce((SELECT s.version FROM node_snapshots s WHERE s.pool = p.name), 0) AS nodes_version,
    live.workers, live.served, EXISTS (
        SELECT FROM queue WHERE pool = p.name AND $experiment_waits
            AND (not_before IS NULL OR not_before <= clock_timestamp())
    ) AS experiment_waits
FROM pools p CROSS JOIN LATERAL (
    SELECT count(DISTINCT w.worker_id) AS workers, array_agg(DISTINCT s.backend) AS served
    FROM workers w LEFT JOIN LATERAL unnest(w.serves) AS s (backend) ON true
    WHERE w.pool = p.name AND NOT w.draining AND w.expires_at > clock_timestamp()
) AS live
WHERE p.name = :pool
""",
    experiment_waits=EXPERIMENT_WAITS,
)
_ADMITTED = Prepared(
    """
SELECT q.execution_id, q.seq, q.enqueued_at, q.user_id, q.team_id, q.cpu_milli, q.memory_bytes, q.ephemeral_bytes,
    q.gpu, CAST(q.constraints AS text) AS constraints, q.node, q.priority, q.admitted_at, q.began_at,
    CAST(q.labels AS text) AS labels, q.exclusive, q.limit_seconds, q.expected_seconds, q.restartable, q.guarded,
    q.preempted_for,
    l.execution_id IS NULL AND q.admitted_at < clock_timestamp() - CAST(:unclaimed AS interval) AS lost
FROM queue q LEFT JOIN LATERAL (
    SELECT execution_id FROM leases WHERE leases.execution_id = q.execution_id LIMIT 1) AS l ON true
WHERE q.pool = :pool AND q.state = 'admitted' AND q.turn >= ($holding_from)
""",
    holding_from=HOLDING_FROM,
)
_WAITING = "pool = :pool AND state = 'waiting'"
_STARTABLE = sql("$waiting AND (not_before IS NULL OR not_before <= :now)", waiting=_WAITING)
_HERE = "priority = l.priority AND seq >= l.lowest"
_LEVELS = sql("WITH RECURSIVE levels AS MATERIALIZED ($waiting_from)", waiting_from=WAITING_FROM)
_LAST_OF_OWNER = (1 << REST_BITS) - 1
_SHAPES = sql(
    """$levels, owners AS MATERIALIZED (
    SELECT l.priority, l.lowest, own.owner FROM levels AS l CROSS JOIN LATERAL (
        WITH RECURSIVE mine AS (
            (SELECT shape >> $rest_bits AS owner FROM queue WHERE $waiting AND $here ORDER BY shape LIMIT 1)
            UNION ALL
            SELECT next.owner FROM mine CROSS JOIN LATERAL (
                SELECT shape >> $rest_bits AS owner FROM queue
                WHERE $waiting AND $here AND shape > (mine.owner << $rest_bits | $last_of_owner)
                ORDER BY shape LIMIT 1
            ) AS next
        )
        SELECT owner FROM mine LIMIT :shapes
    ) AS own LIMIT :shapes
), shapes AS MATERIALIZED (
    SELECT l.priority, l.lowest, own.shape FROM owners AS l CROSS JOIN LATERAL (
        WITH RECURSIVE mine AS (
            (SELECT shape FROM queue WHERE $waiting AND $here
                AND shape BETWEEN l.owner << $rest_bits AND l.owner << $rest_bits | $last_of_owner
             ORDER BY shape LIMIT 1)
            UNION ALL
            SELECT next.shape FROM mine CROSS JOIN LATERAL (
                SELECT shape FROM queue WHERE $waiting AND $here
                    AND shape > mine.shape AND shape <= l.owner << $rest_bits | $last_of_owner
                ORDER BY shape LIMIT 1
            ) AS next
        )
        SELECT shape FROM mine LIMIT (SELECT greatest(1, :shapes / count(*)) FROM owners)
    ) AS own
)
""",
    levels=_LEVELS,
    rest_bits=REST_BITS,
    waiting=_WAITING,
    here=_HERE,
    last_of_owner=_LAST_OF_OWNER,
)
"""Each step finds the next owner, or shape, by the index. The LIMIT of the reader ends the recursion."""

_FIRST = sql(
    """
SELECT $columns FROM queue JOIN (
    SELECT f.execution_id, f.key, row_number() OVER (ORDER BY f.key, f.seq) AS number FROM (
        SELECT f.execution_id, f.seq, f.enqueued_at + l.priority * CAST(:step AS interval) AS key
        FROM levels AS l CROSS JOIN LATERAL (
            SELECT execution_id, seq, enqueued_at FROM queue WHERE $startable AND $here ORDER BY seq LIMIT :first
        ) AS f ORDER BY key, seq LIMIT :first
    ) AS f
) AS f USING (execution_id) WHERE f.number <= :in_order OR f.key <= :nearly ORDER BY f.number
""",
    columns=COLUMNS,
    startable=_STARTABLE,
    here=_HERE,
)
"""The first rows of the order, by its key (`scheduler.values.order`). Within a priority that is the order of arrival,
so the first rows of each are enough. Aged runs are the first of the order: more of them are read than of the others."""

_ROWS = Prepared(
    """$shapes
SELECT first.*, 'head' AS part, least(:room, :rows / (SELECT count(*) FROM shapes) + 1) AS most
FROM shapes AS l CROSS JOIN LATERAL (
    SELECT $columns FROM queue WHERE $startable AND $here AND shape = l.shape
    ORDER BY seq LIMIT (SELECT least(:room, :rows / count(*) + 1) FROM shapes)
) AS first
UNION ALL SELECT *, 'first', NULL FROM ($first) AS f
""",
    shapes=_SHAPES,
    columns=COLUMNS,
    startable=_STARTABLE,
    here=_HERE,
    first=_FIRST,
)
_NEW = Prepared(
    """$levels
SELECT $columns FROM (
    SELECT n.* FROM levels AS l CROSS JOIN LATERAL (
        SELECT * FROM queue WHERE $startable AND $here ORDER BY seq DESC LIMIT :newest
    ) AS n ORDER BY seq DESC LIMIT :newest
) AS n WHERE reason = ''
UNION ALL SELECT * FROM ($first) AS f
""",
    levels=_LEVELS,
    columns=COLUMNS,
    startable=_STARTABLE,
    here=_HERE,
    first=_FIRST,
)

_GROUPS = statement(
    "SELECT $columns FROM queue WHERE $waiting AND group_id = ANY(CAST(:groups AS uuid[]))",
    columns=COLUMNS,
    waiting=_WAITING,
)
_CLAIMS = statement(
    """$shapes
SELECT DISTINCT first.user_id, first.team_id, first.exclusive FROM shapes AS l CROSS JOIN LATERAL (
    SELECT user_id, team_id, exclusive FROM queue WHERE $waiting AND $here AND shape = l.shape LIMIT 1
) AS first WHERE (SELECT count(*) > 1 FROM pools)
""",
    shapes=_SHAPES,
    waiting=_WAITING,
    here=_HERE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The pool as it is now: its settings, its live workers, the runs that hold a place.

    `served` are the backends that a live worker serves. `annotate`: reasons are due to be written.
    """

    pool: PoolName
    now: datetime
    limits: PoolSettings
    workers: int
    several: bool
    annotate: bool
    holding: tuple[Running, ...]
    lost: tuple[ExecutionId, ...]
    usage_at: datetime | None = None
    nodes_version: int = nodes.UNKNOWN
    served: frozenset[BackendName] = frozenset()
    experiments: int = 0
    """How many experiments may run at once."""
    experiment_waits: bool = False
    """An experiment waits, and is not in backoff."""
    turned_back: bool = False
    """The clock is before the time of an earlier pass."""

    @property
    def room(self) -> int:
        """How many runs may start at most, besides experiments."""
        most, holding = self.limits.ceiling.runs, len(self.holding) - self._experiments
        free = UNLIMITED if most is None else max(0, most - holding)
        return free if self.workers else 0

    @property
    def room_in_all(self) -> int:
        """How many runs may start at most, with experiments."""
        free = max(0, self.experiments - self._experiments)
        return self.room + (free if self.workers and self.experiment_waits else 0)

    @property
    def looking(self) -> bool:
        """True if a run may start, or others may be asked to stop for it."""
        return self.room_in_all > 0 or (self.limits.preemption and self.workers > 0)

    @property
    def _experiments(self) -> int:
        return sum(place.slots == 0 for place in self.holding)


def facts(conn: Connection, pool: PoolName) -> Facts:
    """Read the settings of a pool, its workers and its running runs. Raises: NotFoundError."""
    row = next(iter(_POOL.execute(conn, {"pool": pool})), None)
    if row is None:
        raise NotFoundError("pool", pool)
    admitted = _ADMITTED.execute(conn, {"pool": pool, "unclaimed": UNCLAIMED})
    return Facts(
        pool=pool,
        now=row.now,
        limits=_limits(row),
        workers=row.workers,
        several=row.several,
        annotate=row.annotated_at is None or not timedelta() <= row.now - row.annotated_at < ANNOTATE_EVERY,
        holding=tuple(running(place) for place in admitted),
        lost=tuple(ExecutionId(place.execution_id) for place in admitted if place.lost),
        usage_at=row.usage_at,
        nodes_version=row.nodes_version,
        served=frozenset(row.served or ()),
        experiments=row.max_concurrent_experiments,
        experiment_waits=row.experiment_waits,
        turned_back=row.annotated_at is not None and row.now < row.annotated_at,
    )


def waiting(conn: Connection, known: Facts) -> ReadRows:
    """Read the rows that this pass may start, or whose reason it may write."""
    found = ReadRows()
    nearly = known.now - known.limits.ageing_limit + BELIEVED
    here = {"pool": known.pool, "now": known.now, "nearly": nearly, "step": head_start(1, known.limits)}
    if known.looking:
        room = max(known.room, 1)
        found.in_order = max(min(room, MOST_IN_ORDER), POSITIONS if known.annotate else 0)
        first = max(found.in_order, OLDEST)
        sizes = {"shapes": SHAPES, "room": room, "rows": ROWS, "in_order": found.in_order, "first": first}
        rows = _ROWS.execute(conn, {**here, **sizes})
        found.add_heads(rows)
        found.see_how_far(rows, known.limits)
    else:
        found.in_order = POSITIONS if known.annotate else 0
        first = max(found.in_order, OLDEST if known.several else 0)  # what the aged keep, they keep in other pools too
        found.add(_NEW.execute(conn, {**here, "newest": NEWEST, "in_order": found.in_order, "first": first}))
    if groups := found.groups():
        found.add(conn.execute(_GROUPS, {"pool": known.pool, "groups": list(groups)}))
    return found


def state(conn: Connection, known: Facts, found: ReadRows, busy: Collection[ExecutionId] = frozenset()) -> State:
    """Build the state that the plan decides by. Owners are read now, since their locks are held where they are needed.

    What is read of the owners of `busy` runs may be old, so the plan starts none of these runs.
    """
    node_usage = NodeUsage()
    if known.looking or known.several or (known.workers and found.runs):  # without room too: to tell why, what is kept
        virtual = _backends_needed(known, found)
        reach = nodes.Reach(served=known.served, virtual=virtual, experiments=known.experiments)
        node_usage, found.snapshot = nodes.node_usage(conn, known.pool, known.nodes_version, reach)
    counted = list(found.runs.values())
    if known.limits.strategy is Strategy.FAIR_SHARE:
        counted += [place.queued for place in known.holding]
    owners, names = owner_limits.owners(conn, known.pool, counted, several=known.several), found.names()
    made = State(
        limits=known.limits,
        node_usage=node_usage,
        owners=owners,
        workers=known.workers,
        exclusive_elsewhere=owner_limits.names_elsewhere(conn, known.pool, names if known.several else ()),
        usage_at=known.usage_at,
        reserved=reservations.read(conn, known.pool, owners, names) if known.several else NOTHING_RESERVED,
        busy=busy,
    )
    for place in known.holding:
        made.start(place)
    for run in found.runs.values():
        made.enqueue(run)
    return made


def _backends_needed(known: Facts, found: ReadRows) -> frozenset[BackendName]:
    """Return the backends on which runs that need no node wait or hold a place."""
    waiting = (run.shape.constraints.backend for run in found.runs.values())
    holding = (place.queued.shape.constraints.backend for place in known.holding)
    return frozenset(backend for backend in (*waiting, *holding) if backend is not None)


def claims_waiting(conn: Connection, pool: PoolName) -> set[str]:
    """Return the locks of the owners and names about which the next pass decides; none if there is one pool only."""
    rows = conn.execute(_CLAIMS, {"pool": pool, "shapes": SHAPES}).all()
    owners = {owner for row in rows for owner in (row.user_id, row.team_id) if owner is not None}
    return {owner_claim(owner) for owner in owners} | {name_claim(name) for row in rows for name in row.exclusive}


def _limits(row: Row[Any]) -> PoolSettings:
    return PoolSettings(
        ceiling=Ceiling(
            runs=row.max_concurrent_tests,
            cpu_milli=row.max_cpu_milli,
            memory_bytes=row.max_memory_bytes,
            ephemeral_bytes=row.max_ephemeral_bytes,
            gpu=row.max_gpu,
        ),
        ageing_limit=timedelta(seconds=row.ageing_limit_seconds),
        strategy=Strategy(row.strategy),
        backfill_after=timedelta(seconds=row.backfill_after_seconds),
        half_life=timedelta(seconds=row.half_life_seconds),
        interval=min(timedelta(seconds=row.scheduling_interval_seconds), ANNOTATE_EVERY),
        preemption=row.preemption,
        min_runtime=timedelta(seconds=row.min_runtime_seconds),
        default_selector=tuple(sorted(row.default_node_selector.items())),
        spot=row.enable_spot_instances,
        target_utilisation=row.target_node_utilization,
        profile=PROFILES.get(row.profile, DEFAULT_PROFILE),
        candidates=row.candidates,
    )
