"""What the referee sees of a state and of the decisions of the pure plan."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from properties.referee import Ruling, Told
from properties.sight import Amounts, Asked, Held, Most, Scene, Shares

from model.ids import EXPERIMENTS
from model.resources import Resources
from scheduler.admission.decisions import Admit, Decision, Preempt, Wait
from scheduler.admission.rule import ClassFacts, PoolFacts
from scheduler.admission.state import State
from scheduler.values.node import Node
from scheduler.values.pool import Ceiling, Owner, Strategy
from scheduler.values.run import Constraints, Queued, Running

HERE = "the pool"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def scene(state: State, now: datetime) -> Scene:
    """Return a pool as it is before a pass. Nothing is taken from what the scheduler has counted or remembers."""
    return Scene(
        nodes=_nodes(state),
        holding=[_held(run) for run in state.running.values()],
        limits=_limits(state),
        waiting={
            run.execution_id: _asked(run, state, now)
            for run in state.queued.values()
            if run.not_before is None or run.not_before <= now
        },
        taken=state.exclusive_elsewhere,
        shares=_shares(state, now) if state.limits.strategy is Strategy.FAIR_SHARE else None,
    )


def ruling(state: State, decisions: Sequence[Decision]) -> Ruling:
    """Return what a pass decided."""
    return Ruling(
        admitted=[(d.run.execution_id, d.node) for d in decisions if isinstance(d, Admit)],
        told={
            d.run.execution_id: Told(code=d.reason.code, node=d.nominated)
            for d in decisions
            if isinstance(d, Wait) and d.position is not None
        },
        stops=bool(state.stopping) or any(isinstance(d, Preempt) for d in decisions),
    )


def _nodes(state: State) -> dict[str, Amounts]:
    ready = [node for node in state.node_usage.nodes if node.ready]
    return {node.name: (node.capacity.cpu_milli, node.capacity.gpu, node.pods) for node in ready}


def _amounts(resources: Resources) -> Amounts:
    return (resources.cpu_milli, resources.gpu, 1)


def _owners(run: Queued) -> tuple[Any, ...]:
    return (HERE, run.user_id) if run.team_id is None else (HERE, run.user_id, run.team_id)


def _held(run: Running) -> Held:
    names, slot = frozenset(run.queued.exclusive), slot_of(run.queued.shape.constraints)
    return Held(amounts=_amounts(run.resources), owners=_owners(run.queued), node=run.node, names=names, slot=slot)


def slot_of(constraints: Constraints) -> int:
    """Return how many of the runs at once a run is: an experiment is none."""
    return int(constraints.backend != EXPERIMENTS)


def takes(node: Node, wanted: Constraints) -> bool:
    """Return whether a node accepts a run, by all but room."""
    if node.virtual or wanted.backend is not None:
        return node.virtual and node.backend == wanted.backend
    return dict(wanted.node_selector).items() <= node.labels.items()


def _asked(run: Queued, state: State, now: datetime) -> Asked:
    wanted = run.shape.constraints
    ready = [node for node in state.node_usage.nodes if node.ready]
    return Asked(
        run=run.execution_id,
        amounts=_amounts(run.shape.resources),
        owners=_owners(run),
        nodes=frozenset(n.name for n in ready if takes(n, wanted)),
        aged=_is_aged(run, state, now),
        place=(_key(run, state), run.seq),
        chosen=run.nominated is not None,
        names=frozenset(run.exclusive),
        group=run.group,
        ruled=bool(wanted.apart or wanted.spread),
        refused=_refused(run, state, now),
        slot=slot_of(wanted),
    )


def _key(run: Queued, state: State) -> int:
    """Return the time of submission, plus an ageing limit for each step of priority; in microseconds."""
    steps = 0 if state.limits.strategy is Strategy.FIFO else run.priority
    return (run.enqueued_at - EPOCH + steps * state.limits.ageing_limit) // MICROSECOND


def _is_aged(run: Queued, state: State, now: datetime) -> bool:
    steps = 1 if state.limits.strategy is Strategy.FIFO else run.priority + 1
    return now - run.enqueued_at >= steps * state.limits.ageing_limit


def _refused(run: Queued, state: State, now: datetime) -> bool:
    """Return whether an added rule refuses a run before the pass: what starts in the pass is not looked at here."""
    line = ClassFacts(
        user_id=run.user_id,
        team_id=run.team_id,
        priority=run.priority,
        shape=run.shape,
        exclusive=run.exclusive,
        aged=_is_aged(run, state, now),
    )
    pool = PoolFacts(now=now, running=state.running.values(), admitted=(), owners=state.owners)
    return any(rule.refusal(line, pool) is not None for rule in state.rules)


def _limits(state: State) -> dict[Any, Most]:
    owners: Mapping[Any, Owner] = state.owners
    less = {owner: _most(facts.ceiling, facts) for owner, facts in owners.items()}
    return {HERE: _most(state.limits.ceiling, Owner(name="")), **less}


def _most(ceiling: Ceiling, used: Owner) -> Most:
    runs, cpu = ceiling.runs, ceiling.cpu_milli
    return (
        None if runs is None else runs - used.elsewhere_runs,
        None if cpu is None else cpu - used.elsewhere.cpu_milli,
    )


def _shares(state: State, now: datetime) -> Shares:
    limits, ceiling = state.limits, state.limits.ceiling
    have = [
        (node.pods, node.capacity.cpu_milli, node.capacity.gpu) for node in state.node_usage.nodes if not node.virtual
    ]
    runs, cpu, gpu = (sum(node[kind] for node in have) for kind in range(3))
    totals = (_least(runs, ceiling.runs), _least(cpu, ceiling.cpu_milli), gpu)
    shares = Shares(
        usage={},
        weights={owner: facts.weight for owner, facts in state.owners.items()},
        penalty=1 - 0.5 ** (limits.interval / limits.half_life),
        totals=totals,
    )
    runs = (*state.queued.values(), *(place.queued for place in state.running.values()))
    payers = {_owners(run)[-1] for run in runs}
    usage = {payer: _usage(state, payer, shares, now) for payer in payers}
    return Shares(usage=usage, weights=shares.weights, penalty=shares.penalty, totals=totals)


def _usage(state: State, payer: Any, shares: Shares, now: datetime) -> float:
    """Return the average of what an owner has had until now, from what was stored of it."""
    held = [_held(run) for run in state.running.values() if _owners(run.queued)[-1] == payer]
    known, facts = state.usage.get(payer), state.owners.get(payer)
    if known is None:
        before, share, since = 0.0 if facts is None else facts.usage, shares.dominant(held), state.usage_at or now
    else:
        before, share, since = known.average, known.share, known.at
    left = 0.5 ** (max((now - since).total_seconds(), 0.0) / state.limits.half_life.total_seconds())
    return share + (before - share) * left


def _least(have: int, most: int | None) -> int:
    return have if most is None else min(have, most)
