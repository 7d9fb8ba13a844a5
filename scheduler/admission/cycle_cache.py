"""What a state remembers from pass to pass, so that a pass costs what changed. It never changes a decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from model.ids import ExecutionId, TeamId, UserId
from scheduler.admission.class_arrays import ClassArrays
from scheduler.admission.equivalence_classes import RunClass
from scheduler.admission.reservations import NO_TIME, Reservation
from scheduler.placement.node_filter import fits, matching
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.node_arrays import vector
from scheduler.values.pool import NO_CEILING, Owner, PoolSettings
from scheduler.values.quota_limits import QuotaLimit, bound_of, is_full, most, over, pool_bound
from scheduler.values.run import Rank, Running, Shape
from scheduler.values.usage_totals import NOTHING, Demand, UsageTotals

MANY = 64
"""Of so many nodes with more room it is cheaper to look at every class."""


@dataclass(frozen=True, slots=True, order=True)
class Kept:
    """What the last pass kept free, by the place in the order of whom it was for; column -1: no node, but the rest."""

    number: int
    seq: int
    run: ExecutionId
    column: int
    firm: bool
    gives_way: timedelta = NO_TIME
    """How long others could use it, from that pass on."""

    @property
    def rank(self) -> Rank:
        """The place in the order, with the number of `order.rank_number` in place of the key."""
        return (self.number, self.seq, self.run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable:
    """A node that was reserved for an aged run, when all aged runs before it had started or had a node reserved too."""

    run_class: RunClass
    reservation: Reservation
    kept: Kept


class CycleCache:
    """What holds until nodes, settings or owners are replaced, or the clock goes back."""

    def __init__(self, node_usage: NodeUsage, limits: PoolSettings, owners: Mapping[UUID, Owner]) -> None:
        self.node_usage = node_usage
        self.limits = limits
        self.owners = owners
        self.arrays = ClassArrays(node_usage, limits)
        self.pool = pool_bound(most(limits.ceiling))
        self.pool_limited = self.pool.limits
        self.grown: set[int] = set()
        """Columns of nodes that may have more room, for somebody, than when the last pass looked at them."""
        self.kept: dict[ExecutionId, Kept] = {}
        self.repeatable: list[Repeatable] = []
        """What the last cycle reserved for the first aged runs, in order (`repeated_reservations`)."""
        self.expected: dict[ExecutionId, int] = {}
        """The nodes on which the last pass let runs start: looked at again where that did not come to pass."""
        self.totals = _totals(node_usage, limits)
        self.touched: set[tuple[UserId, TeamId | None]] = set()
        """Users and teams whose sums have changed since the last pass."""
        self.possible: dict[frozenset[ExecutionId], bool] = {}
        """Whether a group could start if nothing else ran."""
        self.refused = False
        """An added rule refused a run in the last pass."""
        self.blocked_since: datetime | None = None
        """Since when the first run that is blocked has waited, if it has no node kept free yet."""
        self._bounds: dict[UUID, QuotaLimit | None] = {}
        self._quotas = any(owner.ceiling != NO_CEILING for owner in owners.values())
        self.limited = self.pool_limited or self._quotas
        """Whether there is any limit, of the pool or of an owner."""
        self._hopeless: dict[Shape, bool] = {}
        self.able: dict[tuple[Shape, int], bool] = {}
        """Nodes, by column, that could be reserved for a shape if nothing else were reserved there."""

    def is_valid_for(self, node_usage: NodeUsage, limits: PoolSettings, owners: Mapping[UUID, Owner]) -> bool:
        """Return whether nothing was replaced since."""
        return node_usage is self.node_usage and limits is self.limits and owners is self.owners

    def forget(self, run: ExecutionId) -> None:
        """Let others have the node that was kept free for a run that waits no longer."""
        kept = self.kept.pop(run, None)
        if kept is not None and kept.column >= 0:
            self.grown.add(kept.column)

    def started(self, run: Running) -> None:
        """Note that a run has come to a node."""
        self.touched.add((run.queued.user_id, run.queued.team_id))
        column = self._column(run)
        if self.expected.get(run.execution_id) == column:
            del self.expected[run.execution_id]

    def ended(self, run: Running) -> None:
        """Note that a run has left a node."""
        self.touched.add((run.queued.user_id, run.queued.team_id))
        column = self._column(run)
        if column >= 0:
            self.grown.add(column)

    def settle(self, sums: UsageTotals) -> None:
        """Take note of what happened since the last pass."""
        self.grown.update(self.expected.values())
        self.expected.clear()
        if len(self.grown) > MANY:
            self.arrays.settled[:] = False
            self.repeatable.clear()
            self.grown.clear()
        full, number = self.arrays.owners.full, self.arrays.owners.of
        for user, team in self.touched if self._quotas else ():
            full[number(user)] = is_full(self.bound(user, team=False), sums)
            if team is not None:
                full[number(team)] = is_full(self.bound(team, team=True), sums)
        self.touched.clear()

    def bound(self, owner: UUID, *, team: bool) -> QuotaLimit | None:
        """Return the limits of a user or a team, None if there are none."""
        if owner not in self._bounds:
            facts = self.owners.get(owner)
            made = None if facts is None else bound_of(owner, facts, team=team)
            self._bounds[owner] = made if made is not None and made.limits else None
        return self._bounds[owner]

    def bounds(self, run_class: RunClass) -> tuple[QuotaLimit, ...]:
        """Return the limits that hold for a class, the team's first, the pool's last."""
        user, *teams = run_class.owners[1:]
        found = [*(self.bound(team, team=True) for team in teams), self.bound(user, team=False)]
        return tuple(bound for bound in (*found, self.pool) if bound is not None and bound.limits)

    def hopeless(self, run_class: RunClass) -> bool:
        """Return whether a class's runs would not fit into any node, or the pool, even if nothing ran."""
        shape = run_class.ask.shape
        known = self._hopeless.get(shape)
        if known is None:
            able = matching(self.node_usage.node_table, run_class.ask) & fits(
                self.node_usage.capacity, vector(shape.resources)
            )
            known = self._hopeless[shape] = not able.any() or over(self.pool, run_class.need, NOTHING) is not None
        return known

    def _column(self, run: Running) -> int:
        return -1 if run.node is None else self.node_usage.place.get(run.node, -1)


def _totals(node_usage: NodeUsage, limits: PoolSettings) -> Demand:
    """Return what there is of each kind: what the nodes have, or the pool's limit where that is less."""
    capacity = node_usage.capacity[:, node_usage.node_table.real]
    have = [int(capacity[kind].sum()) for kind in (-1, 0, 1, 2, 3)]
    ceiling = most(limits.ceiling)
    return tuple(there if limit is None else min(there, limit) for there, limit in zip(have, ceiling, strict=True))


def not_yet(limits: PoolSettings) -> CycleCache:
    """Return an empty cache, which is valid for no state."""
    return CycleCache(NodeUsage(), limits, {})
