"""Records of decisions: the values that the table `decisions` stores, and their way to JSON and back.

A run gets a record when it is admitted. While it waits, it gets one whenever the rule that blocks it, the runs in its
way, or the node that is reserved for it changes. A number that changes makes no record: a record has the numbers of its
moment. So the records explain a run in the same words today and in three days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from model.execution import Cause
from model.ids import ExecutionId, NodeName
from scheduler.admission.decisions import Wait
from scheduler.placement.score import Score
from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code

BLOCKERS = 10
"""How many of the runs in its way a record names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a pass was based on: the strategy of the pool, and the version of its nodes (0: it read none)."""

    strategy: Strategy
    snapshot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """A run that comes before another one in the order. `share`: that of its owner (FAIR_SHARE)."""

    execution_id: ExecutionId
    priority: int
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """The run waits. `position` is None in backoff, and if it is unknown. `ahead`: the first runs before it."""

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
    """The run was admitted to `node`, the first of its candidates, after `waited` seconds. `position`: its last one."""

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
    """The run was asked to stop for a more important one, after it had held its place for `held` seconds."""

    kind: Literal["preempted"] = "preempted"
    beneficiary: ExecutionId
    priority: int
    held: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The run gave up its place and waits again. It has no `cause` if it never began."""

    kind: Literal["requeued"] = "requeued"
    text: str
    cause: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """The run was cancelled before it ran."""

    kind: Literal["cancelled"] = "cancelled"


Record: TypeAlias = Annotated[Waited | Started | Stopped | Returned | Withdrawn, Field(discriminator="kind")]

_RECORD: TypeAdapter[Record] = TypeAdapter(Record)


def to_json(record: Record) -> str:
    """Return the text that the column stores."""
    return _RECORD.dump_json(record, exclude_none=True).decode()


def from_json(value: object) -> Record:
    """Return the record of a column, as the driver read it. Raises: ValueError if it is none."""
    return _RECORD.validate_python(value, strict=False)


def digest(wait: Wait) -> int:
    """Return a number that depends only on the rule, the runs in the way and the reserved node."""
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
