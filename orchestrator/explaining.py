"""Why a run waits, who is before it, and what the gate has said to it since it was submitted.

What was said is read from the records, and never worked out again: it reads the same while the run waits and in three
days. Only `waiting`, where it stands now, passes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from db import decisions, executions, forecasts
from db.decisions import Owned, Said
from db.executions import Execution
from db.forecasts import Forecast
from db.gate import queue_position
from db.gate.decision_records import Record, Returned, Started, Stopped, Waited
from model.execution import Cause, Status
from model.ids import ExecutionId, short
from scheduler.values.node import NO_NODE

_BACK: Mapping[Cause | None, str] = {
    None: "it never began",
    Cause.RETRY: "it is tried again",
    Cause.INFRASTRUCTURE: "its attempt had no certain end",
    Cause.PLACEMENT: "the cluster refused the nodes that were chosen for it",
    Cause.PREEMPTED: "it made room for a more important run",
}
"""Why a run waits again where nothing more was said."""
AHEAD = 5
"""Runs before it that are named; the position tells how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another run, as far as it matters. `name` and `team` are None where nobody knows it any more."""

    execution_id: ExecutionId
    priority: int | None
    share: float | None
    name: str | None
    team: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One record, in words too, with the runs that it names."""

    said: Said
    sentence: str
    ahead: tuple[Neighbour, ...] = ()
    blocked_by: tuple[Neighbour, ...] = ()
    beneficiary: Neighbour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """Where a run stands that waits. `share` as in `Owned`; no `estimate` while nothing is known."""

    position: int | None
    total: int | None
    reason: str
    waited_seconds: float
    share: float | None
    ahead: tuple[Neighbour, ...]
    estimate: Forecast | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A run, where it stands while it waits, and all that was said to it."""

    execution: Execution
    team: str | None
    waiting: Now | None
    decisions: tuple[Told, ...]


def explain(conn: Connection, execution_id: ExecutionId, now: datetime) -> Explanation:
    """Return what explains a run, whether it waits, runs, or ended long ago. Raises: NotFoundError."""
    execution = executions.find(conn, execution_id)
    said = decisions.read(conn, execution_id)
    owned = decisions.owned(conn, {execution_id, *(other for one in said for other in _named(one.record))})
    own = owned[execution_id]
    return Explanation(
        execution=execution,
        team=own.team,
        waiting=_now(conn, execution, own.share, now) if execution.status is Status.QUEUED else None,
        decisions=tuple(_told(one, owned) for one in said),
    )


def sentence(record: Record) -> str:
    """Return a record in words, with its numbers."""
    match record:
        case Waited():
            place = "" if record.position is None else f" at position {record.position}"
            return f"waits{place}: {record.text.removeprefix('waits ')}"
        case Started(node=node) if node == NO_NODE:
            return f"admitted after {record.waited:.1f} s; it needs no node"
        case Started():
            best = next((score for score in record.candidates if score.node == record.node), None)
            scored = "" if best is None else f", the best of {len(record.candidates)} with {best.total:.3f}"
            return f"got a place on {record.node}{scored}, after {record.waited:.1f} s"
        case Stopped():
            return f"asked to stop after {record.held:.1f} s, for the more important run {short(record.beneficiary)}"
        case Returned():
            return f"waits again: {record.text or _BACK.get(record.cause, 'it lost its place')}"
        case _:
            return "cancelled before it ran"


def _now(conn: Connection, execution: Execution, share: float | None, now: datetime) -> Now | None:
    found = queue_position.position(conn, execution.execution_id)
    if found is None:
        return None
    return Now(
        position=found.position,
        total=found.total,
        reason=found.reason,
        waited_seconds=max(0.0, (now - execution.submitted_at).total_seconds()),
        share=share,
        ahead=_first(conn, execution, found.position),
        estimate=forecasts.read(conn, [execution.execution_id]).get(execution.execution_id),
    )


def _first(conn: Connection, execution: Execution, position: int | None) -> tuple[Neighbour, ...]:
    """Return the first of the queue that are before a run; one in backoff is behind nobody in particular."""
    if position is None or position == 1:
        return ()
    entries, _ = queue_position.queue(conn, execution.pool, min(AHEAD, position - 1))
    runs = [entry.execution_id for entry in entries if entry.execution_id != execution.execution_id]
    owned = decisions.owned(conn, runs)
    return tuple(_neighbour(run, owned, owned[run].priority, owned[run].share) for run in runs if run in owned)


def _named(record: Record) -> Iterable[ExecutionId]:
    if isinstance(record, Waited):
        return (*record.blocked_by, *(other.execution_id for other in record.ahead))
    return (record.beneficiary,) if isinstance(record, Stopped) else ()


def _told(said: Said, owned: Mapping[ExecutionId, Owned]) -> Told:
    """Name the runs of a record; their priority and share are those of that moment, where it has them."""
    record = said.record
    words = sentence(record)
    if isinstance(record, Waited):
        ahead = tuple(_neighbour(one.execution_id, owned, one.priority, one.share) for one in record.ahead)
        blocked_by = tuple(_neighbour(run, owned, _priority(run, owned)) for run in record.blocked_by)
        return Told(said=said, sentence=words, ahead=ahead, blocked_by=blocked_by)
    if isinstance(record, Stopped):
        other = record.beneficiary
        return Told(said=said, sentence=words, beneficiary=_neighbour(other, owned, _priority(other, owned)))
    return Told(said=said, sentence=words)


def _neighbour(
    run: ExecutionId, owned: Mapping[ExecutionId, Owned], priority: int | None, share: float | None = None
) -> Neighbour:
    known = owned.get(run)
    return Neighbour(
        execution_id=run,
        priority=priority,
        share=share,
        name=None if known is None else known.name,
        team=None if known is None else known.team,
    )


def _priority(run: ExecutionId, owned: Mapping[ExecutionId, Owned]) -> int | None:
    return owned[run].priority if run in owned else None
