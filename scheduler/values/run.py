"""A run as the gate sees it: what it asks for while it waits, and what it holds once it has a place."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from model.config import Affinity, Toleration
from model.ids import EXPERIMENTS, BackendName, ExecutionId, GroupId, NodeName, TeamId, UserId
from model.resources import Resources

NO_AFFINITY = Affinity()
Labels = tuple[tuple[str, str], ...]
"""Sorted by key."""
Rank: TypeAlias = tuple[int, int, UUID]
"""The place of a run in the order (`scheduler.values.order`): key, number of arrival, id."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """Keep a run off each domain of `topology` (a node label) where a run that carries all of `labels` has a place."""

    topology: str
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Among the domains of `topology`, runs that carry all of `labels` differ in number by `max_skew` at most."""

    topology: str
    labels: Labels
    max_skew: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What a run asks of a node besides amounts. `avoid` is kept only while another node could hold the run."""

    node_selector: Labels = ()
    tolerations: tuple[Toleration, ...] = ()
    affinity: Affinity = NO_AFFINITY
    avoid: frozenset[NodeName] = frozenset()
    apart: tuple[Apart, ...] = ()
    spread: tuple[Spread, ...] = ()
    backend: BackendName | None = None
    """The run needs no node: it is placed on the virtual node of this backend (012.2)."""

    @property
    def slots(self) -> int:
        """How many of the runs at once it is: an experiment is none (rule 13)."""
        return int(self.backend != EXPERIMENTS)


NO_CONSTRAINTS = Constraints()


@dataclass(frozen=True, slots=True)
class Shape:
    """All that placement looks at: runs of one shape fit, or do not fit, alike. Its hash is computed once."""

    resources: Resources
    constraints: Constraints = NO_CONSTRAINTS
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.resources, self.constraints)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A run that waits. `seq` is the order of arrival, which it keeps when it goes back to wait.

    `labels` are its own, for the rules of others. `exclusive` names, sorted, what only one run may have at a time, in
    all pools. The waiting runs of one `group` start together or not at all. `limit` is what an attempt may take at
    most, `expected` the p90 of what it takes, where history knows it. `restartable`: it may be preempted later.
    """

    execution_id: ExecutionId
    seq: int
    priority: int
    enqueued_at: datetime
    user_id: UserId
    team_id: TeamId | None = None
    shape: Shape
    not_before: datetime | None = None
    nominated: NodeName | None = None
    labels: Labels = ()
    exclusive: tuple[str, ...] = ()
    group: GroupId | None = None
    limit: timedelta = HOUR
    expected: timedelta | None = None
    restartable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A run that holds a place, from its admission until its process or pod is known to be gone.

    `queued` is the run as it waited, and as it waits again if it is stopped. `started_at` is when it got its place,
    `began_at` when its test began to run there; None while it is being launched. `guarded`: it must not be stopped now
    (an experiment between injection and revert). `preempted_for`: it has been asked to stop for that run, and still
    holds its place until it has.
    """

    queued: Queued
    node: NodeName | None = None
    started_at: datetime | None = None
    began_at: datetime | None = None
    guarded: bool = False
    preempted_for: ExecutionId | None = None

    @property
    def execution_id(self) -> ExecutionId:
        """Which run it is."""
        return self.queued.execution_id

    @property
    def resources(self) -> Resources:
        """What it holds of its node."""
        return self.queued.shape.resources

    @property
    def slots(self) -> int:
        """How many of the runs at once it is: an experiment is none (rule 13)."""
        return self.queued.shape.constraints.slots


def owners_of(run: Queued) -> tuple[UUID, ...]:
    """Return whose limits a run counts against, besides the pool's."""
    return (run.user_id,) if run.team_id is None else (run.user_id, run.team_id)


def payer(user: UserId, team: TeamId | None) -> UUID:
    """Return who owns a share: the team; a run without one is its user's."""
    return user if team is None else team
