"""Reserve again what the last cycle reserved for aged runs (rule 6), without looking at each of them anew.

On an overloaded day the same aged runs wait for their nodes in cycle after cycle, and one cycle differs from the last
by one run that came or ended. A reservation of the last cycle is repeated if looking at its run would come to the same:
no other run comes before it in the order, it fits on no node that may have more room than when it was looked at last,
and its node is not reserved for somebody else. On the other nodes it did not fit then, and there is only less room now.
All others are looked at.

This is only done where nothing but nodes decides: no limits, shares, added rules or preemption. Runs with names, groups
or rules about other runs are looked at each time.
"""

from collections.abc import Sequence

import numpy as np

from scheduler.admission.cycle_cache import Repeatable
from scheduler.admission.cycle_state import CycleState
from scheduler.admission.equivalence_classes import RunClass
from scheduler.admission.reservations import MOST_RESERVED
from scheduler.admission.run_order import RunOrder
from scheduler.values.node_arrays import vector
from scheduler.values.run import Queued


class RepeatedReservations:
    """What of the last cycle is still to be repeated (`left`, in order), and what the next one may repeat (`found`)."""

    def __init__(self, cycle: CycleState, order: RunOrder) -> None:
        self.cycle, self.order = cycle, order
        state = cycle.state
        only_nodes = not (cycle.cache.limited or state.limits.preemption or state.rules or state.reserved)
        self.used = only_nodes and cycle.fairness is None
        """False where more than nodes decides."""
        self.left: Sequence[Repeatable] = cycle.cache.repeatable if self.used else []
        self.found: list[Repeatable] = []
        self._counted = 0
        """How many reservations of the cycle are known here."""
        self._fresh: set[int] = set()
        """Columns of nodes that were reserved for runs that were looked at: they may not have what they had left."""

    def repeat(self) -> bool:
        """Reserve again what may be, up to the first run that has to be looked at; return whether that was anything."""
        if not self.left or self.cycle.reservations.exhausted:
            return False
        self.order.give_up_before(self.left[0].kept)
        known = self.left[: MOST_RESERVED - self.cycle.reservations.turns]
        known = known[: self._waiting_as_before(known)]
        known = known[: self._fitting_nowhere(known)]
        known = known[: self._keeping_their_nodes(known)]
        places = self._places(known)
        first = self.order.first_aged_behind(places)
        if known and known[-1].kept.number >= first:
            known = [one for one in known if one.kept.number < first]
            places = self._places(known)
        for run_class, place in places.items():
            self.order.pass_by(run_class, place)
        self.cycle.repeat(known)
        self._counted += len(known)
        self.left = self.left[len(known) :]
        self.found += known
        return bool(known)

    def looked_at(self, run_class: RunClass, run: Queued) -> None:
        """Note a run that was looked at, for the next cycle if a node was reserved for it."""
        if not self.used or not run_class.aged:
            self.left = []
            return
        self._fresh.update(one.column for one in self.cycle.reservations.all[self._counted :])
        self._counted = len(self.cycle.reservations.all)
        kept = self.cycle.kept.get(run.execution_id)
        if run_class.plain and kept is not None and kept.column >= 0:
            reservation = self.cycle.reservations.all[-1]
            self.found.append(Repeatable(run_class=run_class, reservation=reservation, kept=kept))
        while self.left and self.left[0].kept.rank <= self.cycle.rank:
            self.left = self.left[1:]

    def _places(self, known: Sequence[Repeatable]) -> dict[RunClass, int]:
        """Return how many runs of each class are behind the order then."""
        places: dict[RunClass, int] = {}
        for one in known:
            places[one.run_class] = places.get(one.run_class) or self.order.place(one.run_class)
            places[one.run_class] += 1
        return places

    def _waiting_as_before(self, known: Sequence[Repeatable]) -> int:
        """Return how many of these, up to the first other one, are the next run of their class and have their node."""
        nodes, places = self.cycle.state.node_usage.nodes, dict[int, int]()
        for number, one in enumerate(known):
            row, runs = one.run_class.row, one.run_class.runs
            place = places.get(row) or self.order.place(one.run_class)
            if row < 0 or place >= len(runs):
                return number
            run = runs[place]
            if run.execution_id != one.kept.run or run.nominated != nodes[one.kept.column].name:
                return number
            places[row] = place + 1
        return len(known)

    def _fitting_nowhere(self, known: Sequence[Repeatable]) -> int:
        """Return how many of these, up to the first other one, fit on no node that may have more room now."""
        arrays, room = self.cycle.cache.arrays, self.cycle.reservations.room
        rows = np.array([one.run_class.row for one in known], dtype=np.intp)
        fits, need = len(known), arrays.need[:, rows]
        for column in self.order.grown:
            free = room.free[:, column]
            here = (need <= free[:, None]).all(axis=0) & arrays.accepts[arrays.kind[rows], column]
            for number in np.flatnonzero(here[:fits]).tolist():
                before = [one.reservation for one in known[:number] if one.kept.column == column]
                taken = sum((vector(each.run.shape.resources) for each in before), np.zeros_like(free))
                if bool((need[:, number] <= free - taken).all()):
                    fits = number
                    break
        return fits

    def _keeping_their_nodes(self, known: Sequence[Repeatable]) -> int:
        """Return how many of these, up to the first other one, have room on their node besides new reservations."""
        if not self._fresh or (usage := self.cycle.reservations.left) is None:
            return len(known)
        left = {column: usage.free[:, column].copy() for column in self._fresh if column >= 0}
        for number, one in enumerate(known):
            free = left.get(one.kept.column)
            if free is not None:
                asked = vector(one.reservation.run.shape.resources)
                if bool(((asked > 0) & (asked > free)).any()):
                    return number
                free -= asked
        return len(known)
