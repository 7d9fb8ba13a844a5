"""How often starts come before what an estimate told: the real future is drawn anew, many times."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import count, takewhile
from random import Random
from statistics import mean
from types import SimpleNamespace
from typing import Any

import pytest
from harness.sweep import third

from scheduler.admission.state import State
from scheduler.forecast.arrivals import Newcomer, learn
from scheduler.forecast.estimate import estimates
from scheduler.forecast.history import history
from scheduler.forecast.question import Question
from scheduler.forecast.scenarios import trial
from scheduler.simulation.event_simulation import Started, forward
from scheduler.values.pool import Ceiling, PoolSettings
from scheduler.values.run import Queued, Running

Draw = Callable[[Random], float]
TRIALS = 30


DISTRIBUTIONS: dict[str, Draw] = {
    "nearly the same": lambda dice: dice.uniform(50, 70),
    "exponential": lambda dice: dice.expovariate(1 / 60),
    "long tailed": lambda dice: dice.lognormvariate(3.5, 1.0),
    "two humps": lambda dice: dice.gauss(20, 2) if dice.uniform(0, 1) < 0.7 else dice.gauss(200, 10),
}


@pytest.mark.parametrize("name", third(list(DISTRIBUTIONS)))
def test_starts_come_before_what_is_told_as_often_as_told(make: SimpleNamespace, name: str) -> None:
    """The real future is drawn anew from the distribution of which the estimate has seen fifty durations."""
    early50, early90 = zip(
        *(hit for world in range(25) for hit in _world(make, DISTRIBUTIONS[name], Random(world))), strict=True
    )

    assert 0.40 <= mean(early50) <= 0.62
    assert 0.84 <= mean(early90) <= 0.97


@pytest.mark.parametrize("share", third([0.1, 0.3, 0.5]))
def test_so_they_do_where_more_important_runs_come_later(make: SimpleNamespace, share: float) -> None:
    """They come at random, as in the hour before, and take `share` of all starts."""
    draw = DISTRIBUTIONS["long tailed"]
    early50, early90 = zip(
        *(hit for world in range(40) for hit in _world(make, draw, Random(world), share)), strict=True
    )

    assert 0.36 <= mean(early50) <= 0.66
    assert 0.82 <= mean(early90) <= 0.97


def _world(make: SimpleNamespace, draw: Draw, dice: Random, share: float = 0.0) -> list[tuple[bool, bool]]:
    """Return, for each of 12 waiting runs, whether it started before its p50, and before its p90."""
    seen = history([max(1.0, draw(dice)) for _ in range(50)])
    running = [_under_way(make, 100 + number, draw, dice) for number in range(4)]
    waiting = [make.queued(number, priority=1 + number % 3) for number in range(12)]
    limits = PoolSettings(ceiling=Ceiling(runs=4))
    state = State(limits=limits, nodes=[make.node(0)])
    for holder, _ in running:
        state.start(holder)
    for run in waiting:
        state.enqueue(run)
    known = dict.fromkeys((*state.queued, *state.running), seen)
    coming = _newcomers(make, dice, 4 * share / mean(_seconds(draw, dice).total_seconds() for _ in range(999)))
    past = [Newcomer(run=run, history=seen) for run in takewhile(lambda run: run.enqueued_at < make.NOON, coming)]
    question = Question(
        state=state, now=make.NOON, near=tuple(state.queued), history=known, arrivals=learn(past, make.NOON)
    )
    chances = Random(1)
    told = {
        found.execution_id: found for found in estimates(question, [trial(question, chances) for _ in range(TRIALS)])
    }
    left = {holder.execution_id: rest for holder, rest in running}
    starts = _future(question, coming, lambda run: left.get(run.execution_id) or _seconds(draw, dice))
    return [(starts[run] <= found.p50, starts[run] <= found.p90) for run, found in told.items()]


def _newcomers(make: SimpleNamespace, dice: Random, rate: float) -> Iterator[Queued]:
    """Tell without end who comes, so many a second, from an hour ago on."""
    at = make.NOON - timedelta(hours=1)
    for number in count(1000):
        if not rate:
            return
        at += timedelta(seconds=dice.expovariate(rate))
        yield make.queued(number, priority=0, enqueued_at=at)


def _under_way(make: SimpleNamespace, number: int, draw: Draw, dice: Random) -> tuple[Running, timedelta]:
    """Return a run as one finds it at a random moment, and how much longer it runs: long ones are met more often."""
    while (length := max(1.0, draw(dice))) < dice.uniform(0, 400):
        pass
    ran = timedelta(seconds=dice.uniform(0, length))
    return make.running(number, started_at=make.NOON - ran), timedelta(seconds=length) - ran


def _seconds(draw: Draw, dice: Random) -> timedelta:
    return timedelta(seconds=max(1.0, draw(dice)))


def _future(
    question: Question, coming: Iterable[Queued], duration: Callable[[Queued | Running], timedelta]
) -> dict[Any, datetime]:
    """Return when those who wait really start."""
    starts: dict[Any, datetime] = {}
    for event in forward(question.state, question.now, duration, coming):
        if isinstance(event, Started):
            starts[event.run.execution_id] = event.at
            if starts.keys() >= {*question.near}:
                break
    return starts
