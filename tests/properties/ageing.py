"""What the ghost of the starvation bound sees of the pure plan."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from properties.starvation import Most, Place, Seen, room

from scheduler.decisions import Admit, Decision, Wait
from scheduler.order import aged
from scheduler.pool import Ceiling, Owner
from scheduler.reasons import Code
from scheduler.run import Queued
from scheduler.state import State
from scheduler.sums import POOL, owners_of

NOWHERE = Owner(name="")


def look(state: State, waiting: Mapping[Any, Queued], decisions: Sequence[Decision], now: datetime) -> Seen:
    """Return a pool after all `decisions` were carried out; `waiting` are those that waited before."""
    limits, holding = _limits(state), _holding(state, waiting)
    waits = [d for d in decisions if isinstance(d, Wait) and d.position is not None]
    helped = {d.run.execution_id for d in waits if d.reason.code is Code.PREEMPTING} | state.stopping.keys()
    old = [d for d in waits if aged(d.run, state.limits, now)]
    started = [d.run for d in decisions if isinstance(d, Admit)]
    candidates = list(_candidates(state, old, helped))
    owners_only = {owner: most for owner, most in limits.items() if owner != POOL}
    taken = state.names.keys() | state.exclusive_elsewhere
    return Seen(
        candidates=candidates,
        delayed={
            run.run
            for run in candidates
            if room(holding.values(), run, owners_only) and taken.isdisjoint(state.queued[run.run].exclusive)
        },
        holding=holding,
        started={run.execution_id for run in started},
        aged={run.execution_id for run in started if aged(run, state.limits, now)},
        capacity={node.name: node.capacity.cpu_milli for node in state.fleet.nodes},
        limits=limits,
    )


def _holding(state: State, waiting: Mapping[Any, Queued]) -> dict[Any, Place]:
    return {
        key: Place(
            run=key,
            seq=waiting[key].seq if key in waiting else -1,
            cpu=run.resources.cpu_milli,
            owners=(POOL, *owners_of(run)),
            node=run.node,
        )
        for key, run in state.running.items()
    }


def _candidates(state: State, old: Sequence[Wait], helped: set[Any]) -> Iterator[Place]:
    """Yield aged runs in order, up to the first that may have something kept that is not looked at here.

    That is one for which others stop, one of a group or with rules about its neighbours, and one that an aged run
    before it has a claim on: of the same owner, or name. What could never start keeps nothing.
    """
    claimed: set[Any] = set()
    most = _limits(state, elsewhere=False)
    for wait in sorted(old, key=lambda wait: (wait.run.seq, wait.run.execution_id)):
        run, owners = wait.run, (POOL, *owners_of(wait.run))
        place = Place(
            run=run.execution_id,
            seq=run.seq,
            cpu=run.shape.resources.cpu_milli,
            owners=owners,
            node=wait.nominated,
        )
        constraints, claims = run.shape.constraints, {*owners[1:], *run.exclusive}
        if run.group or constraints.apart or constraints.spread or run.execution_id in helped:
            return
        if not (_fits_a_node(state, run) and room((), place, most)):
            continue
        if claims & claimed:
            return
        yield place
        claimed |= claims


def _fits_a_node(state: State, run: Queued) -> bool:
    """Return whether some node could hold a run if nothing else ran."""
    cpu, wanted = run.shape.resources.cpu_milli, dict(run.shape.constraints.node_selector).items()
    nodes = [node for node in state.fleet.nodes if node.ready and wanted <= node.labels.items()]
    return any(node.capacity.cpu_milli >= cpu for node in nodes)


def _limits(state: State, *, elsewhere: bool = True) -> dict[Any, Most]:
    owners = {owner: _less(facts.ceiling, facts if elsewhere else NOWHERE) for owner, facts in state.owners.items()}
    return owners | {POOL: _less(state.limits.ceiling, NOWHERE)}


def _less(ceiling: Ceiling, used: Owner) -> Most:
    runs, cpu = ceiling.runs, ceiling.cpu_milli
    return (
        None if runs is None else runs - used.elsewhere_runs,
        None if cpu is None else cpu - used.elsewhere.cpu_milli,
    )
