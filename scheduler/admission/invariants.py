"""Say what must hold of a state between two cycles, part by part. The property tests ask after each step.

State          owns who runs and where, the sums and the names: they are what one would count anew from its runs
RunClasses     owns the waiting runs: each that may start is in exactly one class, and each class is in order
ClassArrays    owns a row for each class: it says what the first run of its class says, unless the class has changed
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from scheduler.admission.state import State
from scheduler.values.node_arrays import vector
from scheduler.values.order import rank, rank_number
from scheduler.values.run import owners_of
from scheduler.values.usage_totals import POOL, UsageTotals, need


def broken(state: State) -> list[str]:
    """Return what does not hold of a state; nothing if all is well."""
    return [*_running(state), *_totals(state), *_nodes(state), *_classes(state), *_arrays(state)]


def _running(state: State) -> Iterator[str]:
    if both := state.running.keys() & state.queued.keys():
        yield f"{both} wait and run"
    if {(entry, key) for key, run in state.running.items() for entry in run.queued.exclusive} != state.holders.held():
        yield "claims are held that no run has, or the other way round"
    by_node = {run: node for node, runs in state.on_node.items() for run in runs}
    if by_node != {key: run.node for key, run in state.running.items() if run.node is not None}:
        yield "the runs of the nodes are others than those that run"
    stopping = {run: beneficiary for beneficiary, runs in state.stopping.items() for run in runs}
    asked = {key: run.preempted_for for key, run in state.running.items() if run.preempted_for is not None}
    if stopping != asked:
        yield "others are known to stop than those that were asked"


def _totals(state: State) -> Iterator[str]:
    anew = UsageTotals()
    for run in state.running.values():
        anew.add((POOL, *owners_of(run.queued)), need(run.resources, run.slots))
    owners = {POOL, *(owner for run in state.running.values() for owner in owners_of(run.queued))}
    yield from (f"{owner} uses another amount" for owner in owners if state.sums.of(owner) != anew.of(owner))


def _nodes(state: State) -> Iterator[str]:
    free = state.node_usage.capacity.copy()
    for run in state.running.values():
        column = -1 if run.node is None else state.node_usage.place.get(run.node, -1)
        if column >= 0:
            free[:, column] -= vector(run.resources)
    if not np.array_equal(free, state.node_usage.free):
        yield "a node has another amount free"


def _classes(state: State) -> Iterator[str]:
    waiting = state.waiting
    times = Counter(run.execution_id for each in waiting.table.values() for run in each.runs)
    if times.keys() != waiting.of.keys() or any(number != 1 for number in times.values()):
        yield "a run is in no class, or in two"
    for key, each in waiting.table.items():
        ranks = [rank(run, state.limits) for run in each.runs]
        if not ranks:
            yield f"class {key} is empty"
        if each.key != key or any(waiting.of.get(run.execution_id) is not each for run in each.runs):
            yield f"class {key} has the runs of another one"
        if ranks != sorted(ranks) and each not in waiting.changed:
            yield f"class {key} is not in order"


def _arrays(state: State) -> Iterator[str]:
    cache = state.cache
    if not cache.is_valid_for(state.node_usage, state.limits, state.owners):
        return
    for each in state.waiting.table.values():
        if each.row < 0 or each in state.waiting.changed:
            continue
        if cache.arrays.classes[each.row] is not each:
            yield f"row {each.row} is of another class"
        elif cache.arrays.key[each.row] != rank_number(each.first, cache.limits, is_aged=each.aged):
            yield f"row {each.row} has another key than the first run of its class"
