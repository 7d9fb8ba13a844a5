"""What was said to a run, as `decisions` keeps it: the values, and their way to JSON and back.

A run gets one record when it is admitted, and while it waits one whenever the rule that keeps it, who is in its way, or
the node kept free for it changes. Numbers that move make none: a record tells those of its moment. So whoever reads the
records explains the run in the same words today and in three days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from model.execution import Cause
from model.ids import ExecutionId, NodeName
from scheduler.decisions import Wait
from scheduler.pool import Strategy
from scheduler.reasons import Code
from scheduler.score import Score

BLOCKERS = 10
"""Runs in the way that a record names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a pass went by: the strategy of the pool, and the version of the nodes that it saw (0: none was packed)."""

    strategy: Strategy
    snapshot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """A run that is before another one in the order. `share` (FAIR_SHARE) is what its owner had, over its weight."""

    execution_id: ExecutionId
    priority: int
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """It must wait. `position` is None in backoff, and where no pass counts; `ahead` are the first before it."""

    kind: Literal["waiting"] = "waiting"
    by: Pass
    code: Code
    text: str
    position: int | None = None
    priority: int
    share: float | None = None
    blocked_by: tuple[ExecutionId, ...] = ()
    nominated: NodeName | None = None
    ahead: tuple[Ahead, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """It got a place on `node`, the first of its candidates, after `waited` seconds from the `position` it had last."""

    kind: Literal["admitted"] = "admitted"
    by: Pass
    node: NodeName
    candidates: tuple[Score, ...] = ()
    position: int | None = None
    priority: int
    share: float | None = None
    waited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """It was asked to stop for a more important run, after it had held its place for `held` seconds."""

    kind: Literal["preempted"] = "preempted"
    beneficiary: ExecutionId
    priority: int
    held: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Its place went to others, and it waits again. Without a `cause` it never began."""

    kind: Literal["requeued"] = "requeued"
    text: str
    cause: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """It was cancelled before it ran."""

    kind: Literal["cancelled"] = "cancelled"


Record: TypeAlias = Annotated[Waited | Started | Stopped | Returned | Withdrawn, Field(discriminator="kind")]

_RECORD: TypeAdapter[Record] = TypeAdapter(Record)


def to_json(record: Record) -> str:
    """Return what the column keeps."""
    return _RECORD.dump_json(record, exclude_none=True).decode()


def from_json(value: object) -> Record:
    """Return the record of a column, as the driver read it. Raises: ValueError for what is none."""
    return _RECORD.validate_python(value, strict=False)


def digest(wait: Wait) -> int:
    """Return a number that changes with the rule, with who is in the way and with the node, and with nothing else."""
    parts = (wait.reason.code, str(wait.nominated), *map(str, wait.blocked_by[:BLOCKERS]))
    return int.from_bytes(blake2b("\n".join(parts).encode(), digest_size=8).digest(), signed=True)


def waited(wait: Wait, by: Pass, position: int | None, ahead: Sequence[Ahead]) -> Waited:
    """Return the record of a run that waits."""
    return Waited(
        by=by,
        code=wait.reason.code,
        text=str(wait.reason),
        position=position,
        priority=wait.run.priority,
        share=wait.share,
        blocked_by=wait.blocked_by[:BLOCKERS],
        nominated=wait.nominated,
        ahead=tuple(ahead),
    )
