"""The starvation bound of decision 4, as a ghost beside a pool: it watches each pass from outside and decides nothing.

Of the aged runs that wait for what others hold, the first in order is the eldest. From the pass on in which it becomes
that, as long as nobody changes nodes, limits or the order before it:

1. Nobody who starts from then on takes what it needs: on its node, and within the limits of all it counts for, there
   would be room for it beside all of them.
2. The node that is kept for it stays the same.
3. So it waits for nobody but those who held a place when it became the eldest: once none of them is left on its node,
   and the limits have room, the next pass starts it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

Most: TypeAlias = tuple[int | None, int | None]
"""How many runs, and how much CPU in milli-cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a run has, or asks for. `node` of one that waits: the node kept for it. `owners`: whose limits hold."""

    run: Any
    seq: int
    cpu: int
    owners: tuple[Any, ...]
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A pool right after a pass.

    `candidates`: aged runs that wait, in order, of those on which nobody before them has a claim; `delayed`: those of
    them that wait for a node or the pool. `started`: all that started in this pass. `limits` by owner, less what is
    used elsewhere.
    """

    candidates: Sequence[Place]
    delayed: Collection[Any]
    holding: Mapping[Any, Place]
    started: Collection[Any]
    aged: Collection[Any]
    """Those of `started` that were aged."""
    capacity: Mapping[str, int]
    limits: Mapping[Any, Most]

    def before(self, run: Place) -> set[Any]:
        """Return who started in this pass, and was before a run in order."""
        return {one for one in self.aged if self.holding[one].seq < run.seq}


@dataclass(kw_only=True)
class Ghost:
    """Who is the eldest, and who held a place when it became that. The numbers show that it has something to do."""

    eldest: Place | None = None
    there: frozenset[Any] = frozenset()
    checked: int = 0
    passed: int = 0
    started: int = 0

    def forget(self) -> None:
        """Start anew: somebody has changed what the bound relies on."""
        self.eldest = None

    def after(self, seen: Seen) -> None:
        """Check a pass."""
        first = next((run for run in seen.candidates if run.run in seen.delayed), None)
        same = self._found_again(seen)
        if same is None or (first is not None and first.seq < same.seq):
            self._begin(seen, first)
        elif self.eldest is not None:
            self._check(seen, self.eldest, same)

    def _found_again(self, seen: Seen) -> Place | None:
        """Return the eldest as it waits now; None if it does not, or one before it has started meanwhile."""
        if self.eldest is None:
            return None
        self.started += self.eldest.run in seen.started
        same = next((run for run in seen.candidates if self.eldest.run == run.run), None)
        return None if same is None or seen.before(same) else same

    def _begin(self, seen: Seen, eldest: Place | None) -> None:
        self.eldest = eldest
        if eldest is not None:
            self.there = frozenset(seen.holding.keys() - (set(seen.started) - seen.before(eldest)))
            self._check(seen, eldest, eldest)

    def _check(self, seen: Seen, old: Place, now: Place) -> None:
        since = [place for run, place in seen.holding.items() if run not in self.there]
        self.checked += 1
        self.passed += bool(since)
        node = old.node or now.node
        self.eldest = replace(old, node=node)

        assert node == now.node, f"{old} has another node now: {now.node}"
        assert node is not None or not since, f"nothing is kept for {old}, and others start: {since}"
        if node is not None:
            here = [place for place in since if place.node == node]
            assert used(here)[1] + old.cpu <= seen.capacity[node], f"{here} took the node of {old}"
        assert room(since, old, seen.limits), f"{since} took what {old} needs of a limit"
        assert self._has_to_wait(seen, old, node), f"{old} waits for nobody who was there before it: {seen.holding}"

    def _has_to_wait(self, seen: Seen, old: Place, node: str | None) -> bool:
        if any(seen.holding[run].node == node for run in self.there & seen.holding.keys()):
            return True
        return not room(seen.holding.values(), old, seen.limits)


def used(places: Iterable[Place]) -> tuple[int, int]:
    """Return how many they are, and their CPU."""
    listed = list(places)
    return len(listed), sum(place.cpu for place in listed)


def room(places: Iterable[Place], run: Place, limits: Mapping[Any, Most]) -> bool:
    """Return whether a run would be within all limits beside `places`."""
    listed: Sequence[Place] = list(places)
    for owner in run.owners:
        taken = used(place for place in listed if owner in place.owners)
        asked = (taken[0] + 1, taken[1] + run.cpu)
        if any(most is not None and need > most for need, most in zip(asked, limits.get(owner, ()), strict=False)):
            return False
    return True
