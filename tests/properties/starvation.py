"""The starvation bound of D4, as a ghost beside a pool: it watches each pass from outside and decides nothing.

Of the aged runs that wait for what others hold, the first in order is the eldest; or it is a group, whose members start
together. From the pass on in which it becomes that, as long as nobody changes nodes, limits or the order before it:

1. Nobody who starts from then on takes what it needs: on its nodes, and within the limits of all it counts for, there
   would be room for all of it beside all of them.
2. The nodes that are kept for it stay the same.
3. So it waits for nobody but those who held a place when it became the eldest: once none of them is left on its nodes,
   and the limits have room, the next pass starts it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeAlias

Most: TypeAlias = tuple[int | None, int | None]
"""How many runs, and how much CPU in milli-cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a run has, or asks for. `rank`: key and arrival. `node` of one that waits: the node kept for it.

    `owners`: whose limits hold.
    """

    run: Any
    rank: tuple[int, ...]
    cpu: int
    owners: tuple[Any, ...]
    node: str | None = None
    slot: int = 1
    """How many of the runs at once it is; an experiment is none."""


Party: TypeAlias = tuple[Place, ...]
"""A run, or the members of a group: they start together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A pool right after a pass.

    `candidates`: aged runs and groups that wait, in order, of those on which nobody before them has a claim; `delayed`:
    the runs of those that wait for a node or the pool. `started`: all that started in this pass. `limits` by owner,
    less what is used elsewhere.
    """

    candidates: Sequence[Party]
    delayed: Collection[Any]
    holding: Mapping[Any, Place]
    started: Collection[Any]
    aged: Collection[Any]
    """Those of `started` that were aged."""
    capacity: Mapping[str, int]
    limits: Mapping[Any, Most]

    def before(self, party: Party) -> set[Any]:
        """Return who started in this pass, and was before it in order."""
        return {one for one in self.aged if self.holding[one].rank < first_rank(party)}


@dataclass(kw_only=True)
class Ghost:
    """Who is the eldest, and who held a place when it became that. The numbers show that it has something to do."""

    eldest: Party | None = None
    there: frozenset[Any] = frozenset()
    checked: int = 0
    passed: int = 0
    started: int = 0
    groups: int = 0
    """How many of those that started were groups."""

    def forget(self) -> None:
        """Start anew: somebody has changed what the bound relies on."""
        self.eldest = None

    def after(self, seen: Seen) -> None:
        """Check a pass."""
        first = next((party for party in seen.candidates if party[0].run in seen.delayed), None)
        same = self._found_again(seen)
        if same is None or (first is not None and first_rank(first) < first_rank(same)):
            self._begin(seen, first)
        elif self.eldest is not None:
            self._check(seen, self.eldest, same)

    def _found_again(self, seen: Seen) -> Party | None:
        """Return the eldest as it waits now; None if it does not, or one before it has started meanwhile."""
        if self.eldest is None:
            return None
        if self.eldest[0].run in seen.started:
            self.started += 1
            self.groups += len(self.eldest) > 1
        same = next((party for party in seen.candidates if runs(self.eldest) == runs(party)), None)
        return None if same is None or seen.before(same) else same

    def _begin(self, seen: Seen, eldest: Party | None) -> None:
        self.eldest = eldest
        if eldest is not None:
            self.there = frozenset(seen.holding.keys() - (set(seen.started) - seen.before(eldest)))
            self._check(seen, eldest, eldest)

    def _check(self, seen: Seen, old: Party, now: Party) -> None:
        slots = {place.slot for place in old}  # experiments and tests take nothing of each other but names
        since = [place for run, place in seen.holding.items() if run not in self.there and place.slot in slots]
        self.checked += 1
        self.passed += bool(since)
        kept = self.eldest = tuple(replace(was, node=was.node or one.node) for was, one in zip(old, now, strict=True))

        assert [place.node for place in kept] == [place.node for place in now], f"{old} has other nodes now: {now}"
        assert all(place.node for place in kept) or not since, f"nothing is kept for {old}, and others start: {since}"
        assert len({bool(place.node) for place in kept}) == 1, f"only some of {kept} have a node kept"
        for node in {place.node for place in kept if place.node is not None}:
            here = [place for place in (*since, *kept) if place.node == node]
            assert used(here)[1] <= seen.capacity[node], f"{here} do not fit beside each other"
        assert room(since, kept, seen.limits), f"{since} took what {old} needs of a limit"
        assert self._has_to_wait(seen, kept), f"{old} waits for nobody who was there before it: {seen.holding}"

    def _has_to_wait(self, seen: Seen, kept: Party) -> bool:
        nodes = {place.node for place in kept}
        if any(seen.holding[run].node in nodes for run in self.there & seen.holding.keys()):
            return True
        return not room(seen.holding.values(), kept, seen.limits)


def runs(party: Party) -> list[Any]:
    """Return who they are."""
    return [place.run for place in party]


def first_rank(party: Party) -> tuple[int, ...]:
    """Return the place in the order: that of the first."""
    return min(place.rank for place in party)


def used(places: Iterable[Place]) -> tuple[int, int]:
    """Return how many of the runs at once they are, and their CPU."""
    listed = list(places)
    return sum(place.slot for place in listed), sum(place.cpu for place in listed)


def room(places: Iterable[Place], party: Party, limits: Mapping[Any, Most]) -> bool:
    """Return whether all of a party would be within all limits beside `places`."""
    there: Sequence[Place] = [*places, *party]
    for place in party:
        for owner in place.owners:
            taken = used(one for one in there if owner in one.owners)
            asked = (place.slot, place.cpu)
            most = limits.get(owner, ())
            if any(m is not None and a and need > m for a, need, m in zip(asked, taken, most, strict=False)):
                return False
    return True


def seatable(party: Party, free: Mapping[str, int], open_to: Mapping[Any, Collection[str]]) -> bool:
    """Return whether all of a party find room on nodes at once, in any way; `open_to`: which nodes take each run."""
    for nodes in product(*(sorted(open_to[place.run]) for place in party)):
        taken = dict.fromkeys(nodes, 0)
        for place, node in zip(party, nodes, strict=True):
            taken[node] += place.cpu
        if all(cpu <= free[node] for node, cpu in taken.items()):
            return True
    return False
