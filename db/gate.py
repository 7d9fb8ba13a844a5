"""The gate: a durable queue with places, leaderless. Whoever changes something makes a pass, for everybody.

    enqueue -> waiting -> (pass) -> admitted -> (leases.claim) carried -> release, or requeue -> waiting

A run keeps its `seq`, its place in the order of arrival, however often it goes back to wait. Which run starts is
decided by `scheduler.plan`; here are the rows. `run_pass` belongs into a transaction of its own, after the change that
it shall see was committed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from db import gate_locks, gate_read, gate_write
from db.gate_read import Facts
from db.gate_rows import constraints_of, constraints_text, shape_digest
from db.gate_write import Admitted
from model.config import Affinity, Toleration
from model.ids import ExecutionId, NodeName, PoolName, TeamId, UserId, WorkerId
from model.resources import Resources
from scheduler.limits import owners_of
from scheduler.plan import Admit, Wait, backoff, plan
from scheduler.reasons import NO_WORKER
from scheduler.run import Constraints, Shape

ROUNDS = 20
"""A pass that starts very many goes on in rounds; what is left after these is for the next pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A run that shall wait for a place, and what it needs."""

    execution_id: ExecutionId
    pool: PoolName
    priority: int
    enqueued_at: datetime
    user_id: UserId
    team_id: TeamId | None
    resources: Resources
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    affinity: Affinity = field(default_factory=Affinity)

    @property
    def shape(self) -> Shape:
        """What placement looks at."""
        selector = tuple(sorted(self.node_selector.items()))
        constraints = Constraints(node_selector=selector, tolerations=self.tolerations, affinity=self.affinity)
        return Shape(self.resources, constraints)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOutcome:
    """What a pass did."""

    admitted: tuple[Admitted, ...]
    given_back: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a waiting run stands. A run in backoff has no position; `total` is None where nobody counted it."""

    position: int | None
    total: int | None
    reason: str

    @property
    def ahead(self) -> int:
        """How many start before it, as things stand."""
        return 0 if self.position is None else self.position - 1

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        place = "" if self.position is None else f"position {self.position}{of}"
        return "; ".join(filter(None, (place, self.reason)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A waiting run, for people."""

    execution_id: ExecutionId
    name: str
    username: str
    priority: int
    enqueued_at: datetime
    position: int | None
    reason: str
    not_before: datetime | None = None


_ENQUEUE = text("""
INSERT INTO queue (execution_id, pool, priority, enqueued_at, user_id, team_id, cpu_milli, memory_bytes,
    ephemeral_bytes, gpu, constraints, shape)
VALUES (:execution_id, :pool, :priority,
    greatest(least(:enqueued_at, clock_timestamp()), clock_timestamp() - interval '1 minute'),
    :user_id, :team_id, :cpu_milli, :memory_bytes, :ephemeral_bytes, :gpu, CAST(:constraints AS jsonb), :shape)
ON CONFLICT (execution_id) DO NOTHING
""")
"""Ageing goes by the database's clock: that of the submitter is believed a minute back, and never ahead."""

_MINE = """
WITH mine AS (
    SELECT execution_id FROM test_executions WHERE execution_id = :execution_id FOR NO KEY UPDATE
)
"""
"""The execution's row is locked before the queue's, by everybody."""

_RELEASE = text(f"""{_MINE}
DELETE FROM queue q USING mine WHERE q.execution_id = mine.execution_id AND q.epoch = :epoch
""")  # noqa: S608  only our own text
_WITHDRAW = text(f"""{_MINE}
DELETE FROM queue q USING mine, test_executions e
WHERE q.execution_id = mine.execution_id AND e.execution_id = mine.execution_id AND e.status <> 'running'
""")  # noqa: S608
_LOCK = text("SELECT 1 FROM test_executions WHERE execution_id = :execution_id FOR NO KEY UPDATE")
_HELD = text("""
SELECT priority, user_id, team_id, cpu_milli, memory_bytes, ephemeral_bytes, gpu,
    CAST(constraints AS text) AS constraints
FROM queue WHERE execution_id = :execution_id AND epoch = :epoch AND state = 'admitted' FOR UPDATE
""")
_REQUEUE = text("""
WITH let_go AS (DELETE FROM leases WHERE execution_id = :execution_id)
UPDATE queue SET state = 'waiting', node = NULL, admitted_at = NULL, nominated = NULL, position = NULL,
    decision = NULL, not_before = :not_before, reason = :reason, constraints = CAST(:constraints AS jsonb),
    shape = :shape
WHERE execution_id = :execution_id
""")
_BACK = text("""
UPDATE test_executions SET phase = 'waiting'
WHERE execution_id = :execution_id AND status = 'queued' AND phase = 'admitted'
""")
"""A run that never started; one that ran is in backoff by now."""

_HOSTED = text("SELECT EXISTS (SELECT FROM queue WHERE execution_id = :execution_id AND host = :worker)")
_HOST = text("UPDATE queue SET host = :worker WHERE execution_id = :execution_id")

_TOLD = """coalesce(nullif(q.reason, ''), (
    SELECT first.reason FROM queue first
    WHERE first.pool = q.pool AND first.state = 'waiting' AND first.priority = q.priority AND first.shape = q.shape
    ORDER BY first.seq LIMIT 1
))"""
"""Runs of one shape wait for one reason: where a pass did not reach, that of the first one holds."""

_REASON = text(f"""
SELECT {_TOLD} FROM queue q WHERE q.execution_id = :execution_id AND q.state = 'waiting'
""")  # noqa: S608
_ME = f"""
WITH me AS (
    SELECT q.pool, q.seq, q.priority, q.enqueued_at, q.not_before, {_TOLD} AS reason,
        p.ageing_limit_seconds, p.strategy = 'FIFO' AS fifo, clock_timestamp() AS now,
        clock_timestamp() - make_interval(secs => p.ageing_limit_seconds) AS since,
        EXISTS (SELECT FROM workers w
            WHERE w.pool = q.pool AND NOT w.draining AND w.expires_at > clock_timestamp()) AS alive
    FROM queue q JOIN pools p ON p.name = q.pool WHERE q.execution_id = :execution_id AND q.state = 'waiting'
)
SELECT me.reason, me.alive, me.not_before IS NOT NULL AND me.not_before > me.now AS resting,
"""  # noqa: S608
_POSITION = text(f"""{_ME}
    count(q.execution_id) AS total,
    count(*) FILTER (WHERE CASE
        WHEN me.fifo THEN q.seq < me.seq
        WHEN me.enqueued_at <= me.since THEN q.enqueued_at <= me.since AND q.seq < me.seq
        ELSE q.enqueued_at <= me.since OR (q.priority, q.seq) < (me.priority, me.seq)
    END) AS ahead
FROM me LEFT JOIN queue q ON q.pool = me.pool AND q.state = 'waiting'
    AND (q.not_before IS NULL OR q.not_before <= me.now)
GROUP BY me.reason, me.alive, me.not_before, me.now
""")
_READY = "q.pool = me.pool AND q.state = 'waiting' AND (q.not_before IS NULL OR q.not_before <= me.now)"
_NEAR = text(f"""{_ME}
    NULL AS total,
    CASE
        WHEN me.fifo OR me.enqueued_at <= me.since THEN (SELECT count(*) FROM (
            SELECT FROM queue q WHERE {_READY} AND q.seq < me.seq AND (me.fifo OR q.enqueued_at <= me.since)
            LIMIT :most) AS before)
        WHEN aged.number = :most THEN :most
        ELSE aged.number + (SELECT count(*) FROM (
            SELECT FROM queue q
            WHERE {_READY} AND q.enqueued_at > me.since AND (q.priority, q.seq) < (me.priority, me.seq)
            LIMIT :most) AS before)
    END AS ahead
FROM me CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE oldest.enqueued_at <= me.since) AS number
    FROM (SELECT q.enqueued_at FROM queue q WHERE {_READY} ORDER BY q.seq LIMIT :most) AS oldest
) AS aged
""")  # noqa: S608
"""As `_POSITION`, but it stops counting at `most`. Who is aged is among the oldest arrivals."""
_LIST = text(f"""
WITH ordered AS (
    SELECT q.execution_id, q.pool, q.priority, q.shape, q.seq, q.enqueued_at, q.not_before, q.reason,
        q.not_before IS NOT NULL AND q.not_before > clock_timestamp() AS resting,
        CASE WHEN p.strategy = 'FIFO'
            OR q.enqueued_at <= clock_timestamp() - make_interval(secs => p.ageing_limit_seconds)
            THEN -1 ELSE q.priority END AS class
    FROM queue q JOIN pools p ON p.name = q.pool WHERE q.pool = :pool AND q.state = 'waiting'
    ORDER BY resting, class, seq LIMIT :limit OFFSET :offset
)
SELECT q.execution_id, q.priority, q.enqueued_at, q.not_before, q.resting, {_TOLD} AS reason, d.name, u.username
FROM ordered q
JOIN test_executions e ON e.execution_id = q.execution_id
JOIN test_definitions d ON d.id = e.definition_id
JOIN users u ON u.user_id = e.submitted_by
ORDER BY q.resting, q.class, q.seq
""")  # noqa: S608
_COUNT = text("SELECT count(*) FROM queue WHERE pool = :pool AND state = 'waiting'")


def enqueue(conn: Connection, run: Waiting) -> bool:
    """Let a run wait. False when it does, or has a place, already. Nobody is told: the next pass sees it."""
    shape, r = run.shape, run.resources
    values = {
        "execution_id": run.execution_id,
        "pool": run.pool,
        "priority": run.priority,
        "enqueued_at": run.enqueued_at,
        "user_id": run.user_id,
        "team_id": run.team_id,
        "cpu_milli": r.cpu_milli,
        "memory_bytes": r.memory_bytes,
        "ephemeral_bytes": r.ephemeral_bytes,
        "gpu": r.gpu,
        "constraints": constraints_text(shape.constraints),
        "shape": shape_digest((run.user_id, run.team_id), shape),
    }
    return conn.execute(_ENQUEUE, values).rowcount == 1


def run_pass(conn: Connection, pool: PoolName, *, blocking: bool = False) -> PassOutcome | None:
    """Admit whoever may start now, write why the others wait, and tell the workers once.

    None when another pass does it: if `blocking`, one that will read everything that was committed before this call;
    else whichever is under way. Raises: NotFoundError if there is no such pool.
    """
    if blocking:
        locked = gate_locks.wait_pass(conn, pool, lambda: gate_read.owners_waiting(conn, pool))
    else:
        locked = gate_locks.try_pass(conn, pool)
    if not locked:
        return None
    admitted: list[Admitted] = []
    given_back = 0
    for _ in range(ROUNDS):
        known = gate_read.facts(conn, pool)
        if known.lost:
            given_back += gate_write.give_back(conn, known.lost)
            known = gate_read.facts(conn, pool)
        started, more = _decide(conn, known)
        admitted += started
        if not more or len(started) >= known.room:
            break
    gate_write.tell(conn, admitted)
    return PassOutcome(admitted=tuple(admitted), given_back=given_back)


def _decide(conn: Connection, known: Facts) -> tuple[list[Admitted], bool]:
    """Read, plan and write once; return who started, and whether there may be more."""
    found = gate_read.waiting(conn, known)
    if known.several:
        ours = gate_locks.try_owners(conn, found.owners())
        found.keep(lambda run: ours.issuperset(owners_of(run)))
    decisions = plan(gate_read.state(conn, known, found), known.now)
    started = gate_write.admit(conn, [d for d in decisions if isinstance(d, Admit)], known.now)
    gate_write.explain(conn, [d for d in decisions if isinstance(d, Wait)], known, found)
    return started, found.more({run.execution_id for run in started})


def release(conn: Connection, execution_id: ExecutionId, epoch: int) -> bool:
    """Free the place of a run that has ended. False when it was not held under this epoch any more."""
    return conn.execute(_RELEASE, {"execution_id": execution_id, "epoch": epoch}).rowcount == 1


def requeue(
    conn: Connection,
    execution_id: ExecutionId,
    epoch: int,
    not_before: datetime | None,
    avoid_node: NodeName | None = None,
) -> bool:
    """Free the place of a run that shall be tried again, in its old place of the queue, but not before a time.

    False when the place was not held under this epoch any more.
    """
    conn.execute(_LOCK, {"execution_id": execution_id})
    row = conn.execute(_HELD, {"execution_id": execution_id, "epoch": epoch}).one_or_none()
    if row is None:
        return False
    shape = _avoiding(row, avoid_node)
    conn.execute(
        _REQUEUE,
        {
            "execution_id": execution_id,
            "not_before": not_before,
            "reason": str(backoff(not_before)) if not_before else "",
            "constraints": constraints_text(shape.constraints),
            "shape": shape_digest((row.user_id, row.team_id), shape),
        },
    )
    conn.execute(_BACK, {"execution_id": execution_id})
    return True


def withdraw(conn: Connection, execution_id: ExecutionId) -> bool:
    """Take a run that was cancelled before it ran out of the queue, whether it waits or was just admitted."""
    return conn.execute(_WITHDRAW, {"execution_id": execution_id}).rowcount == 1


def host(conn: Connection, execution_id: ExecutionId, worker: WorkerId) -> None:
    """Note that a run's flow waits in a worker already: while that lives, it has the first right to carry the run."""
    conn.execute(_LOCK, {"execution_id": execution_id})
    conn.execute(_HOST, {"execution_id": execution_id, "worker": worker})


def hosted_by(conn: Connection, execution_id: ExecutionId, worker: WorkerId) -> bool:
    """Return whether a run is queued and its flow waits in this worker."""
    return bool(conn.execute(_HOSTED, {"execution_id": execution_id, "worker": worker}).scalar_one())


def reason(conn: Connection, execution_id: ExecutionId) -> str | None:
    """Return what the last pass said of a waiting run, None if it does not wait. Costs one row: for those who poll."""
    found: str | None = conn.execute(_REASON, {"execution_id": execution_id}).scalar_one_or_none()
    return found


def position(conn: Connection, execution_id: ExecutionId) -> Position | None:
    """Return where a run stands, counted now; None if it does not wait. Costs the depth of the queue."""
    row = conn.execute(_POSITION, {"execution_id": execution_id}).one_or_none()
    return None if row is None else _position(row)


def near(conn: Connection, execution_id: ExecutionId, most: int) -> Position | None:
    """Return where a run stands, without a position from the one after `most` on. However deep the queue is."""
    row = conn.execute(_NEAR, {"execution_id": execution_id, "most": most}).one_or_none()
    return None if row is None else _position(row, most)


def queue(conn: Connection, pool: PoolName, limit: int = 50, offset: int = 0) -> tuple[list[Entry], int]:
    """Return a page of the waiting runs in order, those in backoff last, and how many wait in all."""
    rows = conn.execute(_LIST, {"pool": pool, "limit": limit, "offset": offset}).all()
    entries = [_entry(row, offset + number) for number, row in enumerate(rows, start=1)]
    return entries, conn.execute(_COUNT, {"pool": pool}).scalar_one()


def _avoiding(row: Row[Any], node: NodeName | None) -> Shape:
    constraints = constraints_of(row.constraints)
    if node is not None:
        constraints = Constraints(
            node_selector=constraints.node_selector,
            tolerations=constraints.tolerations,
            affinity=constraints.affinity,
            avoid=constraints.avoid | {node},
        )
    amounts = Resources(
        cpu_milli=row.cpu_milli, memory_bytes=row.memory_bytes, ephemeral_bytes=row.ephemeral_bytes, gpu=row.gpu
    )
    return Shape(amounts, constraints)


def _position(row: Row[Any], most: int | None = None) -> Position:
    far = most is not None and row.ahead >= most
    return Position(
        position=None if row.resting or far else row.ahead + 1,
        total=row.total,
        reason=row.reason if row.alive or row.resting else str(NO_WORKER),
    )


def _entry(row: Row[Any], place: int) -> Entry:
    return Entry(
        execution_id=ExecutionId(row.execution_id),
        name=row.name,
        username=row.username,
        priority=row.priority,
        enqueued_at=row.enqueued_at,
        position=None if row.resting else place,
        reason=row.reason,
        not_before=row.not_before,
    )
