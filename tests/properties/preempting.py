"""Who is stopped for whom, judged from outside: nobody that must not be, and no more than have to."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any, TypeAlias

from scheduler.admission.decisions import Admit, Decision, Preempt, Wait
from scheduler.admission.state import State
from scheduler.values.node import Node
from scheduler.values.order import rank
from scheduler.values.pool import Strategy
from scheduler.values.run import Queued, Running

MOST_TRIED = 3
Cost: TypeAlias = tuple[Any, ...]


def check_preemption(state: State, decisions: Sequence[Decision], now: datetime) -> bool:
    """Check a pass that is not carried out yet; return whether it could be told who has to be stopped."""
    preempts = [d for d in decisions if isinstance(d, Preempt)]
    asked: dict[Any, list[Running]] = {}
    for preempt in preempts:
        assert state.limits.preemption
        assert may_be_stopped(state, preempt.run, preempt.beneficiary, now)
        assert not state.stopping.get(preempt.beneficiary.execution_id)
        asked.setdefault(preempt.beneficiary.execution_id, []).append(preempt.run)
    assert len({preempt.run.execution_id for preempt in preempts}) == len(preempts)
    assert all(len({run.node for run in runs}) == 1 for runs in asked.values())
    if len(asked) != 1 or not _is_plain(state, decisions):
        return False
    _check_fewest(state, decisions, preempts[0].beneficiary, now)
    return True


def may_be_stopped(state: State, victim: Running, run: Queued, now: datetime) -> bool:
    """Return whether one run may be stopped for another: once it waits, it must come after that."""
    return (
        victim.queued.restartable
        and not victim.guarded
        and victim.preempted_for is None
        and victim.queued.priority > run.priority
        and victim.began_at is not None
        and now - victim.began_at >= state.limits.min_runtime
        and rank(victim.queued, state.limits) > rank(run, state.limits)
    )


def cost(runs: Sequence[Running]) -> Cost:
    """What it costs to stop runs: how many, the most important of them first, then the oldest first."""
    important = sorted(-run.queued.priority for run in runs)[::-1]
    ages = sorted(run.started_at for run in runs if run.started_at is not None)
    return (len(runs), important, [-at.timestamp() for at in ages], sorted(run.execution_id for run in runs))


def _is_plain(state: State, decisions: Sequence[Decision]) -> bool:
    """Return whether only one has a node kept, and nobody stops already: then all that counts is told by the rows."""
    kept = [d for d in decisions if isinstance(d, Wait) and d.nominated is not None]
    admits = [d for d in decisions if isinstance(d, Admit)]
    told = not admits or (state.limits.strategy is not Strategy.FAIR_SHARE and all(d.run.group is None for d in admits))
    return len(kept) == 1 and not state.stopping and told


def _check_fewest(state: State, decisions: Sequence[Decision], run: Queued, now: datetime) -> None:
    """No other set of runs, on whichever node, would have been enough at less cost."""
    before = [d.run.execution_id for d in decisions[: [d.run for d in decisions].index(run)] if isinstance(d, Admit)]
    admits = {d.run.execution_id: d for d in decisions if isinstance(d, Admit)}
    started = {key: admits[key] for key in before}
    asked = [d.run for d in decisions if isinstance(d, Preempt)]
    places = {node.name: node for node in state.node_usage.nodes}
    node = places[asked[0].node or ""]
    assert _enough(state, started, run, node, asked)
    assert not any(_enough(state, started, run, node, some) for some in combinations(asked, len(asked) - 1))
    best = min(_sets(state, started, run, now), key=cost, default=None)
    if best is not None:
        assert sorted(one.execution_id for one in best) == sorted(one.execution_id for one in asked)


def _sets(state: State, started: Mapping[Any, Admit], run: Queued, now: datetime) -> Iterator[tuple[Running, ...]]:
    """Yield all small sets that would be enough."""
    constraints = run.shape.constraints
    wanted = dict(constraints.node_selector).items()
    for node in state.node_usage.nodes:
        if node.virtual or not node.ready or not wanted <= node.labels.items():
            continue
        there = [r for r in state.running.values() if r.node == node.name and may_be_stopped(state, r, run, now)]
        for size in range(1, MOST_TRIED + 1):
            yield from (some for some in combinations(there, size) if _enough(state, started, run, node, some))


def _enough(state: State, started: Mapping[Any, Admit], run: Queued, node: Node, gone: Sequence[Running]) -> bool:
    left = [r for r in state.running.values() if r not in gone]
    cpu = run.shape.resources.cpu_milli
    here = sum(r.resources.cpu_milli for r in left if r.node == node.name)
    here += sum(d.run.shape.resources.cpu_milli for d in started.values() if d.node == node.name)
    total = sum(r.resources.cpu_milli for r in left) + sum(d.run.shape.resources.cpu_milli for d in started.values())
    ceiling = state.limits.ceiling
    runs = sum(r.slots for r in left) + sum(d.run.shape.constraints.slots for d in started.values())
    return (
        here + cpu <= node.capacity.cpu_milli
        and (ceiling.runs is None or runs < ceiling.runs)
        and (ceiling.cpu_milli is None or total + cpu <= ceiling.cpu_milli)
    )
