"""Which runs to stop for a more important one: the fewest, the least important, those that began last.

Only runs that can be started again, that nothing guards (an experiment between injection and revert), and that have run
for the pool's minimum time. All of them are on one node. Source of the reverse pass: Kueue's minimal set of victims.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np

from model.ids import NodeName
from scheduler.fleet import vector
from scheduler.front import MOST_KEPT
from scheduler.limits import over
from scheduler.lines import Line
from scheduler.placement import fits, matching
from scheduler.pool import Limits
from scheduler.roster import Amounts
from scheduler.run import Queued, Running
from scheduler.sums import POOL, Need, need
from scheduler.trial import Trial

Cost: TypeAlias = tuple[int, tuple[int, ...], NodeName]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The node on which a run will have room, once those have gone that stop there or are asked to."""

    column: int
    stopping: tuple[Running, ...] = ()
    asked: tuple[Running, ...] = ()


def stoppable(run: Running, limits: Limits, now: datetime) -> bool:
    """Return whether a run may be stopped for a more important one."""
    if not run.restartable or run.guarded or run.preempted_for is not None or run.started_at is None:
        return False
    return now - run.started_at >= limits.min_runtime


def next_stoppable(runs: Sequence[Running], limits: Limits, now: datetime) -> datetime | None:
    """Return when the next run will have run for long enough to be stopped."""
    able = [run for run in runs if run.restartable and not run.guarded and run.preempted_for is None]
    moments = [run.started_at + limits.min_runtime for run in able if run.started_at is not None]
    return min((moment for moment in moments if moment > now), default=None)


def room_for(trial: Trial, line: Line, run: Queued) -> Room | None:
    """Return the node on which room is made for a run, None where none can be made."""
    going = trial.state.stopping.get(run.execution_id)
    if going:
        node = next(iter(going.values())).node
        column = trial.state.fleet.place.get(node, -1) if node is not None else -1
        return None if column < 0 else Room(column=column, stopping=_by_id(going.values()))
    if trial.holds.turns >= MOST_KEPT or not line.ask.seeker.free:
        return None
    choices = [(_cost(trial, room), room) for room in _rooms(trial, line, run)]
    return min(choices, key=lambda choice: choice[0])[1] if choices else None


def _rooms(trial: Trial, line: Line, run: Queued) -> Iterator[Room]:
    fleet, request = trial.holds.room, vector(run.shape.resources)
    able = matching(fleet, line.ask) & fits(fleet.capacity, request)
    taken = {other.execution_id for others in trial.preempting.values() for other in others}
    for column in np.flatnonzero(able).tolist():
        here = trial.state.on_node.get(fleet.nodes[column].name, {}).values()
        stopping = _by_id(r for r in here if r.preempted_for is not None or r.execution_id in taken)
        victims = [
            r
            for r in here
            if r.priority > run.priority and r.execution_id not in taken and stoppable(r, trial.limits, trial.now)
        ]
        asked = _fewest(_Gap(trial, line, column, stopping), victims) if victims else None
        if asked is not None:
            yield Room(column=column, stopping=stopping, asked=asked)


def _fewest(gap: "_Gap", victims: list[Running]) -> tuple[Running, ...] | None:
    """Return the fewest victims whose places are enough, the least important and youngest; None if all are not."""
    victims.sort(key=lambda run: (-run.priority, -_begun(run), run.execution_id))
    asked: list[Running] = []
    for run in victims:
        if gap.filled_by(asked):
            break
        asked.append(run)
    if not gap.filled_by(asked):
        return None
    for run in reversed(asked[:]):
        without = [other for other in asked if other is not run]
        if gap.filled_by(without):
            asked = without
    return tuple(asked)


class _Gap:
    """What a run lacks on one node, and in the pool."""

    def __init__(self, trial: Trial, line: Line, column: int, stopping: Sequence[Running]) -> None:
        room = trial.holds.room
        self.bound, self.asked = trial.memory.pool, line.need
        self.request = vector(line.ask.shape.resources)
        self.free: Amounts = room.capacity[:, column] - room.used[:, column]
        self.held = trial.holds.sums.of(POOL)
        self.used = trial.used.of(POOL)
        self.stopping = stopping

    def filled_by(self, gone: Sequence[Running]) -> bool:
        """Return whether there is room once these have gone, besides those that stop already."""
        free, used = self.free.copy(), self.used
        for run in (*self.stopping, *gone):
            free += vector(run.resources)
            used = _less(used, need(run.resources))
        wanted = self.request > 0
        room = bool((free >= self.request)[wanted].all())
        return room and over(self.bound, self.asked, used, self.held) is None


def _by_id(runs: Iterable[Running]) -> tuple[Running, ...]:
    return tuple(sorted(runs, key=lambda run: run.execution_id))


def _less(one: Need, other: Need) -> Need:
    return tuple([a - b for a, b in zip(one, other, strict=True)])


def _cost(trial: Trial, room: Room) -> Cost:
    """Return what it costs to make room: how many runs, how important the most important are, then the name."""
    priorities = tuple(-priority for priority in sorted(run.priority for run in room.asked))
    return (len(room.asked), priorities, trial.state.fleet.nodes[room.column].name)


def _begun(run: Running) -> float:
    return 0.0 if run.started_at is None else run.started_at.timestamp()
