"""What the ghost of the starvation bound sees of the pure plan."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from properties.claim_checks import clash, exclude_each_other, names_of
from properties.scenes import slot_of, takes
from properties.starvation import Most, Party, Place, Seen, room, seatable

from scheduler.admission.decisions import Admit, Decision, Wait
from scheduler.admission.state import State
from scheduler.values.order import aged, rank
from scheduler.values.pool import Ceiling, Owner
from scheduler.values.reasons import Code
from scheduler.values.run import Queued, owners_of
from scheduler.values.usage_totals import POOL

NOWHERE = Owner(name="")


def look(state: State, waiting: Mapping[Any, Queued], decisions: Sequence[Decision], now: datetime) -> Seen:
    """Return a pool after all `decisions` were carried out; `waiting` are those that waited before."""
    limits, holding = _limits(state), _holding(state, waiting)
    waits = [d for d in decisions if isinstance(d, Wait) and d.position is not None]
    helped = {d.run.execution_id for d in waits if d.reason.code is Code.PREEMPTING} | state.stopping.keys()
    old = [d for d in waits if aged(d.run, state.limits, now)]
    started = [d.run for d in decisions if isinstance(d, Admit)]
    candidates = list(_candidates(state, waits, old, helped))
    owners_only = {owner: most for owner, most in limits.items() if owner != POOL}
    taken = _taken(state)
    return Seen(
        candidates=candidates,
        delayed={
            place.run
            for party in candidates
            for place in party
            if room(holding.values(), party, owners_only) and not clash(taken, _names(state, party))
        },
        holding=holding,
        started={run.execution_id for run in started},
        aged={run.execution_id for run in started if aged(run, state.limits, now)},
        capacity={node.name: node.capacity.cpu_milli for node in state.node_usage.nodes},
        limits=limits,
    )


def _holding(state: State, waiting: Mapping[Any, Queued]) -> dict[Any, Place]:
    return {
        key: Place(
            run=key,
            rank=_rank(waiting[key], state) if key in waiting else (),
            cpu=run.resources.cpu_milli,
            owners=(POOL, *owners_of(run.queued)),
            node=run.node,
            slot=slot_of(run.queued.shape.constraints),
        )
        for key, run in state.running.items()
    }


def _candidates(state: State, all_waits: Sequence[Wait], old: Sequence[Wait], helped: set[Any]) -> Iterator[Party]:
    """Yield aged runs and groups in order, up to the first that may have something kept that is not looked at here.

    That is one for which others stop, one with rules about its neighbours, one that an aged run before it has a claim
    on: of the same owner, or name; and a group that waits for its own limits. What could never start keeps nothing.
    """
    claimed: set[Any] = set()
    most, seen = _limits(state, elsewhere=False), set[Any]()
    for wait in sorted(old, key=lambda wait: rank(wait.run, state.limits)):
        if wait.run.execution_id in seen:
            continue
        waits = _together(state, wait, all_waits)
        seen |= {one.run.execution_id for one in waits}
        party = tuple(_place(state, one) for one in waits)
        constraints = [one.run.shape.constraints for one in waits]
        if any(one.apart or one.spread for one in constraints) or seen & helped:
            return
        if not (_seatable(state, waits, party) and room((), party, most) and _distinct(state, party)):
            continue
        claims = {*(owner for place in party for owner in place.owners[1:]), *_names(state, party)}
        bound = claims & claimed or clash(names_of(claimed), names_of(claims))
        if bound or (len(party) > 1 and not _own(state, party)):
            return
        yield party
        claimed |= claims


def _together(state: State, wait: Wait, waits: Sequence[Wait]) -> list[Wait]:
    """Return those of its group that wait too, in order; a run without one waits alone."""
    if wait.run.group is None:
        return [wait]
    mates = [one for one in waits if one.run.group == wait.run.group]
    return sorted(mates, key=lambda one: rank(one.run, state.limits))


def _place(state: State, wait: Wait) -> Place:
    run = wait.run
    cpu, owners = run.shape.resources.cpu_milli, (POOL, *owners_of(run))
    rank_of, slot = _rank(run, state), slot_of(run.shape.constraints)
    return Place(run=run.execution_id, rank=rank_of, cpu=cpu, owners=owners, node=wait.nominated, slot=slot)


def _rank(run: Queued, state: State) -> tuple[int, ...]:
    key, seq, _ = rank(run, state.limits)
    return (key, seq)


def _own(state: State, party: Party) -> bool:
    """Return whether its owners' limits and its names would let a group start now."""
    limits = {owner: most for owner, most in _limits(state).items() if owner != POOL}
    return room(_holding(state, {}).values(), party, limits) and not clash(_taken(state), _names(state, party))


def _taken(state: State) -> set[str]:
    return {entry for run in state.running.values() for entry in run.queued.exclusive} | state.exclusive_elsewhere


def _names(state: State, party: Party) -> list[str]:
    return [name for place in party for name in state.queued[place.run].exclusive]


def _distinct(state: State, party: Party) -> bool:
    return not exclude_each_other(state.queued[place.run].exclusive for place in party)


def _seatable(state: State, waits: Sequence[Wait], party: Party) -> bool:
    """Return whether the nodes could hold all of a party if nothing else ran."""
    ready = [node for node in state.node_usage.nodes if node.ready and node.pods]
    open_to = {
        wait.run.execution_id: [node.name for node in ready if takes(node, wait.run.shape.constraints)]
        for wait in waits
    }
    return seatable(party, {node.name: node.capacity.cpu_milli for node in ready}, open_to)


def _limits(state: State, *, elsewhere: bool = True) -> dict[Any, Most]:
    owners = {owner: _less(facts.ceiling, facts if elsewhere else NOWHERE) for owner, facts in state.owners.items()}
    return owners | {POOL: _less(state.limits.ceiling, NOWHERE)}


def _less(ceiling: Ceiling, used: Owner) -> Most:
    runs, cpu = ceiling.runs, ceiling.cpu_milli
    return (
        None if runs is None else runs - used.elsewhere_runs,
        None if cpu is None else cpu - used.elsewhere.cpu_milli,
    )
