"""A pool at one moment, as the referee sees it: plain amounts, counted anew each time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from properties.claim_checks import clash, exclude_each_other

Place: TypeAlias = tuple[int, int]
"""The key of a run in microseconds, and its number of arrival."""
Amounts: TypeAlias = tuple[int, int, int]
"""CPU in milli-cores, GPUs, places for pods: of a node, or of a run."""
Most: TypeAlias = tuple[int | None, int | None]
"""How many runs, and how much CPU."""
SAME = 1e-9
"""Shares that differ by no more are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a run that may start needs. `owners`: the pool, its user, its team if it has one.

    `nodes`: which take it, by all but room. `place`: where it stands in the order, `chosen`: it had a node kept before.
    `ruled`: other runs matter to it by rules that are not looked at here. `refused`: an added rule stops it.
    """

    run: Any
    amounts: Amounts
    owners: tuple[Any, ...]
    nodes: frozenset[str]
    aged: bool
    place: Place
    chosen: bool = False
    names: frozenset[str] = frozenset()
    group: Any = None
    ruled: bool = False
    refused: bool = False
    slot: int = 1
    """How many of the runs at once it is; an experiment is none."""

    @property
    def payer(self) -> Any:
        """Whose share it is: the team's, else the user's."""
        return self.owners[-1]


Party: TypeAlias = tuple[Asked, ...]
"""A run, or the members of a group that may start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What somebody has, or is kept for somebody."""

    amounts: Amounts
    owners: tuple[Any, ...]
    node: str | None
    names: frozenset[str] = frozenset()
    slot: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What FAIR_SHARE goes by: past usage and weights by owner, the charge for a start, what there is in all.

    `totals`: runs, CPU, GPUs; 0 where there is none.
    """

    usage: Mapping[Any, float]
    weights: Mapping[Any, float]
    penalty: float
    totals: tuple[int, int, int]

    def dominant(self, held: Sequence[Held]) -> float:
        """Return the largest part that these are of any kind."""
        sums = (sum(one.slot for one in held), sum(one.amounts[0] for one in held), sum(one.amounts[1] for one in held))
        return max((have / total for have, total in zip(sums, self.totals, strict=True) if total > 0), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A pool before a pass: nodes that are ready, who holds places, who may start.

    `limits` are less what is used elsewhere, `taken` the names that are held elsewhere, `reserved` what is kept in all
    pools for aged runs of others, by the places of those.
    """

    nodes: Mapping[str, Amounts]
    holding: Sequence[Held]
    limits: Mapping[Any, Most]
    waiting: Mapping[Any, Asked]
    taken: frozenset[str] = frozenset()
    reserved: Sequence[tuple[Place, Held]] = ()
    shares: Shares | None = None
    close: float = SAME


@dataclass(slots=True, kw_only=True)
class Sight:
    """A pool at one moment of a pass."""

    scene: Scene
    holding: list[Held]

    def free(self) -> dict[Any, list[int]]:
        """Return what is left of each node."""
        left: dict[Any, list[int]] = {name: list(amounts) for name, amounts in self.scene.nodes.items()}
        for held in self.holding:
            if held.node in left:
                left[held.node] = [have - took for have, took in zip(left[held.node], held.amounts, strict=True)]
        return left

    def names(self) -> set[str]:
        """Return the names that are not free."""
        return {name for held in self.holding for name in held.names} | self.scene.taken

    def limited(self, party: Party) -> str | None:
        """Return whose limit stops a party, and which of its numbers; None if none does."""
        for one in party:
            rest = [held_by(mate, None) for mate in party if mate is not one]
            beside = Sight(scene=self.scene, holding=[*self.holding, *rest])
            for owner in one.owners:
                for runs in (True, False):
                    if beside.over(one, owner, runs=runs):
                        return f"{owner} has too {'many runs' if runs else 'much CPU'}"
        return None

    def over(self, one: Asked, owner: Any, *, runs: bool) -> bool:
        """Return whether a run would be over a limit of an owner."""
        most = self.scene.limits.get(owner, (None, None))[0 if runs else 1]
        own = [held for held in self.holding if owner in held.owners]
        asked = one.slot if runs else one.amounts[0]
        has = sum(held.slot if runs else held.amounts[0] for held in own)
        return most is not None and asked > 0 and has + asked > most

    def seats(self, party: Party) -> bool:
        """Return whether all of a party find room on nodes at once, tried in every way."""
        free = self.free()
        open_to = [[node for node in sorted(one.nodes) if fits(free[node], one.amounts)] for one in party]
        return any(_all_fit(free, party, nodes) for nodes in product(*open_to))

    def admits(self, party: Party) -> bool:
        """Return whether a party could start."""
        if any(one.refused or clash(self.names(), one.names) for one in party):
            return False
        if exclude_each_other(one.names for one in party):
            return False
        return self.limited(party) is None and self.seats(party)


def _all_fit(free: Mapping[Any, Sequence[int]], party: Party, nodes: Sequence[str]) -> bool:
    taken: dict[str, Amounts] = {}
    for one, node in zip(party, nodes, strict=True):
        cpu, gpu, pods = taken.get(node, (0, 0, 0))
        taken[node] = (cpu + one.amounts[0], gpu + one.amounts[1], pods + one.amounts[2])
    return all(fits(free[node], amounts) for node, amounts in taken.items())


def parties(waiting: Iterable[Asked]) -> list[Party]:
    """Return runs as they start: the members of a group together."""
    found: dict[Any, list[Asked]] = {}
    for one in waiting:
        found.setdefault(one.run if one.group is None else one.group, []).append(one)
    return [tuple(mates) for mates in found.values()]


def held_by(one: Asked, node: str | None) -> Held:
    """Return what a run has once it has a place."""
    return Held(amounts=one.amounts, owners=one.owners, node=node, names=one.names, slot=one.slot)


def fits(free: Sequence[int], amounts: Amounts) -> bool:
    """Return whether a node has room; what is not asked for may be overdrawn."""
    return all(amount <= left for left, amount in zip(free, amounts, strict=True) if amount)
