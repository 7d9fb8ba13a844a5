"""Turn rows of the queue into the values of the scheduler, and back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row

from model.ids import ExecutionId, GroupId, NodeName, TeamId, UserId
from model.resources import Resources
from scheduler.values.run import NO_CONSTRAINTS, Constraints, Labels, Queued, Running, Shape

COLUMNS = """execution_id, seq, priority, shape, enqueued_at, not_before, user_id, team_id, cpu_milli, memory_bytes,
    ephemeral_bytes, gpu, CAST(constraints AS text) AS constraints, nominated, reason, position, record_digest,
    group_id, exclusive, CAST(labels AS text) AS labels, limit_seconds, expected_seconds, restartable,
    CAST(reserved_for AS text[]) AS reserved_for"""
"""The columns of a waiting run that a pass reads: what decides about it, and what was last written about it."""

OWNER_BITS = 16
"""The high bits of a shape are those of its owner, so that a pass finds every owner even if one has many shapes. Two
owners with the same bits share the number of rows that a pass reads of one owner, and nothing else."""
REST_BITS = 64 - OWNER_BITS

_CONSTRAINTS: TypeAdapter[Constraints] = TypeAdapter(Constraints)
_NOTHING = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What was last written about a waiting run.

    `record_digest`: that of its last record, None if this record is not of a wait. `reserved_for`: the users and teams
    in whose limits room is reserved for it in all pools, None if no room is reserved.
    """

    reason: str
    record_digest: int | None
    position: int | None
    shape: int
    reserved_for: frozenset[UUID] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Everything that decides about a run, except for its priority and its arrival."""

    user_id: UUID
    team_id: UUID | None
    shape: Shape
    labels: Labels = ()
    exclusive: tuple[str, ...] = ()
    group: GroupId | None = None


def queued(row: Row[Any]) -> Queued:
    """Return the waiting run of a row."""
    return Queued(
        execution_id=ExecutionId(row.execution_id),
        seq=row.seq,
        priority=row.priority,
        enqueued_at=row.enqueued_at,
        user_id=UserId(row.user_id),
        team_id=None if row.team_id is None else TeamId(row.team_id),
        shape=shape_of(row.cpu_milli, row.memory_bytes, row.ephemeral_bytes, row.gpu, row.constraints),
        not_before=row.not_before,
        nominated=None if row.nominated is None else NodeName(row.nominated),
        labels=labels_of(row.labels),
        exclusive=tuple(row.exclusive),
        group=None if row.group_id is None else GroupId(row.group_id),
        limit=timedelta(seconds=row.limit_seconds),
        expected=_seconds(row.expected_seconds),
        restartable=row.restartable,
    )


def running(row: Row[Any]) -> Running:
    """Return the run of a row that holds a place. It counts as started from its admission on, its launch included."""
    return Running(
        queued=Queued(
            execution_id=ExecutionId(row.execution_id),
            seq=row.seq,
            priority=row.priority,
            enqueued_at=row.enqueued_at,
            user_id=UserId(row.user_id),
            team_id=None if row.team_id is None else TeamId(row.team_id),
            shape=shape_of(row.cpu_milli, row.memory_bytes, row.ephemeral_bytes, row.gpu, row.constraints),
            labels=labels_of(row.labels),
            exclusive=tuple(row.exclusive),
            limit=timedelta(seconds=row.limit_seconds),
            expected=_seconds(row.expected_seconds),
            restartable=row.restartable,
        ),
        node=None if row.node is None else NodeName(row.node),
        started_at=row.admitted_at,
        began_at=row.began_at,
        guarded=row.guarded,
        preempted_for=None if row.preempted_for is None else ExecutionId(row.preempted_for),
    )


def noted(row: Row[Any]) -> Noted:
    """Return what was last written about a waiting run."""
    return Noted(
        reason=row.reason,
        record_digest=row.record_digest,
        position=row.position,
        shape=row.shape,
        reserved_for=None if row.reserved_for is None else frozenset(map(UUID, row.reserved_for)),
    )


@lru_cache(maxsize=4096)
def constraints_of(text: str) -> Constraints:
    """Return the constraints of a column's text. There are few different ones, so each is parsed once."""
    return NO_CONSTRAINTS if text == _NOTHING else _CONSTRAINTS.validate_json(text)


def constraints_text(constraints: Constraints) -> str:
    """Return what the column keeps."""
    if constraints == NO_CONSTRAINTS:
        return _NOTHING
    return _CONSTRAINTS.dump_json(constraints, by_alias=True).decode()


@lru_cache(maxsize=4096)
def labels_of(text: str) -> Labels:
    """Return the labels of a column's text, sorted."""
    return () if text == _NOTHING else tuple(sorted(json.loads(text).items()))


def labels_text(labels: Mapping[str, str]) -> str:
    """Return what the column keeps."""
    return json.dumps(dict(labels))


@lru_cache(maxsize=4096)
def shape_of(cpu_milli: int, memory_bytes: int, ephemeral_bytes: int, gpu: int, constraints: str) -> Shape:
    """Return the shape that the columns describe."""
    return Shape(_resources(cpu_milli, memory_bytes, ephemeral_bytes, gpu), constraints_of(constraints))


@lru_cache(maxsize=4096)
def shape_digest(kind: Kind) -> int:
    """Return a number that is equal for runs about which everything decides alike, and else differs but by accident.

    The labels of a run count only if it is spread among runs like itself.
    """
    owner = _digest(str(kind.team_id or kind.user_id)) >> REST_BITS
    r, c = kind.shape.resources, kind.shape.constraints
    parts = (
        str(kind.user_id),
        str(kind.team_id),
        (r.cpu_milli, r.memory_bytes, r.ephemeral_bytes, r.gpu),
        sorted(c.avoid),
        _ruled(c),
        kind.labels if c.spread else (),
        kind.exclusive,
        str(kind.group),
    )
    rest = _digest(json.dumps(parts)) & ((1 << REST_BITS) - 1)
    return (owner << REST_BITS) | rest


def _ruled(c: Constraints) -> str:
    """Return the constraints as text that does not depend on the order of a set."""
    return constraints_text(
        Constraints(
            node_selector=tuple(sorted(c.node_selector)),
            tolerations=c.tolerations,
            affinity=c.affinity,
            apart=c.apart,
            spread=c.spread,
            backend=c.backend,
        )
    )


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)


def _seconds(number: float | None) -> timedelta | None:
    return None if number is None else timedelta(seconds=number)


def _resources(cpu_milli: int, memory_bytes: int, ephemeral_bytes: int, gpu: int) -> Resources:
    return Resources(cpu_milli=cpu_milli, memory_bytes=memory_bytes, ephemeral_bytes=ephemeral_bytes, gpu=gpu)
