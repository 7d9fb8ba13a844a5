"""What a state must hold between two cycles is noticed when it does not."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.admission.invariants import broken
from scheduler.admission.plan import apply_all, plan
from scheduler.admission.state import State
from scheduler.values.run import Running


def state(make: SimpleNamespace) -> State:
    """One run has a place, with a name; two of one class wait."""
    holding = [make.running(9, cpu=3000, exclusive=("db",))]
    waiting = [make.queued(n, cpu=4000) for n in (1, 2)]
    made: State = make.state(waiting, holding=holding)
    return apply_all(made, plan(made, make.NOON))


def held(state: State) -> Running:
    return next(iter(state.running.values()))


def test_nothing_is_broken_after_a_cycle(make: SimpleNamespace) -> None:
    assert broken(state(make)) == []


BREAKS: dict[str, Callable[[State], Any]] = {
    "wait and run": lambda state: state.queued.update(dict.fromkeys(state.running)),
    "claims are held": lambda state: state.holders.remove(next(iter(state.running)), ["db"]),
    "runs of the nodes": lambda state: state.on_node.clear(),
    "known to stop": lambda state: state.stopping.update({run: dict(state.running) for run in state.queued}),
    "uses another amount": lambda state: state.sums.add(
        [next(iter(state.running.values())).queued.user_id], (1, 0, 0, 0, 0)
    ),
    "another amount free": lambda state: state.node_usage.take("n0", held(state).resources),
    "in no class": lambda state: state.waiting.of.popitem(),
    "not in order": lambda state: next(iter(state.waiting.table.values())).runs.reverse(),
    "has another key": lambda state: state.cache.arrays.key.fill(0),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_told(make: SimpleNamespace, what: str) -> None:
    made = state(make)

    BREAKS[what](made)

    assert any(what in told for told in broken(made))
