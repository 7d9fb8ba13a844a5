"""Groups: runs that start together, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scheduler.limits import beyond
from scheduler.lines import Line
from scheduler.order import rank
from scheduler.placement import Placed, choose
from scheduler.reasons import Code
from scheduler.run import Queued
from scheduler.sums import Sums
from scheduler.trial import Trial

Members: TypeAlias = Sequence[tuple[Line, Queued]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Where all members of a group start; or nothing, how many would find a place, and what keeps the next waiting."""

    placed: tuple[Placed, ...] = ()
    number: int = 0
    code: Code = Code.GROUP


def members(trial: Trial, run: Queued) -> Members:
    """Return those of a run's group that wait and are not in backoff, in order, with their lines."""
    waiting = trial.state.waiting
    if run.group is None:
        return []
    of_group = sorted(waiting.groups[run.group].values(), key=lambda mate: rank(mate, trial.limits, trial.now))
    return [(waiting.of[mate.execution_id], mate) for mate in of_group]


def attempt(trial: Trial, of_group: Members) -> Tried:
    """Try to start all members, on a copy."""
    copy = trial.fork()
    placed: list[Placed] = []
    for line, run in of_group:
        places, code = copy.attempt(line, run)
        if not places:
            return Tried(number=len(placed), code=code)
        copy.admit(line, run, places)
        placed.append(places)
    return Tried(placed=tuple(placed))


def possible(trial: Trial, of_group: Members) -> bool:
    """Return whether a group could start at all if nothing else ran; for one that could not, nothing is kept."""
    known, key = trial.memory.possible, frozenset(run.execution_id for _, run in of_group)
    if key not in known:
        known[key] = _possible(trial, of_group)
    return known[key]


def _possible(trial: Trial, of_group: Members) -> bool:
    names = [name for _, run in of_group for name in run.exclusive]
    if len(names) != len(set(names)):
        return False
    fleet, used = trial.state.fleet.copy(), Sums()
    for going in trial.state.running.values():
        fleet.take(going.node, going.resources, -1, going.labels)
    for line, run in of_group:
        placed = choose(fleet, line.ask, run.execution_id)
        used.add(line.owners, line.need)
        if not placed or any(beyond(bound, used.of(bound.owner)) for bound in line.bounds):
            return False  # what is in use elsewhere does not count: that ends too
        fleet.take(placed[0].node, run.shape.resources, 1, run.labels)
    return True
