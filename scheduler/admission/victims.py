"""Of the runs on one node that may be stopped: the fewest whose places are enough, and of equally few the cheapest.

Least important first, then youngest: of two sets of equal size that one goes whose most important run is less
important, then the next one, and so on; if all are as important, that one whose oldest run is younger, and so on; then
by id.

Up to `EXACT` runs all sets are tried. Left out are runs that as many others outdo as the set has: those give no less of
what is lacking, and are cheaper. Where still more than `TRIES` sets would be left, the dearest runs are left out. From
there on those come first that give most; where one kind of amount is lacking, that is still the fewest. Who proves not
to be needed stays. Source of that: the reverse pass of Kueue's minimal set of victims.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations, islice
from math import comb
from typing import TypeAlias

from scheduler.values.run import Running
from scheduler.values.usage_totals import Demand, need

EXACT = 3
TRIES = 5_000

Cost: TypeAlias = tuple[int, tuple[int, ...], tuple[float, ...], tuple[int, ...]]
_Set: TypeAlias = tuple[int, ...]
"""Numbers of runs, the cheapest run being 0."""


def cost(runs: Iterable[Running]) -> Cost:
    """Return what it costs to stop runs, the least being the best; no two sets cost the same."""
    stopped = list(runs)
    return (
        len(stopped),
        tuple(-priority for priority in sorted(run.queued.priority for run in stopped)),
        tuple(-begun for begun in sorted(map(_begun, stopped))),
        tuple(sorted(run.execution_id.int for run in stopped)),
    )


class Victims:
    """The runs on one node that may be stopped, the cheapest first, and what is lacking there; 0: nothing of a kind.

    Amounts are in the order of `Demand`.
    """

    def __init__(self, lacking: Demand, runs: Sequence[Running]) -> None:
        kinds = [kind for kind, amount in enumerate(lacking) if amount > 0]
        self._lacking = tuple(lacking[kind] for kind in kinds)
        self._runs = runs
        given = (need(run.resources, run.slots) for run in self._runs)
        self._gives = [tuple(min(gives[kind], lacking[kind]) for kind in kinds) for gives in given]

    def suffice(self) -> bool:
        """Return whether it is enough if all of them stop."""
        return self._enough(range(len(self._runs)))

    def best(self, size: int) -> tuple[Running, ...] | None:
        """Return the cheapest set of so many runs that is enough, None if there is none."""
        if not self._may_be_enough(size):
            return None
        sets = combinations(self._worth_trying(size), size)
        return min((self._named(one) for one in sets if self._enough(one)), key=cost, default=None)

    def many(self) -> tuple[Running, ...]:
        """Return a set that is enough, without any run that it could do without. All of them `suffice`."""
        chosen: list[int] = []
        for number in sorted(range(len(self._runs)), key=lambda number: (-self._share(number), number)):
            if self._enough(chosen):
                break
            chosen.append(number)
        for number in sorted(chosen, reverse=True):
            without = [other for other in chosen if other != number]
            if self._enough(without):
                chosen = without
        return self._named(chosen)

    def _enough(self, chosen: Sequence[int]) -> bool:
        return all(
            sum([self._gives[number][kind] for number in chosen]) >= lacks for kind, lacks in enumerate(self._lacking)
        )

    def _may_be_enough(self, size: int) -> bool:
        """Return whether so many could be enough, by each kind of amount alone."""
        for kind, lacks in enumerate(self._lacking):
            most = sorted((gives[kind] for gives in self._gives), reverse=True)[:size]
            if sum(most) < lacks:
                return False
        return size <= len(self._runs)

    def _worth_trying(self, size: int) -> list[int]:
        """Return the runs of which a cheapest set of so many consists."""
        kept: list[int] = []
        for number, gives in enumerate(self._gives):
            better = (1 for other in kept if _no_less(self._gives[other], gives))
            if sum(islice(better, size)) < size:
                kept.append(number)
        while len(kept) > size and comb(len(kept), size) > TRIES:
            kept.pop()
        return kept

    def _share(self, number: int) -> float:
        return sum(gives / lacks for gives, lacks in zip(self._gives[number], self._lacking, strict=True))

    def _named(self, chosen: _Set | Sequence[int]) -> tuple[Running, ...]:
        return tuple(self._runs[number] for number in sorted(chosen))


def _no_less(one: Demand, other: Demand) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True))


def _begun(run: Running) -> float:
    return 0.0 if run.started_at is None else run.started_at.timestamp()
