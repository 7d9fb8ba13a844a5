"""Which runs to stop for a more important one, and where: the fewest, the least important, the youngest.

Only runs that can be started again, that nothing guards (an experiment between injection and revert), and whose test
has run for the pool's minimum time. And only those that come after the beneficiary in the order: one before it would
take its place back as soon as it has stopped, to be stopped again, and neither would ever end. The order is fixed
(`scheduler.values.order`), so this holds at any time.

All of them are on one node (`scheduler.admission.victims`). Those that stop already, for whomever, make room too: whose
turn is first has it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from typing import TypeAlias

from model.ids import ExecutionId
from scheduler.admission.cycle_state import CycleState
from scheduler.admission.equivalence_classes import RunClass
from scheduler.admission.victims import EXACT, Victims, cost
from scheduler.placement.node_filter import able
from scheduler.values.node_arrays import vector
from scheduler.values.order import rank
from scheduler.values.pool import PoolSettings
from scheduler.values.run import Queued, Rank, Running
from scheduler.values.usage_totals import POOL, Demand, need

_Choice: TypeAlias = Callable[[Victims], tuple[Running, ...] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The node on which a run will have room, once those have gone that stop already or are asked to."""

    column: int
    stopping: tuple[Running, ...] = ()
    asked: tuple[Running, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """A node on which there would be room if some stopped."""

    column: int
    stopping: tuple[Running, ...]
    victims: Victims


def stoppable(run: Running, limits: PoolSettings, now: datetime) -> bool:
    """Return whether a run may be stopped for some more important one."""
    return _able(run) and run.began_at is not None and now - run.began_at >= limits.min_runtime


def next_stoppable(runs: Iterable[Running], limits: PoolSettings, now: datetime) -> datetime | None:
    """Return when the next run will have run for long enough to be stopped."""
    moments = [run.began_at + limits.min_runtime for run in runs if _able(run) and run.began_at is not None]
    return min((moment for moment in moments if moment > now), default=None)


class Preemption:
    """Who may be stopped in one pass, and for whom."""

    def __init__(self, cycle: CycleState) -> None:
        self.cycle = cycle

    def room_for(self, run_class: RunClass, run: Queued) -> Room | None:
        """Return the node on which room is made for a run, None where none can be made (rule 9)."""
        cycle = self.cycle
        going = cycle.state.stopping.get(run.execution_id)
        if going:
            node = next(iter(going.values())).node
            column = cycle.state.node_usage.place.get(node, -1) if node is not None else -1
            return None if column < 0 else Room(column=column, stopping=_by_id(going.values()))
        if cycle.reservations.exhausted or not run_class.ask.free:
            return None
        leaving = self._leaving()
        room = _cheapest(list(self._sites(run_class, run, leaving)))
        if room is None or room.asked or room.stopping:
            return room
        return replace(room, stopping=_by_id(leaving.values()))  # it waits for the pool, and they leave that too

    @cached_property
    def _stoppable(self) -> dict[int, list[tuple[Rank, Running]]]:
        """Who may be stopped by its own state, by column, the cheapest first, with its place in the order after that.

        Worked out once a pass: many look for room in it.
        """
        cycle = self.cycle
        place = cycle.state.node_usage.place
        found: dict[int, list[tuple[Rank, Running]]] = {}
        for node, runs in cycle.state.on_node.items():
            there = [run for run in runs.values() if stoppable(run, cycle.limits, cycle.now)]
            if there and node in place:
                there.sort(key=lambda run: cost([run]))
                found[place[node]] = [(rank(run.queued, cycle.limits), run) for run in there]
        return found

    def _sites(self, run_class: RunClass, run: Queued, leaving: Mapping[ExecutionId, Running]) -> Iterator[_Site]:
        cycle, own = self.cycle, rank(run, self.cycle.limits)
        gap = _Gap(cycle, run_class, leaving.values())
        suitable = able(cycle.reservations.room.node_table, run_class.ask)
        for column, there in self._stoppable.items():
            if not suitable[column] or there[0][1].queued.priority <= run.priority:
                continue  # the first is the least important of them
            victims = [
                other
                for place, other in there
                if other.queued.priority > run.priority and place > own and other.execution_id not in leaving
            ]
            if not victims:
                continue
            node = cycle.state.node_usage.nodes[column].name
            here = [other for other in leaving.values() if other.node == node]
            of_node = Victims(gap.on(column, here), victims)
            if of_node.suffice():
                yield _Site(column=column, stopping=_by_id(here), victims=of_node)

    def _leaving(self) -> dict[ExecutionId, Running]:
        """Return those that stop already, or have been asked to in this pass."""
        cycle = self.cycle
        asked = [*(others.values() for others in cycle.state.stopping.values()), *cycle.preempting.values()]
        return {run.execution_id: run for others in asked for run in others}


class _Gap:
    """What a run lacks, besides what those leave that stop already."""

    def __init__(self, cycle: CycleState, run_class: RunClass, leaving: Iterable[Running]) -> None:
        self._room = cycle.reservations.room
        self._asked = vector(run_class.ask.shape.resources).tolist()
        bound, used, held = cycle.cache.pool, cycle.used.of(POOL), cycle.reservations.sums.of(POOL)
        short = [
            0 if limit is None or not asked else in_use + kept + asked - limit
            for limit, asked, in_use, kept in zip(bound.most, run_class.need, used, held, strict=True)
        ]
        self._short = _less(short, leaving)

    def on(self, column: int, leaving: Iterable[Running]) -> Demand:
        """Return what is lacking on one node or in the pool, whichever is more: who stops there leaves both."""
        free = self._room.free[:, column].tolist()
        *amounts, places = [asked - left if asked else 0 for asked, left in zip(self._asked, free, strict=True)]
        here = _less((places, *amounts), leaving)
        return tuple([max(one, other, 0) for one, other in zip(here, self._short, strict=True)])


def _cheapest(sites: Sequence[_Site]) -> Room | None:
    """Return where the fewest have to stop, and who."""
    for size in range(EXACT + 1):
        room = _best(sites, partial(Victims.best, size=size))
        if room is not None:
            return room
    return _best(sites, Victims.many)


def _best(sites: Iterable[_Site], choice: _Choice) -> Room | None:
    found = [(site, asked) for site in sites if (asked := choice(site.victims)) is not None]
    if not found:
        return None
    site, asked = min(found, key=lambda one: (cost(one[1]), one[0].column))
    return Room(column=site.column, stopping=site.stopping, asked=asked)


def _able(run: Running) -> bool:
    return run.queued.restartable and not run.guarded and run.preempted_for is None


def _by_id(runs: Iterable[Running]) -> tuple[Running, ...]:
    return tuple(sorted(runs, key=lambda run: run.execution_id))


def _less(amounts: Iterable[int], leaving: Iterable[Running]) -> Demand:
    """Return amounts without what runs leave when they go."""
    left = tuple(amounts)
    for run in leaving:
        gone = need(run.resources, run.slots)
        left = tuple([amount - more for amount, more in zip(left, gone, strict=True)])
    return left
