"""Between rows of the queue and the values that the scheduler decides on."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row

from model.ids import ExecutionId, NodeName, TeamId, UserId
from model.resources import Resources
from scheduler.plan import Admit, Wait
from scheduler.run import NO_CONSTRAINTS, Constraints, Queued, Running, Shape

COLUMNS = """execution_id, seq, priority, shape, enqueued_at, not_before, user_id, team_id, cpu_milli, memory_bytes,
    ephemeral_bytes, gpu, CAST(constraints AS text) AS constraints, nominated, reason, position,
    decision ->> 'code' AS code"""
"""Of a waiting row: what is decided on, and what was last written about it."""

_CONSTRAINTS: TypeAdapter[Constraints] = TypeAdapter(Constraints)
_NOTHING = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What a waiting row says of itself."""

    reason: str
    code: str | None
    position: int | None


def queued(row: Row[Any]) -> Queued:
    """Return the waiting run of a row."""
    return Queued(
        execution_id=ExecutionId(row.execution_id),
        seq=row.seq,
        priority=row.priority,
        enqueued_at=row.enqueued_at,
        user_id=UserId(row.user_id),
        team_id=None if row.team_id is None else TeamId(row.team_id),
        shape=_shape(row.cpu_milli, row.memory_bytes, row.ephemeral_bytes, row.gpu, row.constraints),
        not_before=row.not_before,
        nominated=None if row.nominated is None else NodeName(row.nominated),
    )


def running(row: Row[Any]) -> Running:
    """Return the run of a row that holds a place."""
    return Running(
        execution_id=ExecutionId(row.execution_id),
        user_id=UserId(row.user_id),
        team_id=None if row.team_id is None else TeamId(row.team_id),
        resources=_resources(row),
        node=None if row.node is None else NodeName(row.node),
    )


def noted(row: Row[Any]) -> Noted:
    """Return what was last written about a waiting run."""
    return Noted(reason=row.reason, code=row.code, position=row.position)


@lru_cache(maxsize=4096)
def constraints_of(text: str) -> Constraints:
    """Return the constraints of a column's text. Few are ever different, so each is read once."""
    return NO_CONSTRAINTS if text == _NOTHING else _CONSTRAINTS.validate_json(text)


def constraints_text(constraints: Constraints) -> str:
    """Return what the column keeps."""
    if constraints == NO_CONSTRAINTS:
        return _NOTHING
    return _CONSTRAINTS.dump_json(constraints, by_alias=True).decode()


def shape_digest(owner: tuple[UUID, UUID | None], shape: Shape) -> int:
    """Return a number that is the same for runs that are decided alike, and for no others but by rare accident."""
    r, c = shape.resources, shape.constraints
    selector, avoid = sorted(c.node_selector), sorted(c.avoid)
    parts = (str(owner[0]), str(owner[1]), r.cpu_milli, r.memory_bytes, r.ephemeral_bytes, r.gpu, selector, avoid)
    rest = constraints_text(Constraints(tolerations=c.tolerations, affinity=c.affinity))
    return int.from_bytes(blake2b(json.dumps([parts, rest]).encode(), digest_size=8).digest(), signed=True)


def admit_record(decision: Admit, now: datetime) -> str:
    """Return the decision record of a run that starts: when, where, and the scores of all its candidates."""
    scores = [
        {
            "node": s.node,
            "total": s.total,
            "free": s.free,
            "utilisation": s.utilisation,
            "affinity": s.affinity,
            "spot": s.spot,
            "balance": s.balance,
        }
        for s in decision.scores
    ]
    return json.dumps({"code": "admitted", "at": now.isoformat(), "node": decision.node, "candidates": scores})


def wait_record(decision: Wait, now: datetime) -> str:
    """Return the decision record of a run that waits: since when for this reason, and for whom."""
    blocked_by = [str(run) for run in decision.blocked_by]
    return json.dumps({"code": decision.reason.code, "at": now.isoformat(), "blocked_by": blocked_by})


@lru_cache(maxsize=4096)
def _shape(cpu_milli: int, memory_bytes: int, ephemeral_bytes: int, gpu: int, constraints: str) -> Shape:
    amounts = Resources(cpu_milli=cpu_milli, memory_bytes=memory_bytes, ephemeral_bytes=ephemeral_bytes, gpu=gpu)
    return Shape(amounts, constraints_of(constraints))


def _resources(row: Row[Any]) -> Resources:
    return Resources(
        cpu_milli=row.cpu_milli, memory_bytes=row.memory_bytes, ephemeral_bytes=row.ephemeral_bytes, gpu=row.gpu
    )
