"""Find what the aged runs of a pool reserve in all pools, after a cycle (`scheduler.admission.plan`, rule 10)."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias
from uuid import UUID

from model.ids import ExecutionId
from scheduler.admission import groups
from scheduler.admission.admission_cycle import kept_owners
from scheduler.admission.cycle_state import POOL_CODES, CycleState
from scheduler.admission.equivalence_classes import RunClass
from scheduler.admission.outcome import Outcome
from scheduler.admission.reservation import Reservation
from scheduler.placement.node_filter import able
from scheduler.placement.placement import undisturbed
from scheduler.values.order import rank
from scheduler.values.quota_limits import beyond
from scheduler.values.reasons import Code
from scheduler.values.run import Queued
from scheduler.values.usage_totals import POOL

Unit: TypeAlias = Sequence[tuple[RunClass, Queued]]
"""A run alone, or all waiting members of a group."""


def kept_across(outcome: Outcome) -> dict[ExecutionId, tuple[UUID, ...]]:
    """Return the aged runs that keep something in all pools, and in whose limits; none of these: only their names.

    Of each owner and name the first in order, and whoever has a node kept: not more, since what is kept stands empty
    elsewhere, and a pool can only start so many. The admission cycle does not know: it skips an
    owner at its limit whole.
    """
    cycle = outcome.cycle
    if cycle is None:
        return {}
    found: dict[ExecutionId, tuple[UUID, ...]] = {}
    claimed: set[UUID | str] = set()
    reservations = {reservation.run.execution_id: reservation for reservation in cycle.reservations.all}
    for unit in _units(cycle):
        kept = [_kept(cycle, run_class, run, reservations.get(run.execution_id)) for run_class, run in unit]
        owners = {run.execution_id: of for (_, run), of in zip(unit, kept, strict=True) if of is not None}
        if len(owners) < len(unit):
            continue
        claims: set[UUID | str] = {owner for of in owners.values() for owner in of}
        claims.update(name for _, run in unit for name in run.exclusive)
        with_node = all(
            run.execution_id in reservations and reservations[run.execution_id].column >= 0 for _, run in unit
        )
        if claims and (with_node or claimed.isdisjoint(claims)):
            found |= owners
        claimed |= claims
    return found


def _units(cycle: CycleState) -> Iterator[Unit]:
    """Yield who is aged and starts nothing in this pass, in order."""
    waiting = cycle.state.waiting
    old = [(run_class, run) for run_class in waiting.table.values() if run_class.aged for run in run_class.runs]
    seen: set[UUID] = set()
    for run_class, run in sorted(old, key=lambda pair: rank(pair[1], cycle.limits)):
        if run.execution_id in cycle.admitted or run.group in seen:
            continue
        if run.group is None:
            yield [(run_class, run)]
            continue
        seen.add(run.group)
        members = groups.members(cycle, run)
        if groups.possible(cycle, members):
            yield members


def _kept(
    cycle: CycleState, run_class: RunClass, run: Queued, reservation: Reservation | None
) -> tuple[UUID, ...] | None:
    """Return the owners with a limit in which a run has room kept; None where it keeps nothing at all."""
    if any(beyond(bound, run_class.need) for bound in run_class.bounds) or cycle.cache.hopeless(run_class):
        return None
    owners = _waiting_for(cycle, run_class, run) if reservation is None else reservation.owners
    if owners is None:
        return None
    if (reservation is None or reservation.column < 0) and not _has_node(cycle, run_class):
        return None
    limited = {bound.owner for bound in run_class.bounds} - {POOL}
    return tuple(owner for owner in owners if owner in limited)


def _has_node(cycle: CycleState, run_class: RunClass) -> bool:
    """Return whether a node could be kept for a run when it is its turn: that others have it kept now is no matter."""
    node_usage = cycle.reservations.node_usage
    return bool((able(node_usage.node_table, run_class.ask) & undisturbed(node_usage, run_class.ask)).any())


def _waiting_for(cycle: CycleState, run_class: RunClass, run: Queued) -> tuple[UUID, ...] | None:
    """Return the owners in whose limits a run has room kept that the cycle did not come to, as it would have found it.

    None where no limit and no name keeps it waiting: then its pool has nothing for it, or keeps that for others, or an
    added rule refuses it.
    """
    found = cycle.limited(run)
    if found is None or found.code is Code.RULE:
        return None
    return run_class.owners if found.code in POOL_CODES else kept_owners(run_class, found.code)
