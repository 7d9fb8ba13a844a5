"""How often starts come before what an estimate told: the real future is drawn anew, many times."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from statistics import mean
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.estimate import Question, estimates, trial
from scheduler.forward import Started, forward
from scheduler.history import history
from scheduler.pool import Ceiling, Limits
from scheduler.run import Queued, Running
from scheduler.state import State

Draw = Callable[[Random], float]
TRIALS = 30


DISTRIBUTIONS: dict[str, Draw] = {
    "nearly the same": lambda dice: dice.uniform(50, 70),
    "exponential": lambda dice: dice.expovariate(1 / 60),
    "long tailed": lambda dice: dice.lognormvariate(3.5, 1.0),
    "two humps": lambda dice: dice.gauss(20, 2) if dice.uniform(0, 1) < 0.7 else dice.gauss(200, 10),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_starts_come_before_what_is_told_as_often_as_told(make: SimpleNamespace, name: str) -> None:
    """The real future is drawn anew from the distribution of which the estimate has seen fifty durations."""
    early50, early90 = zip(
        *(hit for world in range(25) for hit in _world(make, DISTRIBUTIONS[name], Random(world))), strict=True
    )

    assert 0.40 <= mean(early50) <= 0.62
    assert 0.84 <= mean(early90) <= 0.97


def _world(make: SimpleNamespace, draw: Draw, dice: Random) -> list[tuple[bool, bool]]:
    """Return, for each of 12 waiting runs, whether it started before its p50, and before its p90."""
    seen = history([max(1.0, draw(dice)) for _ in range(50)])
    running = [_under_way(make, 100 + number, draw, dice) for number in range(4)]
    waiting = [make.queued(number, priority=number % 3) for number in range(12)]
    limits = Limits(ceiling=Ceiling(runs=4))
    state = State(limits=limits, nodes=[make.node(0)])
    for holder, _ in running:
        state.start(holder)
    for run in waiting:
        state.enqueue(run)
    known = dict.fromkeys((*state.queued, *state.running), seen)
    question = Question(state=state, now=make.NOON, near=tuple(state.queued), history=known)
    chances = Random(1)
    told = {
        found.execution_id: found for found in estimates(question, [trial(question, chances) for _ in range(TRIALS)])
    }
    left = {holder.execution_id: rest for holder, rest in running}
    starts = _future(state, make.NOON, lambda run: left.get(run.execution_id) or _seconds(draw, dice))
    return [(starts[run] <= found.p50, starts[run] <= found.p90) for run, found in told.items()]


def _under_way(make: SimpleNamespace, number: int, draw: Draw, dice: Random) -> tuple[Running, timedelta]:
    """Return a run as one finds it at a random moment, and how much longer it runs: long ones are met more often."""
    while (length := max(1.0, draw(dice))) < dice.uniform(0, 400):
        pass
    ran = timedelta(seconds=dice.uniform(0, length))
    return make.running(number, started_at=make.NOON - ran), timedelta(seconds=length) - ran


def _seconds(draw: Draw, dice: Random) -> timedelta:
    return timedelta(seconds=max(1.0, draw(dice)))


def _future(state: State, now: datetime, duration: Callable[[Queued | Running], timedelta]) -> dict[Any, datetime]:
    return {event.run.execution_id: event.at for event in forward(state, now, duration) if isinstance(event, Started)}
