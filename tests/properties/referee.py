"""What one pass of a pool must have come to, worked out from plain values and by nothing of the scheduler's own.

1. What starts is within all limits, on nodes that take it and have room; no added rule refuses it; of a group start all
   or none.
2. The order is respected: at the moment at which a run starts, nobody before it in the order could have started, unless
   by what is kept free for one before that. Under FAIR_SHARE shares are counted anew for each moment.
3. Work-conserving: who waits could not start after all that did either, beside what is kept for those before it.
4. The reason that is told to who waits is true.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from properties.claim_checks import clash, exclude_each_other
from properties.sight import Asked, Held, Party, Place, Scene, Sight, fits, held_by, parties

Order: TypeAlias = tuple[int, float, Place]
"""Tier (under FAIR_SHARE: aged, then who has had a node kept, then all others), share, place."""
BY_SHARE = 2
"""The tier of those whose share has a say."""
NODE_ONLY = (
    "busy",
    "reserved",
    "head",
    "too_large",
    "no_match",
    "no_node",
    "pool_limit",
    "pool_resources",
    "apart",
    "rule",
)
"""Whoever waits for one of these keeps a node, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was said to a run that waits: the rule, and which node is kept for it."""

    code: str
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a pass decided: who starts where, in order, and what it told others. `stops`: whether any run is to stop."""

    admitted: Sequence[tuple[Any, str]]
    told: Mapping[Any, Told]
    stops: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Runs that start together, and what they have then."""

    party: Party
    held: list[Held]


class Referee:
    """Judges one pass: raises AssertionError where it broke a rule."""

    def __init__(self, scene: Scene, ruling: Ruling) -> None:
        self.scene, self.ruling = scene, ruling
        started = dict(ruling.admitted)
        self.all = parties(scene.waiting.values())
        self.waits = [party for party in self.all if party[0].run not in started]
        given = parties(scene.waiting[run] for run, _ in ruling.admitted)
        ordered = given if scene.shares is not None else sorted(given, key=lambda party: self.order(party, {}))
        self.starts = [Start(party=p, held=[held_by(one, started[one.run]) for one in p]) for p in ordered]

    def judge(self) -> None:
        """Judge all."""
        self._starts_are_allowed()
        so_far: list[Held] = []
        for place, start in enumerate(self.starts):
            self._nobody_is_passed(start, [*self.waits, *(one.party for one in self.starts[place + 1 :])], so_far)
            so_far += start.held
        end = Sight(scene=self.scene, holding=[*self.scene.holding, *so_far])
        for party in self.waits:
            self._must_wait(party, end)

    def _starts_are_allowed(self) -> None:
        whole = {frozenset(one.run for one in party) for party in self.all}
        sight = Sight(scene=self.scene, holding=list(self.scene.holding))
        for start in self.starts:
            names = [name for one in start.party for name in one.names]
            assert frozenset(one.run for one in start.party) in whole, f"a part of a group starts: {start.party}"
            assert not any(one.refused for one in start.party), f"a rule refuses one of {start.party}"
            assert sight.limited(start.party) is None, f"{start.party}: {sight.limited(start.party)}"
            assert not clash(sight.names(), names), f"one of {names} is not free"
            assert not exclude_each_other(one.names for one in start.party), f"{names} exclude each other"
            for one, held in zip(start.party, start.held, strict=True):
                assert held.node in one.nodes, f"{held.node} does not take {one}"
                assert fits(sight.free()[held.node], one.amounts), f"{held.node} has no room for {one}"
                sight.holding.append(held)

    def _nobody_is_passed(self, start: Start, others: Iterable[Party], so_far: Sequence[Held]) -> None:
        shares = self.shares(so_far)
        own = self.order(start.party, shares)
        for party in others:
            if self._is_before(self.order(party, shares), own) and not _elder_twin(start.party, party):
                could = Sight(scene=self.scene, holding=[*self.scene.holding, *so_far, *self._kept_before(party)])
                assert ruled(party) or not could.admits(party), f"{start.party} passed {self._told(party)}"

    def _must_wait(self, party: Party, end: Sight) -> None:
        kept = list(self._kept_before(party))
        beside = Sight(scene=self.scene, holding=[*end.holding, *kept])
        assert ruled(party) or not beside.admits(party), f"it could start: {self._told(party)}"
        for one in party:
            told = self.ruling.told.get(one.run)
            code = "" if told is None else told.code
            if code in ("reserved", "head"):
                assert kept, f"nothing is kept: {self._told(party)}"
            assert told is None or self._is_true(code, one, beside if code == "exclusive" else end), f"{one}: {told}"

    def _is_true(self, code: str, one: Asked, end: Sight) -> bool:
        what, _, number = code.partition("_")
        if number in ("limit", "resources"):
            owner = {"pool": one.owners[0], "user": one.owners[1], "team": one.owners[-1]}[what]
            return end.over(one, owner, runs=number == "limit")
        large = any(fits(self.scene.nodes[node], one.amounts) for node in one.nodes)
        truths: dict[str, Callable[[], bool]] = {
            "busy": lambda: large and not end.seats((one,)),
            "no_node": lambda: not self.scene.nodes.keys() - {"experiments"},
            "no_match": lambda: not one.nodes,
            "too_large": lambda: bool(one.nodes) and not large,
            "exclusive": lambda: clash(end.names(), one.names),
            "group": lambda: any(one in party and len(party) > 1 for party in self.waits),
            "apart": lambda: ruled((one,)),
            "spread": lambda: ruled((one,)),
            "rule": lambda: one.refused,
            "share": lambda: self._was_first(one),
            "preempting": lambda: self.ruling.stops,
        }
        return code not in truths or truths[code]()

    def _was_first(self, one: Asked) -> bool:
        """Return whether the last to start was another owner's that had no more, and there was room for this before."""
        flat, by_share = list[tuple[Asked, Held]](), list[int]()
        for start in self.starts:
            if self.order(start.party, {})[0] == BY_SHARE:
                by_share.append(len(flat) + len(start.party) - 1)
            flat += zip(start.party, start.held, strict=True)
        if not by_share:
            return False
        last, all_held = flat[by_share[-1]][0], [held for _, held in flat]
        had, has = self.shares(all_held[: by_share[-1]])[last.payer], self.shares(all_held)[one.payer]
        began = Sight(scene=self.scene, holding=list(self.scene.holding))
        free = began.limited((one,)) is None and began.seats((one,))
        return last.payer != one.payer and had <= has + self.scene.close and (free or ruled((one,)))

    def _kept_before(self, party: Party) -> Iterator[Held]:
        """Yield what is kept for those before a party; under FAIR_SHARE, where that moves, for all others.

        What is kept for runs of other pools goes by place, whatever the strategy.
        """
        yield from (held for place, held in self.scene.reserved if place < min(one.place for one in party))
        own = self.order(party, {})
        for other in self.waits:
            if other is party or (self.scene.shares is None and self.order(other, {}) > own):
                continue
            for one in other:
                told = self.ruling.told.get(one.run)
                if told is not None and told.node is not None:
                    yield held_by(one, told.node)
                    continue
                if told is not None and one.aged and told.code == "pool_limit":  # its names are, from experiments
                    yield replace(held_by(one, None), amounts=(0, 0, 0), owners=(), slot=0)
                    continue
                reserved = told is not None and told.code == "reserved" and self._bound_by_others(one)
                if told is not None and any(mate.aged for mate in other) and (told.code not in NODE_ONLY or reserved):
                    owners = _own_part(told.code, one, reserved=reserved)
                    yield replace(held_by(one, None), owners=owners)

    def _bound_by_others(self, one: Asked) -> bool:
        """Return whether something is kept from a run for one of another pool."""
        return any(place < one.place for place, _ in self.scene.reserved)

    def shares(self, so_far: Sequence[Held]) -> dict[Any, float]:
        """Return the share of each owner at a moment: what it has, has had, and is charged, over its weight."""
        by = self.scene.shares
        if by is None:
            return {}
        found: dict[Any, float] = {}
        for payer in {one.payer for one in self.scene.waiting.values()}:
            new = [held for held in so_far if held.owners[-1] == payer]
            has = [*(held for held in self.scene.holding if held.owners[-1] == payer), *new]
            charged = sum(by.penalty * by.dominant([held]) for held in new)
            found[payer] = (by.dominant(has) + by.usage.get(payer, 0.0) + charged) / by.weights.get(payer, 1.0)
        return found

    def order(self, party: Party, shares: Mapping[Any, float]) -> Order:
        """Return the place of a party at a moment: that of its first member."""
        return min(self._order(one, shares) for one in party)

    def _order(self, one: Asked, shares: Mapping[Any, float]) -> Order:
        if one.aged or self.scene.shares is None:
            return (0, 0.0, one.place)
        if one.chosen:
            return (1, 0.0, one.place)
        return (BY_SHARE, shares.get(one.payer, 0.0), one.place)

    def _is_before(self, one: Order, other: Order) -> bool:
        """Return whether one is surely before another: shares that are as good as equal decide nothing."""
        if one[0] == other[0] and one[1] != other[1] and abs(one[1] - other[1]) <= self.scene.close:
            return False
        return one < other

    def _told(self, party: Party) -> list[tuple[Asked, Told | None]]:
        return [(one, self.ruling.told.get(one.run)) for one in party]


def _elder_twin(party: Party, other: Party) -> bool:
    """Return whether one is the same as another and came before it: a node kept for one will do for the other."""
    one, two = ([replace(asked, run=None, place=(0, 0), chosen=False) for asked in each] for each in (party, other))
    return one == two and party[0].place < other[0].place


def ruled(party: Party) -> bool:
    """Return whether other runs matter to it by rules that are not looked at here."""
    return any(one.ruled for one in party)


def _own_part(code: str, one: Asked, *, reserved: bool) -> tuple[Any, ...]:
    """Return whose limits are kept for an aged run that one of these stops; in a group nobody knows whose it is.

    Nor where it waits for what is `reserved` in its own limits for a run of another pool.
    """
    if code.startswith("team") or one.group is not None or reserved:
        return one.owners[1:]
    return one.owners[1:2] if code.startswith("user") else ()
