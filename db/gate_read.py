"""What a pass reads, under the pool's lock: never the whole queue, however deep it is.

Of each shape the first few rows (by a loose scan of idx_queue_shape, shapes of high priority first), and the oldest
rows that are aged; where there is no place, only the newest, to tell them so. Once a second also the first rows of the
order, to write their positions. Each part has the first rows of every shape that it has rows of: nobody is passed by a
later run of the same shape because only that one was read.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from db import nodes
from db.errors import NotFoundError
from db.gate_rows import COLUMNS, Noted, noted, queued, running
from model.ids import ExecutionId, PoolName
from scheduler.limits import owners_of
from scheduler.node import Node
from scheduler.pool import Ceiling, Limits, Owner, Strategy
from scheduler.run import Queued, Running
from scheduler.state import State

SHAPES = 500
"""Different shapes that one pass looks at."""
ROWS = 128
"""Rows to read of all shapes together, at least one of each: of those that start, the next round reads more."""
UNLIMITED = 10_000
"""Runs that may start in one round where the pool has no limit of its own."""
OLDEST = 100
NEWEST = 16
FRONT = 200
"""Rows whose position is written."""
ANNOTATE_EVERY = timedelta(seconds=1)
UNCLAIMED = timedelta(seconds=60)
"""After this an admitted run that no worker took up gives its place back."""

_POOL = text("""
SELECT p.*, clock_timestamp() AS now, (SELECT count(*) > 1 FROM pools) AS several,
    (SELECT count(*) FROM workers w
     WHERE w.pool = p.name AND NOT w.draining AND w.expires_at > clock_timestamp()) AS workers
FROM pools p WHERE p.name = :pool
""")
_ADMITTED = text("""
SELECT q.execution_id, q.user_id, q.team_id, q.cpu_milli, q.memory_bytes, q.ephemeral_bytes, q.gpu, q.node,
    l.execution_id IS NULL AND q.admitted_at < clock_timestamp() - :unclaimed AS lost
FROM queue q LEFT JOIN leases l ON l.execution_id = q.execution_id
WHERE q.pool = :pool AND q.state = 'admitted'
""")
_STARTABLE = "pool = :pool AND state = 'waiting' AND (not_before IS NULL OR not_before <= :now)"
_SHAPES = """
WITH RECURSIVE shapes AS (
    (SELECT priority, shape FROM queue WHERE pool = :pool AND state = 'waiting' ORDER BY priority, shape LIMIT 1)
    UNION ALL
    SELECT next.priority, next.shape FROM shapes CROSS JOIN LATERAL (
        SELECT q.priority, q.shape FROM queue q
        WHERE q.pool = :pool AND q.state = 'waiting' AND (q.priority, q.shape) > (shapes.priority, shapes.shape)
        ORDER BY q.priority, q.shape LIMIT 1
    ) AS next
)
"""
"""Each step jumps to the next shape by the index; the LIMIT of the reader ends the jumping."""

_HEADS = text(f"""{_SHAPES}, found AS MATERIALIZED (SELECT * FROM shapes LIMIT :shapes)
SELECT first.*, least(:room, :rows / (SELECT count(*) FROM found) + 1) AS most
FROM found AS s CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM queue
    WHERE {_STARTABLE} AND priority = s.priority AND shape = s.shape
    ORDER BY seq LIMIT (SELECT least(:room, :rows / count(*) + 1) FROM found)
) AS first
""")  # noqa: S608  only our own text
_OWNERS = text(f"""{_SHAPES}
SELECT DISTINCT first.user_id, first.team_id FROM (SELECT * FROM shapes LIMIT :shapes) AS s CROSS JOIN LATERAL (
    SELECT user_id, team_id FROM queue
    WHERE pool = :pool AND state = 'waiting' AND priority = s.priority AND shape = s.shape LIMIT 1
) AS first WHERE (SELECT count(*) > 1 FROM pools)
""")  # noqa: S608
_AGED = text(f"""
SELECT * FROM (SELECT {COLUMNS} FROM queue WHERE {_STARTABLE} ORDER BY seq LIMIT :oldest) AS o
WHERE enqueued_at <= :since
""")  # noqa: S608
_NEW = text(f"""
SELECT * FROM (SELECT {COLUMNS} FROM queue WHERE {_STARTABLE} ORDER BY seq DESC LIMIT :newest) AS n WHERE reason = ''
""")  # noqa: S608
_FRONT = text(f"""
(SELECT {COLUMNS} FROM queue WHERE {_STARTABLE} ORDER BY seq LIMIT :front)
UNION ALL
(SELECT {COLUMNS} FROM queue WHERE {_STARTABLE} ORDER BY priority, seq LIMIT :front)
""")  # noqa: S608
"""The first rows of any order are among these: aged runs are the oldest, the others come by priority."""

_PEOPLE = text("""
SELECT user_id AS id, username AS name, quota ->> 'max_concurrent_tests' AS most,
    CASE WHEN :several THEN (SELECT count(*) FROM queue q
        WHERE q.state = 'admitted' AND q.pool <> :pool AND q.user_id = u.user_id) ELSE 0 END AS elsewhere
FROM users u WHERE user_id = ANY(CAST(:users AS uuid[]))
UNION ALL
SELECT team_id, team_name, quota ->> 'max_concurrent_tests',
    CASE WHEN :several THEN (SELECT count(*) FROM queue q
        WHERE q.state = 'admitted' AND q.pool <> :pool AND q.team_id = t.team_id) ELSE 0 END
FROM teams t WHERE team_id = ANY(CAST(:teams AS uuid[]))
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A pool as it stands: its settings, who is alive, who holds a place. `annotate`: reasons are due to be written."""

    pool: PoolName
    now: datetime
    limits: Limits
    workers: int
    several: bool
    annotate: bool
    holding: tuple[Running, ...]
    lost: tuple[ExecutionId, ...]

    @property
    def room(self) -> int:
        """How many may start at most."""
        most = self.limits.ceiling.runs
        free = UNLIMITED if most is None else max(0, most - len(self.holding))
        return free if self.workers else 0


@dataclass(slots=True, kw_only=True)
class Waiting:
    """The rows that a pass looks at, and what was last written about them."""

    runs: dict[ExecutionId, Queued] = field(default_factory=dict)
    notes: dict[ExecutionId, Noted] = field(default_factory=dict)
    cut: list[list[ExecutionId]] = field(default_factory=list)
    """Of each shape of which there may be more, the runs that were read."""

    def add(self, rows: Iterable[Row[Any]]) -> None:
        """Add rows; the same row again changes nothing."""
        for row in rows:
            if row.execution_id not in self.runs:
                run = queued(row)
                self.runs[run.execution_id] = run
                self.notes[run.execution_id] = noted(row)

    def add_heads(self, rows: Sequence[Row[Any]]) -> None:
        """Add the first rows of each shape."""
        self.add(rows)
        shapes: dict[tuple[int, int], list[ExecutionId]] = {}
        for row in rows:
            shapes.setdefault((row.priority, row.shape), []).append(row.execution_id)
        self.cut = [runs for runs in shapes.values() if len(runs) == rows[0].most]

    def more(self, started: Collection[ExecutionId]) -> bool:
        """Return whether all that was read of some shape has started, so that there may be more to start."""
        return any(all(run in started for run in runs) for runs in self.cut)

    def keep(self, wanted: Callable[[Queued], bool]) -> None:
        """Leave out what this pass may not decide."""
        self.runs = {key: run for key, run in self.runs.items() if wanted(run)}

    def owners(self) -> set[UUID]:
        """Return the users and teams whose limits matter."""
        return {owner for run in self.runs.values() for owner in owners_of(run)}


def facts(conn: Connection, pool: PoolName) -> Facts:
    """Read what a pool has and who holds it. Raises: NotFoundError."""
    row = conn.execute(_POOL, {"pool": pool}).one_or_none()
    if row is None:
        raise NotFoundError("pool", pool)
    admitted = conn.execute(_ADMITTED, {"pool": pool, "unclaimed": UNCLAIMED}).all()
    return Facts(
        pool=pool,
        now=row.now,
        limits=_limits(row),
        workers=row.workers,
        several=row.several,
        annotate=row.annotated_at is None or not timedelta() <= row.now - row.annotated_at < ANNOTATE_EVERY,
        holding=tuple(running(place) for place in admitted),
        lost=tuple(ExecutionId(place.execution_id) for place in admitted if place.lost),
    )


def waiting(conn: Connection, known: Facts) -> Waiting:
    """Read the rows that this pass may start, or has something to say about."""
    found = Waiting()
    here = {"pool": known.pool, "now": known.now}
    if known.room:
        found.add_heads(conn.execute(_HEADS, {**here, "shapes": SHAPES, "room": known.room, "rows": ROWS}).all())
        since = known.now - known.limits.ageing_limit
        found.add(conn.execute(_AGED, {**here, "since": since, "oldest": OLDEST}))
    else:
        found.add(conn.execute(_NEW, {**here, "newest": NEWEST}))
    if known.annotate:
        found.add(conn.execute(_FRONT, {**here, "front": FRONT}))
    return found


def state(conn: Connection, known: Facts, found: Waiting) -> State:
    """Build what the plan is made from."""
    seen: Sequence[Node] = nodes.read(conn, known.pool) if known.room else ()
    made = State(limits=known.limits, nodes=seen, owners=_people(conn, known, found), workers=known.workers)
    for place in known.holding:
        made.start(place)
    for run in found.runs.values():
        made.enqueue(run)
    return made


def owners_waiting(conn: Connection, pool: PoolName) -> set[UUID]:
    """Return whose limits the next pass will look at; nobody's while there is one pool only."""
    rows = conn.execute(_OWNERS, {"pool": pool, "shapes": SHAPES}).all()
    return {owner for row in rows for owner in (row.user_id, row.team_id) if owner is not None}


def _people(conn: Connection, known: Facts, found: Waiting) -> dict[UUID, Owner]:
    users = {run.user_id for run in found.runs.values()}
    teams = {run.team_id for run in found.runs.values() if run.team_id is not None}
    if not users:
        return {}
    asked = {"pool": known.pool, "several": known.several, "users": list(users), "teams": list(teams)}
    return {row.id: _owner(row) for row in conn.execute(_PEOPLE, asked)}


def _owner(row: Row[Any]) -> Owner:
    ceiling = Ceiling(runs=None if row.most is None else int(row.most))
    return Owner(name=row.name, ceiling=ceiling, elsewhere_runs=row.elsewhere)


def _limits(row: Row[Any]) -> Limits:
    return Limits(
        ceiling=Ceiling(runs=row.max_concurrent_tests),
        ageing_limit=timedelta(seconds=row.ageing_limit_seconds),
        strategy=Strategy(row.strategy),
        default_selector=tuple(sorted(row.default_node_selector.items())),
        spot=row.enable_spot_instances,
        target_utilisation=row.target_node_utilization,
    )
