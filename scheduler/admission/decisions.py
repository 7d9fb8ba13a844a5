"""What a pass decides, and what can happen to a state: values that the doors carry out, write down and replay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from model.ids import BackendName, ExecutionId, NodeName
from scheduler.placement.score import Score
from scheduler.values.node import Node
from scheduler.values.pool import Owner, PoolSettings
from scheduler.values.reasons import Reason
from scheduler.values.run import Queued, Running


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """Start a run on `node`, the first of its candidates, which `backend` runs.

    `candidates` are the nodes that the backend may start it on, best first. `scores` are those of all nodes that were
    compared, which may be nodes of other backends too.
    `share` (FAIR_SHARE) is what its owner had, over its weight, before this run. `at` is the time of the pass.
    """

    run: Queued
    node: NodeName
    backend: BackendName
    candidates: tuple[NodeName, ...]
    scores: tuple[Score, ...]
    share: float | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Leave a run waiting. `position` counts from 1 among those that could start; `nominated` is kept free for it.

    `share` (FAIR_SHARE) is what its owner has now, over its weight: the least goes first.
    """

    run: Queued
    reason: Reason
    position: int | None = None
    blocked_by: tuple[ExecutionId, ...] = ()
    nominated: NodeName | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempt:
    """Ask `run` to stop, so that `beneficiary` can start; `run` holds its place until it has stopped."""

    run: Running
    beneficiary: Queued


Decision: TypeAlias = Admit | Wait | Preempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A run was submitted, or came back to wait."""

    run: Queued


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A run that waited was cancelled, or one that ran is gone."""

    run: ExecutionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """These are the nodes now."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The pool has new settings; they hold from the next plan on, and stop nothing that runs."""

    limits: PoolSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """These are the limits, weights and uses elsewhere of users and teams now. Usage that the state kept stays."""

    owners: Mapping[UUID, Owner] = field(default_factory=dict)


Change: TypeAlias = Arrived | Left | Seen | Configured | Owned | Admit | Wait | Preempt
