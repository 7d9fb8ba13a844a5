"""The starvation bound over all pools, as a ghost beside the gate: it looks at the rows after each pass, from outside.

The eldest is the first in order of all aged runs, of whatever pool, that wait and could ever start. From the
first pass of its own pool after it became that:

1. Nobody who comes later in the order, and starts from then on in any pool, takes what it needs of its team's and
   user's limits, nor one of its names.
2. It starts with the next pass of its pool that finds its names free, and room in all limits and on a node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from properties.ageing_rows import PLACES, place_of
from properties.claim_checks import clash
from properties.starvation import Most, Place, room, used

NODES = "SELECT pool, name, cpu_milli FROM nodes WHERE ready"


@dataclass(kw_only=True)
class GhostAcross:
    """Who is the eldest, and who held a place when that was first seen. `checked` and `passed` show that it works."""

    eldest: Place | None = None
    there: frozenset[Any] = frozenset()
    checked: int = 0
    passed: int = 0

    settled: set[str] = field(default_factory=set)
    """Pools that have passed since somebody changed something: what another one still keeps may be for nobody."""

    def forget(self) -> None:
        """Start anew: somebody has changed what the bound relies on."""
        self.eldest = None
        self.settled.clear()

    def after(self, gate_db: Any, pool: str, limits: Mapping[Any, Most]) -> None:
        """Check a pass of a pool. `limits` are those of all pools, users and teams."""
        self.settled.add(pool)
        rows, nodes = gate_db.sql(PLACES), gate_db.sql(NODES)
        held = [row for row in rows if row.state == "admitted"]
        first = _eldest(rows, nodes, limits)
        if first is None or self.eldest is None or self.eldest.run != first.execution_id:
            self.eldest = None
        if first is not None and first.pool == pool:
            now = _kept(first, held, limits)
            if self.eldest is None or len(now.owners) > len(self.eldest.owners):
                self.eldest, self.there = now, frozenset(row.execution_id for row in held)
        if first is not None and self.eldest is not None:
            self._check(first, held, limits)
        if first is not None and first.pool == pool and self.settled >= {row.pool for row in rows if row.reserved_for}:
            assert not _could_start(first, held, nodes, limits), f"{first} waits for nothing"

    def _check(self, first: Any, held: Sequence[Any], limits: Mapping[Any, Most]) -> None:
        assert self.eldest is not None
        new = [row for row in held if row.execution_id not in self.there]
        later = [row for row in new if (row.key, row.seq) > (first.key, first.seq)]
        self.checked += 1
        self.passed += any(row.pool != first.pool for row in later)

        assert room([place_of(row) for row in later], (self.eldest,), limits), f"{later} took what {first} needs"
        assert not clash(_taken(later), first.exclusive), f"{later} took a name of {first}"


def _eldest(rows: Sequence[Any], nodes: Sequence[Any], limits: Mapping[Any, Most]) -> Any:
    """Return the row of the eldest; None where that is one of a group, or others are asked to stop for it."""
    for row in rows:
        if row.state == "waiting" and row.aged and row.due:
            fits = _fits(row, nodes)
            if fits and room((), (place_of(row),), limits):
                return None if row.group_id or row.helped else row
    return None


def _fits(row: Any, nodes: Sequence[Any]) -> bool:
    """Return whether a node of its pool, or a place for experiments, could ever hold a run."""
    if not row.slot:
        return bool(row.places)
    return any(node.pool == row.pool and node.cpu_milli >= row.cpu_milli for node in nodes)


def _kept(first: Any, held: Sequence[Any], limits: Mapping[Any, Most]) -> Place:
    """Return a run with the owners in whose limits it surely has room kept.

    None where it waits for a name, only its user's where that is at its limit: nothing of who is not in its way.
    """
    run, places = place_of(first), [place_of(row) for row in held]
    _, user, team = run.owners
    if clash(_taken(held), first.exclusive):
        return replace(run, owners=())
    alone = replace(run, owners=(user,))
    return replace(run, owners=(user, team)) if room(places, (alone,), limits) else alone


def _taken(held: Sequence[Any]) -> set[str]:
    return {name for row in held for name in row.exclusive}


def _could_start(first: Any, held: Sequence[Any], nodes: Sequence[Any], limits: Mapping[Any, Most]) -> bool:
    places = [place_of(row) for row in held]
    free = {
        node.name: node.cpu_milli - used(place for place in places if place.node == node.name)[1]
        for node in nodes
        if node.pool == first.pool
    }
    experiments = sum(not row.slot for row in held if row.pool == first.pool)
    fits = any(cpu >= first.cpu_milli for cpu in free.values()) if first.slot else experiments < first.places
    here = fits and not clash(_taken(held), first.exclusive)
    return here and room(places, (place_of(first),), limits)
