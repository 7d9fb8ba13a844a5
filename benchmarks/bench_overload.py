"""An overloaded day: who waits how long if more comes than the nodes can run, and what it costs to simulate.

    PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_overload.py [--before WORKTREE]

1. Runs of ten priorities come evenly for 24 hours, at 1.3 times of what 20 nodes can run. The ageing limit is one hour.
   Important runs must wait for less, however long the queue is: the p95 of priorities 0 to 2 is at most half of that of
   7 to 9.
2. One pass over 5,000 aged runs of 50 shapes, and one that follows it after one run has ended.

`--before` runs the same in another worktree, such as one of an earlier commit, and prints both in one table.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import goals

from cli.simulating import collect_seldom
from model.ids import ExecutionId, NodeName, RunId, TeamId, UserId
from model.resources import Resources
from scheduler.admission.plan import Arrived, Left, apply, carry_out, decide
from scheduler.admission.state import State
from scheduler.simulation.simulate import simulate
from scheduler.simulation.trace import TraceRun
from scheduler.values.node import Node
from scheduler.values.pool import Ceiling, PoolSettings, Strategy
from scheduler.values.run import Queued, Shape

LOAD = 1.3
DAY = timedelta(hours=24)
NODES = 20
SHAPES = 50
MEAN_SECONDS = 995.0
TEAMS = 20
PRIORITIES = 10
CPU_GOAL = 10
"""Seconds of CPU for the day."""
PASS_GOAL = 20
"""Milliseconds for one pass over the aged runs."""
AGED = 5_000
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def make_day(nodes: Sequence[Node]) -> list[TraceRun]:
    """Return the runs of the day, in order."""
    random = Random(12)
    kinds = [_shape(random) for _ in range(SHAPES)]
    capacity = sum(node.capacity.cpu_milli for node in nodes) * DAY.total_seconds() * LOAD
    work, made = 0.0, list[tuple[Resources, float]]()
    while work < capacity:
        shape, seconds = random.choice(kinds), min(7200.0, max(10.0, random.expovariate(1 / MEAN_SECONDS)))
        made.append((shape, round(seconds, 3)))
        work += shape.cpu_milli * seconds
    times = sorted(random.uniform(0, DAY.total_seconds()) for _ in made)
    return [
        TraceRun(
            submit=timedelta(seconds=round(at, 3)),
            duration=timedelta(seconds=seconds),
            resources=shape,
            priority=random.randrange(PRIORITIES),
            team=f"team-{team}",
            user=f"user-{team}",
        )
        for at, (shape, seconds) in zip(times, made, strict=True)
        for team in [random.randrange(TEAMS)]
    ]


def _shape(random: Random) -> Resources:
    cpu = random.choice([1000, 1000, 2000, 2000, 4000]) + 10 * random.randrange(50)
    return Resources(cpu_milli=cpu, memory_bytes=cpu * 2 * 2**20)


def make_nodes() -> list[Node]:
    """Return nodes that are all alike."""
    each = Resources(cpu_milli=16_000, memory_bytes=64 * 2**30)
    return [Node(name=NodeName(f"node-{number}"), capacity=each) for number in range(NODES)]


def day() -> dict[str, Any]:
    """Simulate the day. Returns: waits in seconds, and CPU seconds."""
    nodes = make_nodes()
    trace = make_day(nodes)
    begun = time.process_time()
    report = simulate(trace, nodes, PoolSettings(strategy=Strategy.PRIORITY, ceiling=Ceiling(runs=None)))
    used = time.process_time() - begun
    return {
        "runs": len(trace),
        "cpu": used,
        "mean": report.waits.mean.total_seconds(),
        "p95": {str(priority): waits.p95.total_seconds() for priority, waits in report.by_priority},
    }


def aged_state() -> State:
    """Return full nodes, and aged runs of 50 shapes and five users that wait for them."""
    random = Random(3)
    shapes = [Shape(Resources(cpu_milli=1000 + 100 * number, memory_bytes=2**30)) for number in range(SHAPES)]
    nodes = [Node(name=NodeName(f"n{n}"), capacity=Resources(cpu_milli=16_000, memory_bytes=2**36)) for n in range(50)]
    state = State(limits=PoolSettings(ceiling=Ceiling(runs=None)), nodes=nodes)
    for number in range(AGED):
        run = Queued(
            execution_id=ExecutionId(RunId(UUID(int=number + 1))),
            seq=number,
            priority=random.randrange(PRIORITIES),
            enqueued_at=NOON - timedelta(hours=20, seconds=-number),
            user_id=UserId(UUID(int=1_000_000 + number % 5)),
            team_id=TeamId(UUID(int=2_000_000 + number % 5)),
            shape=shapes[number % SHAPES],
        )
        state = apply(state, Arrived(run=run))
    return carry_out(state, decide(state, NOON), NOON)


def passes() -> dict[str, float]:
    """Return the milliseconds of a pass over all aged runs, and of one after a run has ended."""
    after_end, anew = [], []
    state = aged_state()
    for _ in range(20):
        state = apply(state, Left(run=next(iter(state.running))))
        begun = time.process_time()
        outcome = decide(state, NOON)
        after_end.append(time.process_time() - begun)
        state = carry_out(state, outcome, NOON)
        state.see(state.node_usage.nodes)  # nothing that is remembered holds any more
        begun = time.process_time()
        decide(state, NOON)
        anew.append(time.process_time() - begun)
    return {"anew": 1000 * statistics.median(anew), "after_end": 1000 * statistics.median(after_end)}


def measure() -> dict[str, Any]:
    """Return all figures."""
    collect_seldom()
    return {"day": day(), "passes": passes()}


def measure_in(worktree: Path) -> dict[str, Any]:
    """Return the figures of another worktree, by its own code."""
    here = Path(__file__).resolve()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(worktree), str(worktree / "tests")])}
    command = [sys.executable, str(here), "--json"]
    found: dict[str, Any] = json.loads(subprocess.check_output(command, env=environment, cwd=worktree))
    return found


def show(columns: dict[str, dict[str, Any]]) -> None:
    """Print a table with a column for each measurement."""
    first = next(iter(columns.values()))
    rows = [
        (f"p95 wait of priority {p}", [_time(c["day"]["p95"][p]) for c in columns.values()])
        for p in first["day"]["p95"]
    ]
    rows.append(("mean wait", [_time(c["day"]["mean"]) for c in columns.values()]))
    rows.append(("CPU of the simulation", [f"{c['day']['cpu']:.1f} s" for c in columns.values()]))
    rows.append(("a pass over the aged runs, anew", [f"{c['passes']['anew']:.1f} ms" for c in columns.values()]))
    rows.append(("a pass after one has ended", [f"{c['passes']['after_end']:.1f} ms" for c in columns.values()]))
    print(f"| {first['day']['runs']:,} runs in a day, {NODES} nodes, load {LOAD} | {' | '.join(columns)} |")
    print("|---|" + "---|" * len(columns))
    for name, figures in rows:
        print(f"| {name} | {' | '.join(figures)} |")


def _time(seconds: float) -> str:
    return f"{int(seconds // 3600)}h{int(seconds % 3600 // 60):02}m"


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="a worktree to compare with")
    parser.add_argument("--json", action="store_true", help="print the figures only, for --before")
    given = parser.parse_args()
    after = measure()
    if given.json:
        print(json.dumps(after))
        return
    before = {} if given.before is None else {"before": measure_in(given.before.resolve())}
    show({**before, "after": after})
    p95 = after["day"]["p95"]
    important, others = max(p95[p] for p in "012"), min(p95[p] for p in "789")
    print(goals.at_most("p95 of priorities 0 to 2, of that of 7 to 9", important / others, 0.5))
    print(goals.at_most("CPU of the day", after["day"]["cpu"], CPU_GOAL, " s"))
    print(goals.at_most("a pass over the aged runs", after["passes"]["anew"], PASS_GOAL, " ms"))


if __name__ == "__main__":
    main()
