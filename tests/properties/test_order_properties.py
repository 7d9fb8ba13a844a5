"""Two properties of the fixed order (rules 2 and 6), over random days."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest

from model.ids import ExecutionId, NodeName, RunId, UserId
from model.resources import Resources
from scheduler.admission.plan import Wait, plan
from scheduler.admission.state import State
from scheduler.simulation.event_simulation import Ended, Event, Passed, Started, forward
from scheduler.values.node import Node
from scheduler.values.order import aged, rank
from scheduler.values.pool import Ceiling, PoolSettings, Strategy
from scheduler.values.run import Queued, Shape

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GI = 2**30
NODE = Resources(cpu_milli=4000, memory_bytes=16 * GI)
NODES = [Node(name=NodeName(f"n{n}"), capacity=NODE) for n in range(3)]
MIXED = [Resources(cpu_milli=cpu, memory_bytes=GI) for cpu in (700, 700, 1500, 3000)]
"""More than the nodes can run."""
BESIDE = [
    Resources(cpu_milli=cpu, memory_bytes=memory * GI) for cpu, memory in ((700, 6), (1000, 12), (500, 0), (500, 0))
]
"""What needs much memory waits for a node, and what needs none finds room beside what is reserved for it."""
STRATEGIES = [Strategy.PRIORITY, Strategy.FIFO, Strategy.RESOURCE_AWARE]


def day(seed: int, shapes: list[Resources]) -> list[Queued]:
    """Return runs that come in five hours, each with one of these amounts."""
    random = Random(seed)
    times = sorted(random.uniform(0, 300) for _ in range(110))
    return [
        Queued(
            execution_id=ExecutionId(RunId(UUID(int=number + 1))),
            seq=number,
            priority=random.randrange(10),
            enqueued_at=NOON + at * MINUTE,
            user_id=UserId(UUID(int=1_000_000 + number % 3)),
            shape=Shape(random.choice(shapes)),
            expected=random.choice([None, 20 * MINUTE]),
            restartable=random.random() < 0.7,
        )
        for number, at in enumerate(times)
    ]


def live(seed: int, limits: PoolSettings, shapes: list[Resources]) -> tuple[State, Iterator[Event]]:
    """Return the state of the pool, and what happens in it on the day."""
    random, state = Random(seed), State(limits=limits, nodes=NODES)
    return state, forward(state, NOON, lambda _: random.randrange(5, 40) * MINUTE, day(seed, shapes))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_waiting_runs_never_swap(strategy: Strategy, seed: int) -> None:
    """However long they wait, whoever ages meanwhile, and also if one was started and preempted in between."""
    limits = PoolSettings(strategy=strategy, ceiling=Ceiling(runs=None), ageing_limit=8 * MINUTE, preemption=True)
    state, events = live(seed, limits, MIXED)
    behind: dict[ExecutionId, set[ExecutionId]] = {}
    returned = aged_ones = 0
    for event in events:
        returned += isinstance(event, Ended) and event.preempted_for is not None
        if not isinstance(event, Passed):
            continue
        waiting = in_order(state, event.at)
        aged_ones += sum(aged(run, limits, event.at) for run in waiting)
        later: set[ExecutionId] = set()
        for run in reversed(waiting):
            known = behind.setdefault(run.execution_id, set())
            swapped = {one for one in later if run.execution_id in behind[one]}
            assert not swapped, f"{run} is before {swapped}, and was behind before"
            known |= later
            later.add(run.execution_id)
    assert aged_ones > 100
    assert returned > 0 or strategy is Strategy.FIFO


def in_order(state: State, now: datetime) -> list[Queued]:
    """Return those that wait, by the positions that a pass would write."""
    waits = [decision for decision in plan(state, now) if isinstance(decision, Wait) and decision.position is not None]
    return [wait.run for wait in sorted(waits, key=lambda wait: wait.position or 0)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nobody_with_a_larger_key_takes_what_is_reserved_for_an_aged_run(strategy: Strategy) -> None:
    """On a node that is reserved for an aged run, it has room beside all that started there since and come after it.

    From outside: only starts, ends and reserved nodes are looked at.
    """
    limits = PoolSettings(strategy=strategy, ceiling=Ceiling(runs=None), ageing_limit=8 * MINUTE)
    assert sum(room_stays(seed, limits) for seed in range(4)) > 0


def room_stays(seed: int, limits: PoolSettings) -> int:
    """Check a day; return how often a run had started beside a reservation."""
    state, events = live(seed, limits, BESIDE)
    since: dict[tuple[ExecutionId, NodeName], dict[ExecutionId, Queued]] = {}
    new: list[Started] = []
    checked = 0
    for event in events:
        match event:
            case Started():
                new.append(event)
            case Ended(run=ended):
                for others in since.values():
                    others.pop(ended, None)
            case Passed(outcome=outcome, at=now):
                waiting = [(state.queued[run], node) for run, node in outcome.kept.items()]
                reserved = {(run.execution_id, node): run for run, node in waiting if aged(run, limits, now)}
                since = {key: since.get(key, {}) for key in reserved}
                for (_, node), run in reserved.items():
                    others = since[run.execution_id, node]
                    here = [one.run for one in new if one.node == node and rank(one.run, limits) > rank(run, limits)]
                    others |= {one.execution_id: one for one in here}
                    asked = [each.shape.resources for each in (run, *others.values())]
                    assert sum(each.cpu_milli for each in asked) <= NODE.cpu_milli, f"{others} took what {run} needs"
                    assert sum(each.memory_bytes for each in asked) <= NODE.memory_bytes, f"{others} took it from {run}"
                    checked += bool(others)
                new.clear()
    return checked
