"""In which order a pass looks at classes, and which of them it need not look at.

A class for which a pass before found no node is left out, unless a node has more room now. Whoever could make a
difference is looked at even so: until the first run that is blocked is found, everybody; and aged runs, as long as
nodes are kept free for more of them.
"""

from collections.abc import Mapping
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from model.ids import ExecutionId
from scheduler.admission.cycle_cache import NEVER, CycleCache, Kept
from scheduler.admission.equivalence_classes import RunClass
from scheduler.admission.fair_order import Fairness
from scheduler.admission.reservation import NO_TIME
from scheduler.admission.reservations import Reservations
from scheduler.values.node_arrays import Mask
from scheduler.values.order import FIRST, rank_number
from scheduler.values.quota_limits import QuotaLimit
from scheduler.values.run import Queued, Rank


class RunOrder:
    """What is left of the order in a pass."""

    def __init__(
        self, cache: CycleCache, reservations: Reservations, fairness: Fairness | None, *, seeking: bool
    ) -> None:
        self.cache, self.arrays, self.reservations, self.fairness = cache, cache.arrays, reservations, fairness
        self.all = cache.limits.preemption
        self.seeking = seeking
        """True until the first run that is blocked was found."""
        self.pool_closed = False
        """True when only runs may start that use what is kept, and are gone in time; and experiments."""
        self.pool_full = False
        """True when only experiments may start: they, and aged runs whose names they must not take, are looked at."""
        kept = [] if self.all else sorted(cache.kept.values(), key=attrgetter("rank"))
        self._pending = {one.run: one for one in kept}
        """What the last pass kept, as far as it was not the turn of those yet, in order."""
        self._last = dict(self._pending)
        """All that the last pass kept."""
        self.grown = set(cache.grown)
        """Columns of nodes that may have more room, for somebody, than when the last cycle looked at them."""
        self._key = self.arrays.key[: self.arrays.size].copy()
        self._full = self.arrays.owners.full.copy()
        self._any_full = bool(self._full.any())
        self._cursor: dict[int, int] = {}
        self._moved = np.zeros(self.arrays.size, dtype=np.bool_)
        """Rows of which the first run is not the one to be looked at any more."""
        self._hits: dict[int, Mask] = {}
        self._found: set[int] = set()
        self._candidates: NDArray[np.intp] | None = None

    def next(self) -> tuple[RunClass, Queued] | None:
        """Return the first run of the order that is left; what was kept for one before it, and is not now, is free."""
        while True:
            row, kept = self._first(), next(iter(self._pending.values()), None)
            if kept is None or (row is not None and not self._passed(kept, row)):
                return None if row is None else (self._class_of(row), self._run(row))
            self._give_up(self._pending.pop(kept.run))

    def go_on(self, run_class: RunClass) -> None:
        """Look at the next run of a class when it is its turn."""
        place = self._cursor[run_class.row] = self._cursor.get(run_class.row, 0) + 1
        self._moved[run_class.row] = True
        self._key[run_class.row] = self._number(run_class, place)

    def give_up_before(self, kept: Kept) -> None:
        """Let others have what the last cycle kept for runs before that one, and this cycle has not."""
        while (first := next(iter(self._pending.values()), None)) is not None and first.rank < kept.rank:
            self._give_up(self._pending.pop(first.run))

    def place(self, run_class: RunClass) -> int:
        """Return how many runs of a class have had their turn."""
        return self._cursor.get(run_class.row, 0)

    def pass_by(self, run_class: RunClass, place: int) -> None:
        """Go on with the run of a class that has so many before it."""
        self._cursor[run_class.row], self._moved[run_class.row] = place, True
        self._key[run_class.row] = self._number(run_class, place)

    def first_aged_behind(self, places: Mapping[RunClass, int]) -> int:
        """Return the least number of an aged run to be looked at, if of these classes so many runs are left out."""
        size = self.arrays.size
        keys = np.where(self.arrays.aged[:size] & ~self.arrays.hopeless[:size], self._key, NEVER)
        for run_class, place in places.items():
            keys[run_class.row] = self._number(run_class, place)
        return int(keys.min(initial=NEVER))

    def leave(self, run_class: RunClass) -> None:
        """Look at no more runs of a class."""
        self._key[run_class.row] = NEVER

    def less(self, column: int) -> None:
        """Look anew at who may fit a node that has less room now, where that matters to anybody."""
        self._hits.pop(column, None)
        if column in self.grown or self.pool_closed:
            self._candidates = None

    def anew(self) -> None:
        """Look anew at who is left."""
        self._candidates = None

    def full(self, bound: QuotaLimit) -> None:
        """Pass by all classes of a user or team that may start nothing more."""
        self._full[self.arrays.owners.of(bound.owner)] = self._any_full = True
        self.anew()

    def confirm(self, now: Kept) -> None:
        """Keep on what the last pass kept for a run; if it is another node now, the old one is free."""
        kept = self._pending.pop(now.run, None)
        if kept is not None and (kept.column, kept.firm) != (now.column, now.firm):
            self._give_up(kept)

    def gives_way(self, now: Kept) -> None:
        """Look again at a node whose reservation gives way for longer than in the last pass.

        What is kept for a group, or for a run that waits for the pool too, gives way on all of its nodes for as long as
        the slowest of these takes. So the node need not be one on which something happened.
        """
        before = self._last.get(now.run)
        if before is not None and before.column == now.column and before.gives_way < now.gives_way:
            self.grown.add(now.column)
            self.less(now.column)

    def fits_nowhere(self, run_class: RunClass, run: Queued) -> bool:
        """Return whether it is known that no node has room for a run besides what is kept."""
        row = run_class.row
        if self.all or run is not run_class.first or not (self.arrays.settled[row] and self.arrays.plain[row]):
            return False
        return not any(self._of(column)[row] for column in self.grown)

    def settle(self, run_class: RunClass, run: Queued, *, hopeless: bool) -> None:
        """Remember that no node has room for a run."""
        if run is run_class.first and not self.reservations.pooled:
            self.arrays.settled[run_class.row] = True
            self.arrays.hopeless[run_class.row] = hopeless
            self._found.add(run_class.row)

    def close(self, kept: dict[ExecutionId, Kept], taken: dict[ExecutionId, int]) -> None:
        """Remember what the next pass may rely on. `taken`: the nodes of those that start, if that comes to pass."""
        size = self.arrays.size
        unsure = np.zeros(size, dtype=np.bool_)
        before = self.arrays.key[:size] <= max((one.number for one in kept.values()), default=FIRST)
        any_before = bool(before.any())
        for column in self.grown:
            unsure |= self._of(column)
            if any_before:  # what is kept for those after them does not bind them
                unsure |= before & self.arrays.hits(column, self.reservations.node_usage)
        unsure[list(self._found)] = False
        self.arrays.settled[:size] &= ~unsure
        self.cache.kept = self._pending | kept
        self.cache.grown.clear()
        self.cache.expected = taken

    def _first(self) -> int | None:
        if self._candidates is None:
            self._candidates = self._wanted().nonzero()[0]
        if not len(self._candidates):
            return None
        keys = self._key[self._candidates]
        if self.fairness is not None:
            keys = self.fairness.least(self._candidates, keys)
        best = keys.argmin()
        if keys[best] == NEVER:
            return None
        equal = self._candidates[keys == keys[best]]
        if len(equal) > 1:
            return min((int(row) for row in equal), key=self._rank)
        return int(equal[0])

    def _wanted(self) -> Mask:
        arrays, size = self.arrays, self.arrays.size
        wanted = ~(arrays.settled[:size] & arrays.plain[:size])
        wanted |= self._moved
        for column in self.grown:
            wanted |= self._of(column)
        if self.all:
            wanted[:] = True
        elif self.seeking:
            wanted |= ~arrays.hopeless[:size]
        elif not self.reservations.exhausted:
            wanted |= arrays.aged[:size] & ~arrays.hopeless[:size]
        wanted &= self._key != NEVER
        slotless = arrays.slotless[:size]
        named = arrays.aged[:size] & arrays.named[:size]  # their names are kept for them all the same
        if self._any_full:
            full = self._full[arrays.user[:size]] | self._full[arrays.team[:size]]
            wanted &= ~full | slotless | named
        if self.pool_full:
            return wanted & (slotless | named)
        return wanted & (self._short() | self._moved | slotless) if self.pool_closed else wanted

    def _of(self, column: int) -> Mask:
        """Return which rows a node with more room may have room for."""
        known = self._hits.get(column)
        if known is None:
            known = self.arrays.hits(column, self.reservations.room)
            if self.reservations.any_gives_way and any(
                reservation.gives_way > NO_TIME for reservation in self.reservations.on(column)
            ):
                known |= self.arrays.hits(column, self.reservations.node_usage) & self._short()
            self._hits[column] = known
        return known

    def _short(self) -> Mask:
        """Return which rows may be quick enough to use something that is kept."""
        size = self.arrays.size
        soft = self.arrays.soft[:size] <= self.reservations.longest(firm=False)
        return np.asarray(soft | (self.arrays.hard[:size] <= self.reservations.longest(firm=True)), dtype=np.bool_)

    @property
    def has_experiments(self) -> bool:
        """Whether any experiment waits."""
        return bool((self.arrays.slotless & self.arrays.live)[: self.arrays.size].any())

    def rank(self, run_class: RunClass) -> Rank:
        """Return the place of a class in the order: that of its first run that is left."""
        return self._rank(run_class.row)

    def _rank(self, row: int) -> Rank:
        run = self._run(row)
        return (int(self._key[row]), run.seq, run.execution_id)

    def _passed(self, kept: Kept, row: int) -> bool:
        """Return whether the turn of whom something was kept for is over."""
        return kept.rank < self._rank(row)

    def _give_up(self, kept: Kept) -> None:
        if kept.column >= 0:
            self.grown.add(kept.column)
            self.less(kept.column)

    def _run(self, row: int) -> Queued:
        return self._class_of(row).runs[self._cursor.get(row, 0)]

    def _number(self, run_class: RunClass, place: int) -> int:
        """Return the number in the order of the run of a class that has so many before it; `NEVER` if there is none."""
        if place >= len(run_class.runs):
            return NEVER
        return rank_number(run_class.runs[place], self.cache.limits, is_aged=run_class.aged)

    def _class_of(self, row: int) -> RunClass:
        run_class = self.arrays.classes[row]
        if run_class is None:
            raise LookupError(f"row {row} has no class")
        return run_class
