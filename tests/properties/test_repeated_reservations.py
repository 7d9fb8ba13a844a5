"""A cycle that repeats reservations of the last one decides like one of a state that is built anew."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest

from model.ids import ExecutionId, NodeName, RunId, UserId
from model.resources import Resources
from scheduler.admission.explanation import Explanation
from scheduler.admission.plan import Arrived, Left, apply, carry_out, decide
from scheduler.admission.state import State
from scheduler.values.node import Node
from scheduler.values.pool import Ceiling, PoolSettings, Strategy
from scheduler.values.run import Queued, Shape

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NODES = [Node(name=NodeName(f"n{n}"), capacity=Resources(cpu_milli=4000, memory_bytes=2**34)) for n in range(4)]
SHAPES = [Shape(Resources(cpu_milli=cpu, memory_bytes=2**30)) for cpu in (500, 1000, 1700, 2500, 4000)]
STEPS = 40


def arrival(random: Random, number: int, now: datetime) -> Queued:
    """Return a run that comes now, or that has waited elsewhere for long."""
    waited = random.choice([0, 0, 0, random.randrange(600)])
    return Queued(
        execution_id=ExecutionId(RunId(UUID(int=number + 1))),
        seq=number,
        priority=random.randrange(10),
        enqueued_at=now - waited * MINUTE,
        user_id=UserId(UUID(int=1_000_000 + random.randrange(3))),
        shape=random.choice(SHAPES),
    )


def anew(state: State) -> State:
    """Return an equal state that remembers nothing."""
    made = State(limits=state.limits, nodes=state.node_usage.nodes, owners=state.owners)
    for run in state.running.values():
        made.start(run)
    for waiting in state.queued.values():
        made.enqueue(waiting)
    return made


def change(random: Random, state: State, number: int, now: datetime) -> State:
    """Let something happen: a run comes, ends or is cancelled, or only time passes."""
    what = random.randrange(10)
    if what < 5:
        return apply(state, Arrived(run=arrival(random, number, now)))
    if what < 8 and state.running:
        return apply(state, Left(run=random.choice(sorted(state.running))))
    if what < 9 and state.queued:
        return apply(state, Left(run=random.choice(sorted(state.queued))))
    return state


@pytest.mark.parametrize("strategy", [Strategy.PRIORITY, Strategy.FIFO, Strategy.RESOURCE_AWARE])
@pytest.mark.parametrize("seed", range(6))
def test_a_cycle_that_repeats_decides_like_one_that_remembers_nothing(seed: int, strategy: Strategy) -> None:
    """Rule 6 (007.5)."""
    random, now, repeated = Random(seed), NOON, 0
    limits = PoolSettings(strategy=strategy, ceiling=Ceiling(runs=None), ageing_limit=20 * MINUTE)
    state = State(limits=limits, nodes=NODES)
    for number in range(40):
        state = apply(state, Arrived(run=arrival(random, number, now)))
    for step in range(STEPS):
        state = change(random, state, 1000 + step, now)
        if random.random() < 0.3:
            now += random.randrange(5) * MINUTE
        before = {id(one.reservation) for one in state.cache.repeatable}
        outcome, expected = decide(state, now), decide(anew(state), now)
        repeated += any(id(one.reservation) in before for one in state.cache.repeatable)

        assert list(outcome.admitted) == list(expected.admitted)
        assert {run: placed[0].node for run, placed in outcome.admitted.items()} == {
            run: placed[0].node for run, placed in expected.admitted.items()
        }
        assert outcome.kept == expected.kept
        waiting = [run for run in state.queued.values() if run.execution_id not in outcome.admitted]
        known, anew_known = Explanation(outcome), Explanation(expected)
        assert [known.reason(run) for run in waiting] == [anew_known.reason(run) for run in waiting]
        if random.random() < 0.9:  # else what it decided does not come to pass
            state = carry_out(state, outcome, now)
    assert repeated >= 5
