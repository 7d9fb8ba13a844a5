"""Write the queue: let runs wait, free their places, send them back. Whoever changes something makes a pass.

    enqueue -> waiting -> (pass) -> admitted -> (leases.claim) carried -> release, or requeue -> waiting

A run keeps its `seq`, its place in the order of arrival, however often it goes back to wait. Which run starts is
decided by `scheduler.admission.plan`, and a pass is made by `orchestrator.admission`. This module writes the rows.
`queue_position` reads where a run stands, and `decisions` reads why it waited.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from db.gate import decision_records
from db.gate.decision_records import Returned, Withdrawn
from db.gate.queue_rows import Kind, constraints_text, labels_of, labels_text, shape_digest, shape_of
from db.locks import Lock, lock_key
from db.prepared import Prepared
from db.sql_text import statement
from model.config import Affinity, Toleration
from model.execution import Cause
from model.ids import BackendName, ExecutionId, GroupId, NodeName, PoolName, TeamId, UserId, WorkerId
from model.resources import Resources
from scheduler.values.reasons import backoff
from scheduler.values.run import HOUR, Apart, Constraints, Shape, Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A run that is to wait for a place, and what it needs."""

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
    apart: tuple[Apart, ...] = ()
    spread: tuple[Spread, ...] = ()
    backend: BackendName | None = None
    """It needs no node, only this backend (`scheduler.values.node.NO_BACKEND`: none)."""
    labels: Mapping[str, str] = field(default_factory=dict)
    exclusive: tuple[str, ...] = ()
    group: GroupId | None = None
    limit: timedelta = HOUR
    expected: timedelta | None = None
    restartable: bool = False
    host: WorkerId | None = None
    """The worker in which its flow waits already."""

    @property
    def kind(self) -> Kind:
        """All by which it is decided, but for priority and arrival."""
        constraints = Constraints(
            node_selector=tuple(sorted(self.node_selector.items())),
            tolerations=self.tolerations,
            affinity=self.affinity,
            apart=self.apart,
            spread=self.spread,
            backend=self.backend,
        )
        return Kind(
            user_id=self.user_id,
            team_id=self.team_id,
            shape=Shape(self.resources, constraints),
            labels=tuple(sorted(self.labels.items())),
            exclusive=tuple(sorted(set(self.exclusive))),
            group=self.group,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeue:
    """How a run goes back to wait: the least delay, the cause (None if it never began), and the nodes to avoid.

    The database's clock says when a `delay` is over, as for all times of the gate. None: the run may start at once.
    """

    delay: timedelta | None = None
    cause: Cause | None = None
    avoid: frozenset[NodeName] = frozenset()
    exclusive: tuple[str, ...] | None = None
    """What it claims from now on. None: what it claimed before."""


_ENQUEUE = Prepared("""
WITH entering AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(:enter, key) FROM unnest(CAST(:keys AS int[])) AS key
)
INSERT INTO queue (execution_id, pool, priority, enqueued_at, host, user_id, team_id, cpu_milli, memory_bytes,
    ephemeral_bytes, gpu, constraints, shape, labels, exclusive, group_id, limit_seconds, expected_seconds, restartable)
SELECT r.execution_id, r.pool, r.priority,
    greatest(least(r.enqueued_at, clock_timestamp()), clock_timestamp() - interval '1 minute'), r.host,
    r.user_id, r.team_id, r.cpu_milli, r.memory_bytes, r.ephemeral_bytes, r.gpu, CAST(r.constraints AS jsonb), r.shape,
    CAST(r.labels AS jsonb), r.exclusive, r.group_id, r.limit_seconds, r.expected_seconds, r.restartable
FROM jsonb_to_recordset(CAST(:runs AS jsonb)) AS r(
    execution_id uuid, pool text, priority int, enqueued_at timestamptz, host text, user_id uuid, team_id uuid,
    cpu_milli bigint, memory_bytes bigint, ephemeral_bytes bigint, gpu int, constraints text, shape bigint, labels text,
    exclusive text[], group_id uuid, limit_seconds float, expected_seconds float, restartable bool)
WHERE (SELECT count(*) FROM entering) > 0
ON CONFLICT (execution_id) DO NOTHING
RETURNING execution_id
""")
"""Ageing goes by the database's clock: that of the submitter is believed a minute back, and never ahead. The number of
arrival is drawn after the lock is held (queue_watermarks)."""

_MINE = """
WITH mine AS (
    SELECT id AS execution_id FROM runs WHERE id = :execution_id FOR NO KEY UPDATE
)
"""
"""The run's row is locked before the queue's, by everybody."""

_RELEASE = Prepared("""
WITH given AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS int[])) AS g (execution_id, epoch)
), mine AS (
    SELECT r.id AS execution_id, given.epoch FROM runs r JOIN given ON given.execution_id = r.id
    ORDER BY r.id FOR NO KEY UPDATE OF r
)
DELETE FROM queue q USING mine WHERE q.execution_id = mine.execution_id AND q.epoch = mine.epoch
RETURNING q.execution_id
""")
_WITHDRAW = statement(
    """$mine, gone AS (
    DELETE FROM queue q USING mine, runs r
    WHERE q.execution_id = mine.execution_id AND r.id = mine.execution_id AND r.status <> 'running'
    RETURNING q.execution_id, q.record_count, q.epoch
)
INSERT INTO decisions (execution_id, number, at, epoch, record)
SELECT execution_id, record_count + 1, clock_timestamp(), epoch, CAST(:record AS jsonb) FROM gone
""",
    mine=_MINE,
)
_LOCK = statement("SELECT 1 FROM runs WHERE id = :execution_id FOR NO KEY UPDATE")
_HELD = statement("""
SELECT user_id, team_id, cpu_milli, memory_bytes, ephemeral_bytes, gpu, exclusive,
    CAST(constraints AS text) AS constraints, CAST(labels AS text) AS labels,
    clock_timestamp() + CAST(:delay AS interval) AS not_before
FROM queue WHERE execution_id = :execution_id AND epoch = :epoch AND state = 'admitted' FOR UPDATE
""")
_REQUEUE = statement("""
WITH let_go AS (DELETE FROM leases WHERE execution_id = :execution_id), back AS (
    UPDATE queue SET state = 'waiting', node = NULL, candidates = '{}', backend = NULL, admitted_at = NULL,
        began_at = NULL, nominated = NULL, position = NULL, record_digest = NULL, record_count = record_count + 1,
        not_before = :not_before, reason = :reason, group_id = NULL, guarded = false,
        preempted_for = NULL, preempted_at = NULL, constraints = CAST(:constraints AS jsonb), shape = :shape,
        exclusive = :exclusive
    WHERE execution_id = :execution_id
    RETURNING execution_id, record_count, epoch
)
INSERT INTO decisions (execution_id, number, at, epoch, record)
SELECT execution_id, record_count, clock_timestamp(), epoch, CAST(:record AS jsonb) FROM back
""")
_BACK = statement("""
UPDATE runs SET phase = 'waiting'
WHERE id = :execution_id AND status = 'queued' AND phase = 'admitted'
""")
"""A run that never started; one that ran is in backoff by now."""

_HOSTED = statement("""
SELECT EXISTS (
    SELECT FROM queue
    WHERE execution_id = :execution_id AND host = :worker
        AND (state = 'waiting' OR backend = ANY(CAST(:serves AS text[])))
)
""")
_ELSEWHERE = statement("""
SELECT EXISTS (
    SELECT FROM queue
    WHERE execution_id = :execution_id AND state = 'admitted' AND backend <> ALL(CAST(:serves AS text[]))
)
""")
_REQUESTED = statement(
    "SELECT cpu_milli, memory_bytes, ephemeral_bytes, gpu FROM queue WHERE execution_id = :execution_id"
)
_LIMIT = statement("SELECT limit_seconds FROM queue WHERE execution_id = :execution_id")
_WITH_GROUP = """
state = 'waiting' AND (execution_id = :execution_id
    OR group_id = (SELECT group_id FROM queue WHERE execution_id = :execution_id))
"""
_HOLD_UNTIL = statement("UPDATE queue SET not_before = :at, reason = :reason WHERE $mine", mine=_WITH_GROUP)
_LET_GO = statement("UPDATE queue SET not_before = NULL, reason = '' WHERE $mine", mine=_WITH_GROUP)
_HOST = statement("UPDATE queue SET host = :worker WHERE execution_id = :execution_id")
_GUARD = statement("""
UPDATE queue SET guarded = :on
WHERE execution_id = :execution_id AND epoch = :epoch AND state = 'admitted' AND (NOT :on OR preempted_for IS NULL)
""")
_MOVE = statement("""
WITH mine AS (
    SELECT id AS execution_id FROM runs WHERE id = :execution_id AND epoch = :epoch FOR NO KEY UPDATE
), moved AS (
    UPDATE queue q SET node = :node FROM mine
    WHERE q.execution_id = mine.execution_id AND q.epoch = :epoch AND q.state = 'admitted'
        AND :node = ANY(q.candidates) AND q.node <> :node
    RETURNING q.execution_id
), shown AS (
    UPDATE runs r SET node_name = :node FROM moved WHERE r.id = moved.execution_id
), attempted AS (
    UPDATE test_attempts a SET node = :node FROM moved WHERE a.execution_id = moved.execution_id AND a.ended_at IS NULL
)
SELECT execution_id FROM moved
""")
_FENCE_OFF = statement("""
WITH placed AS (
    UPDATE queue SET epoch = epoch + 1 WHERE execution_id = :execution_id AND state = 'admitted'
    RETURNING execution_id, epoch
)
UPDATE runs r SET epoch = placed.epoch FROM placed WHERE r.id = placed.execution_id
RETURNING r.epoch
""")
_PREEMPTED = statement("""
SELECT preempted_for FROM queue WHERE execution_id = :execution_id AND epoch = :epoch AND state = 'admitted'
""")


def enqueue(conn: Connection, run: Waiting) -> bool:
    """Let a run wait. Return False if it waits or has a place already. Sends no notice: the next pass reads the row."""
    return bool(enqueue_many(conn, [run]))


def enqueue_many(conn: Connection, runs: Sequence[Waiting]) -> set[ExecutionId]:
    """Let runs wait, in this order of arrival. Return those that neither waited nor had a place before."""
    keys = sorted({lock_key(run.pool) for run in runs})
    values = {"enter": Lock.ENTER, "keys": keys, "runs": json.dumps([_waiting_row(run) for run in runs])}
    return {ExecutionId(row.execution_id) for row in _ENQUEUE.execute(conn, values)}


def release(conn: Connection, execution_id: ExecutionId, epoch: int) -> bool:
    """Free the place of a run that has ended. Return False if the run did not hold it under this epoch any more."""
    return bool(release_many(conn, [(execution_id, epoch)]))


def release_many(conn: Connection, places: Sequence[tuple[ExecutionId, int]]) -> set[ExecutionId]:
    """Free the places of runs that have ended, each under its epoch. Return the runs that still held theirs."""
    values = {"ids": [run for run, _ in places], "epochs": [epoch for _, epoch in places]}
    return {ExecutionId(row.execution_id) for row in _RELEASE.execute(conn, values)}


def requeue(conn: Connection, execution_id: ExecutionId, epoch: int, back: Requeue) -> bool:
    """Free the place of a run and let it wait again with its old key. It leaves its group.

    Return False if the run did not hold the place under this epoch any more.
    """
    conn.execute(_LOCK, {"execution_id": execution_id})
    row = conn.execute(_HELD, {"execution_id": execution_id, "epoch": epoch, "delay": back.delay}).one_or_none()
    if row is None:
        return False
    kind = _going_back(row, back)
    why = str(backoff(row.not_before)) if row.not_before else ""
    conn.execute(
        _REQUEUE,
        {
            "execution_id": execution_id,
            "not_before": row.not_before,
            "reason": why,
            "constraints": constraints_text(kind.shape.constraints),
            "shape": shape_digest(kind),
            "exclusive": list(kind.exclusive),
            "record": decision_records.to_json(Returned(text=why, cause=back.cause)),
        },
    )
    conn.execute(_BACK, {"execution_id": execution_id})
    return True


def withdraw(conn: Connection, execution_id: ExecutionId) -> bool:
    """Take a run that was cancelled before it ran out of the queue, whether it waits or was just admitted."""
    values = {"execution_id": execution_id, "record": decision_records.to_json(Withdrawn())}
    return conn.execute(_WITHDRAW, values).rowcount == 1


def guard(conn: Connection, execution_id: ExecutionId, epoch: int, *, on: bool) -> bool:
    """Forbid or allow that a run is preempted: an experiment between injection and revert must not be.

    Return False if the place is lost or the run was asked to stop already. Then it must not begin what needs a guard.
    """
    conn.execute(_LOCK, {"execution_id": execution_id})
    return conn.execute(_GUARD, {"execution_id": execution_id, "epoch": epoch, "on": on}).rowcount == 1


def move(conn: Connection, execution_id: ExecutionId, epoch: int, node: NodeName) -> bool:
    """Count a run on another of its candidates, to which its cluster has bound it.

    Return False if it is counted there already, the place is lost, or the node is not one of its candidates.
    """
    values = {"execution_id": execution_id, "epoch": epoch, "node": node}
    return conn.execute(_MOVE, values).one_or_none() is not None


def fence_off(conn: Connection, execution_id: ExecutionId) -> int | None:
    """Raise the epoch of a run that holds a place, so that its holder changes nothing more; return the new epoch.

    Return None if it holds no place. The caller has locked the row of the run.
    """
    return conn.execute(_FENCE_OFF, {"execution_id": execution_id}).scalar_one_or_none()


def preempted_for(conn: Connection, execution_id: ExecutionId, epoch: int) -> ExecutionId | None:
    """Return the run for which this one was asked to stop; None if it was not asked."""
    found = conn.execute(_PREEMPTED, {"execution_id": execution_id, "epoch": epoch}).scalar_one_or_none()
    return None if found is None else ExecutionId(found)


def hold_until(conn: Connection, execution_id: ExecutionId, at: datetime, reason: str) -> None:
    """Let a run of the caller's transaction, just enqueued or locked, wait until a moment, and say why.

    Its group waits with it: it would fall apart otherwise.
    """
    conn.execute(_HOLD_UNTIL, {"execution_id": execution_id, "at": at, "reason": reason})


def let_go(conn: Connection, execution_id: ExecutionId) -> None:
    """Let a run that was held until a moment start as soon as the gate admits it, with its group."""
    conn.execute(_LOCK, {"execution_id": execution_id})
    conn.execute(_LET_GO, {"execution_id": execution_id})


def requested(conn: Connection, execution_id: ExecutionId) -> Resources:
    """Return the amounts that the gate counts for a queued run. Raises: NoResultFound if it is not queued."""
    return Resources(**conn.execute(_REQUESTED, {"execution_id": execution_id}).mappings().one())


def limit_of(conn: Connection, execution_id: ExecutionId) -> timedelta:
    """Return what an attempt of a queued run may take at most. Raises: NoResultFound if it is not queued."""
    return timedelta(seconds=conn.execute(_LIMIT, {"execution_id": execution_id}).scalar_one())


def host(conn: Connection, execution_id: ExecutionId, worker: WorkerId) -> None:
    """Note that the flow of a run waits in a worker. While the worker lives, it is the first that may claim the run."""
    conn.execute(_LOCK, {"execution_id": execution_id})
    conn.execute(_HOST, {"execution_id": execution_id, "worker": worker})


def hosted_by(conn: Connection, execution_id: ExecutionId, worker: WorkerId, serves: Collection[BackendName]) -> bool:
    """Return whether a run is queued, its flow waits in this worker, and it has no place on another backend."""
    mine = {"execution_id": execution_id, "worker": worker, "serves": list(serves)}
    return bool(conn.execute(_HOSTED, mine).scalar_one())


def placed_elsewhere(conn: Connection, execution_id: ExecutionId, serves: Collection[BackendName]) -> bool:
    """Return whether a run has a place on a backend that is none of these."""
    return bool(conn.execute(_ELSEWHERE, {"execution_id": execution_id, "serves": list(serves)}).scalar_one())


def _waiting_row(run: Waiting) -> dict[str, object]:
    kind, r = run.kind, run.resources
    return {
        "execution_id": str(run.execution_id),
        "pool": run.pool,
        "priority": run.priority,
        "enqueued_at": run.enqueued_at.isoformat(),
        "host": run.host,
        "user_id": str(run.user_id),
        "team_id": None if run.team_id is None else str(run.team_id),
        "cpu_milli": r.cpu_milli,
        "memory_bytes": r.memory_bytes,
        "ephemeral_bytes": r.ephemeral_bytes,
        "gpu": r.gpu,
        "constraints": constraints_text(kind.shape.constraints),
        "shape": shape_digest(kind),
        "labels": labels_text(run.labels),
        "exclusive": kind.exclusive,
        "group_id": None if run.group is None else str(run.group),
        "limit_seconds": run.limit.total_seconds(),
        "expected_seconds": None if run.expected is None else run.expected.total_seconds(),
        "restartable": run.restartable,
    }


def _going_back(row: Row[Any], back: Requeue) -> Kind:
    """Return what the gate decides by for a run that goes back: nodes that it avoids, and what it claims now."""
    nodes, claimed = back.avoid, row.exclusive if back.exclusive is None else back.exclusive
    shape = shape_of(row.cpu_milli, row.memory_bytes, row.ephemeral_bytes, row.gpu, row.constraints)
    if nodes:
        constraints = replace(shape.constraints, avoid=shape.constraints.avoid | nodes)
        shape = Shape(shape.resources, constraints)
    return Kind(
        user_id=row.user_id,
        team_id=row.team_id,
        shape=shape,
        labels=labels_of(row.labels),
        exclusive=tuple(sorted(claimed)),
    )
