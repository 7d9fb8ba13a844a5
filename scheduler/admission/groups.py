"""Groups: runs that start together, or not at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.claims import conflicting
from scheduler.admission import group_placement
from scheduler.admission.cycle_state import POOL_CODES, CycleState
from scheduler.admission.equivalence_classes import Members
from scheduler.admission.start_rules import added_rule, reserved_limits
from scheduler.placement.placement import Placed
from scheduler.values.node_arrays import NodeColumns
from scheduler.values.order import rank
from scheduler.values.quota_limits import beyond
from scheduler.values.reasons import Code
from scheduler.values.run import Queued
from scheduler.values.usage_totals import UsageTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Where all members of a group start; or nothing, how many would find a place, and what keeps the next waiting."""

    placed: tuple[Placed, ...] = ()
    number: int = 0
    code: Code = Code.GROUP


def members(cycle: CycleState, run: Queued) -> Members:
    """Return those of a run's group that wait and are not in backoff, in order, with their classes."""
    waiting = cycle.state.waiting
    if run.group is None:
        return []
    of_group = sorted(waiting.groups[run.group].values(), key=lambda mate: rank(mate, cycle.limits))
    return [(waiting.of[mate.execution_id], mate) for mate in of_group]


def attempt(cycle: CycleState, of_group: Members) -> Tried:
    """Try to start all members (rule 5): each on its best node; else on the nodes that are kept for them; else tightly.

    The nodes that were kept have room for all once they are drained, though one member's best may be another's only.
    """
    stopped = _stopped(cycle, of_group)
    if stopped is not None:
        return stopped
    tried = _try(cycle, of_group, [None] * len(of_group))
    if tried.placed or tried.code is not Code.BUSY:
        return tried
    room = cycle.reservations.room
    kept = nominated(cycle, of_group)
    columns = (
        kept
        if kept is not None and group_placement.fit(room, of_group, kept)
        else group_placement.find_nodes(room, of_group)
    )
    again = tried if columns is None else _try(cycle, of_group, columns)
    return again if again.placed else tried


def nominated(cycle: CycleState, of_group: Members) -> NodeColumns | None:
    """Return the nodes that are kept for all members, None where one has none."""
    place = cycle.state.node_usage.place
    columns = [-1 if run.nominated is None else place.get(run.nominated, -1) for _, run in of_group]
    return None if -1 in columns else columns


def nominate(cycle: CycleState, of_group: Members) -> NodeColumns | None:
    """Return a node to keep free for each member, besides all that is kept; None where not all would have one.

    Those that they have stay as long as all members could be there at once.
    """
    left = cycle.reservations.left or cycle.state.node_usage.emptied()
    present = nominated(cycle, of_group)
    if present is not None and group_placement.fit(left, of_group, present):
        return present
    return group_placement.find_nodes(left, of_group, near=cycle.reservations.room)


def possible(cycle: CycleState, of_group: Members) -> bool:
    """Return whether a group could start at all if nothing else ran; else nothing is kept for it (rule 8)."""
    known, key = cycle.cache.possible, frozenset(run.execution_id for _, run in of_group)
    if key not in known:
        known[key] = _possible(cycle, of_group)
    return known[key]


def _stopped(cycle: CycleState, of_group: Members) -> Tried | None:
    """Return what stops a group whatever nodes there are: added rules, its own limits or names, then the pool's limit.

    Looked at for all members before any node is: what a group waits for must not hang on which of them is tried first.
    """
    refused = next((number for number, (_, run) in enumerate(of_group) if added_rule.blocked(cycle, run)), None)
    if refused is not None:
        return Tried(number=refused, code=Code.RULE)
    copy, pool, back = cycle.fork(), None, None
    for number, (run_class, run) in enumerate(of_group):
        found = copy.limited(run)
        tried = None if found is None else Tried(number=number, code=found.code)
        if tried is not None and tried.code not in POOL_CODES:
            return tried
        if tried is None and reserved_limits.blocked(copy, run):
            back = back or Tried(number=number, code=Code.RESERVED)
        pool = pool or tried
        copy.used.add(run_class.owners, run_class.need)
        copy.names.update(dict.fromkeys(run.exclusive, run.execution_id))
    return pool or back


def _try(cycle: CycleState, of_group: Members, columns: Sequence[int | None]) -> Tried:
    """Try to start all members on a copy, each on its column, if it has one."""
    copy = cycle.fork()
    placed: list[Placed] = []
    for (run_class, run), column in zip(of_group, columns, strict=True):
        places, code = copy.attempt(run_class, run, column)
        if not places:
            return Tried(number=len(placed), code=code)
        copy.admit(run_class, run, places)
        placed.append(places)
    return Tried(placed=tuple(placed))


def _possible(cycle: CycleState, of_group: Members) -> bool:
    sums = UsageTotals()
    for run_class, _ in of_group:
        sums.add(run_class.owners, run_class.need)
    if _exclude_each_other(run for _, run in of_group) or any(
        beyond(bound, sums.of(bound.owner)) for run_class, _ in of_group for bound in run_class.bounds
    ):
        return False
    empty, kept = cycle.state.node_usage.emptied(), nominated(cycle, of_group)
    return (kept is not None and group_placement.fit(empty, of_group, kept)) or group_placement.find_nodes(
        empty, of_group
    ) is not None


def _exclude_each_other(runs: Iterable[Queued]) -> bool:
    """Return whether claims of two of these runs conflict."""
    claimed: set[str] = set()
    for run in runs:
        if any(not claimed.isdisjoint(conflicting(entry)) for entry in run.exclusive):
            return True
        claimed.update(run.exclusive)
    return False
