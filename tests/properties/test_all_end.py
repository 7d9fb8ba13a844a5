"""Whoever comes, whoever is stopped: after a while everybody has had a turn."""

from datetime import timedelta
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.ids import GroupId
from scheduler.admission.decisions import Admit, Arrived, Left
from scheduler.admission.plan import apply, apply_all, plan
from scheduler.simulation.event_simulation import Ended, forward
from scheduler.values.pool import Ceiling, Strategy
from scheduler.values.run import Constraints, Queued, Running

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("strategy", Strategy)
@given(random=st.randoms(use_true_random=False), minimum=st.sampled_from([0, 3]))
def test_with_preemption_every_run_ends_and_nobody_is_stopped_for_ever(
    make: SimpleNamespace, strategy: Strategy, random: Any, minimum: int
) -> None:
    """Runs that come, are stopped, become aged, and avoid a node: whatever they are, after a while all have ended."""
    arrivals = [any_run(make, n, random) for n in range(25)]
    arrivals.sort(key=lambda run: run.enqueued_at)
    minutes = [random.randrange(1, 40) for _ in arrivals]
    state = make.state(
        [],
        nodes=[make.node(0, cpu=2000), make.node(1, cpu=1000)],
        strategy=strategy,
        preemption=True,
        ageing_limit=timedelta(minutes=20),
        min_runtime=timedelta(minutes=minimum),
    )

    def duration(run: Queued | Running) -> timedelta:
        return timedelta(minutes=minutes[run.execution_id.int - 1])

    ended = []
    for number, event in enumerate(forward(state, make.NOON, duration, arrivals)):
        assert number < 5_000, "this has no end"
        if isinstance(event, Ended) and event.preempted_for is None:
            ended.append(event.run.int - 1)

    assert sorted(ended) == list(range(25))


def any_run(make: SimpleNamespace, number: int, random: Any) -> Queued:
    avoid = Constraints(avoid=frozenset({"n0"} if random.random() < 0.2 else ()))
    run: Queued = make.queued(
        number,
        cpu=random.choice([200, 500, 1000]),
        priority=random.randrange(4),
        restartable=random.random() < 0.8,
        enqueued_at=make.NOON + random.randrange(60) * MINUTE,
        constraints=avoid,
        user_id=make.user(random.randrange(3)),
        team_id=None,
    )
    return run


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("seed", range(6))
def test_a_group_starts_once_those_have_ended_that_ran_when_it_was_aged(
    make: SimpleNamespace, strategy: Strategy, seed: int
) -> None:
    """Small urgent runs come without end; each takes 2 to 10 minutes. The group is as urgent, and aged after 30."""
    dice, numbers = Random(seed), count(1000)
    number = dice.choice([2, 4, 7, 24])
    sizes = [dice.choice([500, 1000]) for _ in range(number)]
    first, group = dice.randrange(500), GroupId(make.run_id(9_000))
    mates = [
        make.queued(first + n, cpu=cpu, enqueued_at=make.NOON, priority=0, group=group) for n, cpu in enumerate(sizes)
    ]
    nodes = [make.node(n, cpu=1000) for n in range(number)]
    state = make.state(
        mates, nodes=nodes, ageing_limit=30 * MINUTE, ceiling=Ceiling(runs=None), strategy=strategy, seed=seed
    )
    ends = {minute: [make.run_id(900 + n) for n in range(number) if n % 10 == minute] for minute in range(10)}
    for n in range(number):
        state.start(make.running(900 + n, cpu=300, node=f"n{n}", team_id=make.team(1)))
    for minute in range(42):
        now = make.NOON + minute * MINUTE
        state = apply_all(state, [Left(run=run) for run in ends.pop(minute, [])])
        for _ in range(number):
            run = make.queued(next(numbers), cpu=300, priority=0, enqueued_at=now, team_id=make.team(dice.randrange(2)))
            state = apply(state, Arrived(run=run))
        decisions = plan(state, now)
        state = apply_all(state, decisions)
        for decision in decisions:
            if isinstance(decision, Admit):
                ends.setdefault(minute + dice.randrange(2, 11), []).append(decision.run.execution_id)

    assert not any(run.group for run in state.queued.values())
