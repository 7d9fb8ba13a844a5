"""What a state remembers from pass to pass, so that a pass costs what changed. It never changes a decision.

The classes are kept as arrays (`ClassArrays`), one row a class. A row is `settled` when a pass found no node for its
first run. After that only a node with more room than it had then (`grown`) can change this, and all settled rows are
compared with such nodes at once.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from model.ids import ExecutionId, TeamId, UserId
from model.resources import Resources
from scheduler.admission.equivalence_classes import RunClass
from scheduler.admission.reservation import NO_TIME, Reservation
from scheduler.placement.ask import Ask
from scheduler.placement.node_filter import fits, matching
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.node_arrays import KINDS, Amounts, Mask, Numbers, vector
from scheduler.values.order import rank_number
from scheduler.values.pool import NO_CEILING, Owner, PoolSettings
from scheduler.values.quota_limits import QuotaLimit, bound_of, is_full, most, over, pool_bound
from scheduler.values.run import Rank, Running, Shape
from scheduler.values.usage_totals import NOTHING, Demand, UsageTotals

MANY = 64
"""Of so many nodes with more room it is cheaper to look at every class."""
NEVER = np.iinfo(np.int64).max
_ANY = np.iinfo(np.int64).min
"""Less than any node has: what is not asked for is not looked at."""
_ARRAYS = (
    "need",
    "key",
    "soft",
    "hard",
    "kind",
    "user",
    "team",
    "payer",
    "live",
    "settled",
    "hopeless",
    "aged",
    "plain",
    "named",
    "slotless",
)


class OwnerNumbers:
    """Numbers for owners, by which arrays are indexed; number 0 is nobody."""

    def __init__(self) -> None:
        self.number: dict[UUID | None, int] = {None: 0}
        self.all: list[UUID | None] = [None]
        """By number."""
        self.full: Mask = np.zeros(64, dtype=np.bool_)
        """Who may start nothing more, whatever it asks for."""

    def of(self, owner: UUID | None) -> int:
        """Return the number of an owner, a new one if it has none."""
        number = self.number.get(owner)
        if number is None:
            number = self.number[owner] = len(self.all)
            self.all.append(owner)
            if number >= len(self.full):
                self.full = np.concatenate((self.full, np.zeros_like(self.full)))
        return number


class ClassArrays:
    """What the classes ask for. Only the first `size` of each array are in use, and of these those that are `live`."""

    def __init__(self, node_usage: NodeUsage, limits: PoolSettings) -> None:
        self.node_usage = node_usage
        self.limits = limits
        self.owners = OwnerNumbers()
        self.classes: list[RunClass | None] = []
        self.size = 0
        self._spare: list[int] = []
        self._kinds: dict[Hashable, int] = {}
        self._shapes: dict[Shape, tuple[Amounts, int]] = {}
        self._largest = [_ANY] * len(KINDS)
        """The largest amount that any row has asked for, by kind."""
        self.accepts: Mask = np.zeros((8, len(node_usage)), dtype=np.bool_)
        """Which nodes take runs of a kind (labels, taints) by everything but amounts. Shape: (kinds, nodes)."""
        self._all_accepted: Mask = np.ones(len(node_usage), dtype=np.bool_)
        """Which nodes take runs of every kind."""
        self._allocate(64)

    def _allocate(self, room: int) -> None:
        self.need: Amounts = np.full((len(KINDS), room), _ANY, dtype=np.int64)
        self.key: Amounts = np.full(room, NEVER, dtype=np.int64)
        self.soft: Numbers = np.zeros(room)
        self.hard: Numbers = np.zeros(room)
        self.kind: NDArray[np.intp] = np.zeros(room, dtype=np.intp)
        self.user: NDArray[np.intp] = np.zeros(room, dtype=np.intp)
        self.team: NDArray[np.intp] = np.zeros(room, dtype=np.intp)
        self.payer: NDArray[np.intp] = np.zeros(room, dtype=np.intp)
        self.live: Mask = np.zeros(room, dtype=np.bool_)
        self.settled: Mask = np.zeros(room, dtype=np.bool_)
        self.hopeless: Mask = np.zeros(room, dtype=np.bool_)
        self.aged: Mask = np.zeros(room, dtype=np.bool_)
        self.plain: Mask = np.zeros(room, dtype=np.bool_)
        self.named: Mask = np.zeros(room, dtype=np.bool_)
        """Whose runs ask for exclusive names."""
        self.slotless: Mask = np.zeros(room, dtype=np.bool_)
        """Whose runs count for none of the limits of runs at once: experiments."""

    def update(self, run_class: RunClass) -> None:
        """Take note of a class that is new, has another first run, or is empty."""
        if not run_class.runs:
            self._drop(run_class)
            return
        if run_class.row < 0:
            self._give_row(run_class)
        row, run = run_class.row, run_class.first
        self.key[row] = rank_number(run, self.limits, is_aged=run_class.aged)
        self.hard[row] = run.limit.total_seconds()
        self.soft[row] = (run.expected or run.limit).total_seconds()
        self.settled[row] = False

    def hits(self, column: int, node_usage: NodeUsage) -> Mask:
        """Return which rows would fit a node. A kind is not looked at of which the node has enough for every row."""
        size, free = self.size, node_usage.free[:, column].tolist()
        fit = self.need[0, :size] <= free[0]
        for kind in range(1, len(KINDS)):
            if self._largest[kind] > free[kind]:
                fit &= self.need[kind, :size] <= free[kind]
        if not self._all_accepted[column]:
            fit &= self.accepts[self.kind[:size], column]
        return np.asarray(fit, dtype=np.bool_)

    def _give_row(self, run_class: RunClass) -> None:
        row = run_class.row = self._spare.pop() if self._spare else self._next()
        self.classes[row] = run_class
        self.need[:, row], self.kind[row] = self._of_shape(run_class.ask)
        user, *team = run_class.owners[1:]
        self.user[row], self.team[row] = self.owners.of(user), self.owners.of(team[0] if team else None)
        self.payer[row] = self.owners.of(run_class.payer)
        self.live[row], self.aged[row] = True, run_class.aged
        self.plain[row], self.hopeless[row] = run_class.plain, False
        self.named[row], self.slotless[row] = bool(run_class.first.exclusive), run_class.slotless

    def _drop(self, run_class: RunClass) -> None:
        row = run_class.row
        if row < 0:
            return
        run_class.row = -1
        self.classes[row] = None
        self.live[row], self.key[row] = False, NEVER
        self.need[:, row] = NEVER
        self._spare.append(row)

    def _next(self) -> int:
        row = self.size
        self.size += 1
        self.classes.append(None)
        if row >= len(self.key):
            self._grow()
        return row

    def _grow(self) -> None:
        old = {name: getattr(self, name) for name in _ARRAYS}
        room = len(self.key)
        self._allocate(2 * room)
        for name, array in old.items():
            getattr(self, name)[..., :room] = array

    def _of_shape(self, ask: Ask) -> tuple[Amounts, int]:
        """Return what runs of a shape need of a node, and their kind; worked out once for each shape."""
        known = self._shapes.get(ask.shape)
        if known is None:
            needed, amounts = _needed(ask.shape.resources)
            self._largest = list(map(max, self._largest, amounts))
            known = self._shapes[ask.shape] = (needed, self._kind(ask))
        return known

    def _kind(self, ask: Ask) -> int:
        constraints = ask.shape.constraints
        key = (constraints.node_selector, constraints.tolerations, constraints.affinity.required, constraints.backend)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = len(self._kinds)
            if kind >= len(self.accepts):
                self.accepts = np.concatenate((self.accepts, np.zeros_like(self.accepts)))
            self.accepts[kind] = matching(self.node_usage.node_table, ask)
            self._all_accepted = np.asarray(self.accepts[: kind + 1].all(axis=0), dtype=np.bool_)
        return kind


@lru_cache(maxsize=4096)
def _needed(resources: Resources) -> tuple[Amounts, list[int]]:
    """Return what a run needs of a node, by kind, also as numbers; what it does not ask for any node has."""
    request = vector(resources)
    needed = np.where(request > 0, request, _ANY)
    needed.flags.writeable = False
    return needed, needed.tolist()


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
        if not self.limited:
            return ()
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
