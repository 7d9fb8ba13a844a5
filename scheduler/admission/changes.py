"""Change a state: carry out what a cycle decided, and what happens to a pool."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from model.ids import NodeName
from scheduler.admission.decisions import Admit, Arrived, Change, Configured, Decision, Left, Owned, Preempt, Seen, Wait
from scheduler.admission.fair_order import charge
from scheduler.admission.outcome import Outcome
from scheduler.admission.state import State
from scheduler.placement.placement import Placed
from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Queued, Running

_KEPT = Reason(code=Code.RESERVED, text="a node is kept free for it, or is not any more")


def apply(state: State, change: Change) -> State:
    """Return the state after a change. The state given is used up: go on with the one returned."""
    match change:
        case Admit() | Wait() | Preempt():
            _apply_decision(state, change)
        case Arrived(run=run):
            state.end(run.execution_id)
            state.enqueue(run)
        case Left(run=run_id):
            _ = state.withdraw(run_id) or state.end(run_id)
        case Seen(nodes=nodes):
            state.see(nodes)
        case Configured(limits=limits):
            state.limits = limits
        case Owned(owners=owners):
            state.owners = owners
    return state


def apply_all(state: State, changes: Iterable[Change]) -> State:
    """Return the state after several changes, in order."""
    for change in changes:
        state = apply(state, change)
    return state


def carry_out(state: State, outcome: Outcome, now: datetime) -> State:
    """Return the state after all that a pass decided, without spelling out who waits and why: for virtual time."""
    return apply_all(state, list(_changes(state, outcome, now)))


def admission(state: State, run: Queued, outcome: Outcome, at: datetime) -> Admit:
    """Return the decision to start a run, with the nodes that it may be bound to."""
    placed = outcome.admitted[run.execution_id]
    node = placed[0].node
    return Admit(
        run=run,
        node=node,
        backend=state.node_usage.backend_of(node),
        candidates=tuple(_candidates(state, run, placed)),
        scores=placed,
        share=outcome.shares.get(run.execution_id),
        at=at,
    )


def _apply_decision(state: State, decision: Decision) -> None:
    match decision:
        case Admit(run=run, node=node, at=at):
            if state.withdraw(run.execution_id):
                running = Running(queued=run, node=node, started_at=at, began_at=at)
                state.start(running)
                if at is not None and state.limits.strategy is Strategy.FAIR_SHARE:
                    charge(state, running, at)
        case Wait(run=run, nominated=nominated):
            state.waiting.nominate(run.execution_id, nominated)
        case Preempt(run=victim, beneficiary=run):
            state.ask_to_stop(victim.execution_id, run.execution_id)


def _changes(state: State, outcome: Outcome, now: datetime) -> Iterator[Change]:
    for run_id in outcome.admitted:
        yield admission(state, state.queued[run_id], outcome, now)
    for run_id, victims in outcome.preempted.items():
        yield from (Preempt(run=victim, beneficiary=state.queued[run_id]) for victim in victims)
    for run_id, node in outcome.kept.items():
        if state.queued[run_id].nominated != node:
            yield Wait(run=state.queued[run_id], reason=_KEPT, nominated=node)
    for run_id in state.waiting.nominated - outcome.kept.keys() - outcome.admitted.keys() - outcome.put_off.keys():
        yield Wait(run=state.queued[run_id], reason=_KEPT)


def _candidates(state: State, run: Queued, placed: Placed) -> Iterator[NodeName]:
    """Yield the nodes that a run may be bound to: the best one, and those of the same backend that come next.

    A run that the place of other runs matters to has the first alone: on another node it could break its own rules, or
    take the place of a member of its group.
    """
    first = placed[0].node
    yield first
    constraints = run.shape.constraints
    if run.group is not None or constraints.apart or constraints.spread:
        return
    backend = state.node_usage.backend_of(first)
    yield from (score.node for score in placed[1:] if state.node_usage.backend_of(score.node) == backend)
