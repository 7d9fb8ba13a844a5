"""What a simulation costs: 100,000 runs over 1,500 nodes, and, in the same run, the original design on fewer runs.

    PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_simulation.py [--runs N] [--nodes N] [--strategy S ...]

1. A trace of 50 shapes, as a company's tests have them. 2. One of thousands of shapes: hardly two runs alike.
3. The original design and ours on the beginning of the first trace: a heap of which only the head is looked at, each
   node scored in plain Python. It explains nothing, keeps no limits and knows no GPUs, owners or ageing.
"""

import argparse
import heapq
import itertools
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import goals

from cli.simulating import collect_seldom
from model.ids import NodeName
from model.resources import Resources
from scheduler.simulation.report import SimulationReport
from scheduler.simulation.simulate import simulate
from scheduler.simulation.trace import TraceRun
from scheduler.values.node import Node
from scheduler.values.pool import Ceiling, PoolSettings, Strategy

MI, GI = 2**20, 2**30
GOAL = 60
"""Seconds of CPU for 100,000 runs over 1,500 nodes."""
LOAD = 0.9
"""Of the CPU, as long as runs come."""
TEAMS, USERS, SUITE = 20, 200, 10
KINDS = ((16_000, 64, 0, 12), (32_000, 128, 0, 5), (64_000, 256, 8, 1))
"""Nodes: milli-cores, GiB, GPUs, and how many in 18 are of this kind."""


def make_nodes(number: int) -> list[Node]:
    """Return nodes of three kinds."""
    kinds = [kind for kind in KINDS for _ in range(kind[3])]
    return [
        Node(name=NodeName(f"node-{i}"), capacity=Resources(cpu_milli=cpu, memory_bytes=memory * GI, gpu=gpu))
        for i, (cpu, memory, gpu, _) in zip(range(number), itertools.cycle(kinds), strict=False)
    ]


def make_shapes(random: Random, number: int) -> list[tuple[Resources, float]]:
    """Return so many different shapes, most of them small, each with the mean of its durations in seconds."""
    shapes: dict[Resources, float] = {}
    while len(shapes) < number:
        cpu = random.choice([1000, 2000, 2000, 4000, 4000, 8000, 12_000]) + 10 * random.randrange(50)
        memory = (cpu * random.choice([1, 2, 3, 3]) + 64 * random.randrange(16)) * MI
        gpu = 1 if random.random() < 0.01 else 0
        shapes[Resources(cpu_milli=cpu, memory_bytes=memory, gpu=gpu)] = random.choice([10, 20, 40, 80])
    return list(shapes.items())


def make_trace(runs: int, nodes: Sequence[Node], shapes: int) -> list[TraceRun]:
    """Return runs that come in suites of about `SUITE`, at such a rate that they ask for `LOAD` of the CPU."""
    random = Random(7)
    kinds = make_shapes(random, shapes)
    made: list[TraceRun] = []
    while len(made) < runs:
        team = random.randrange(TEAMS)
        user = f"user-{team + TEAMS * random.randrange(USERS // TEAMS)}"
        priority = min(9, max(0, round(random.gauss(5, 1.5))))
        for _ in range(min(runs - len(made), 1 + int(random.expovariate(1 / SUITE)))):
            shape, mean = random.choice(kinds)
            seconds = round(max(1.0, mean * min(4.0, random.lognormvariate(-0.18, 0.6))), 3)
            made.append(
                TraceRun(
                    submit=timedelta(),
                    duration=timedelta(seconds=seconds),
                    resources=shape,
                    priority=priority,
                    team=f"team-{team}",
                    user=user,
                )
            )
    return _spaced(made, nodes, random)


def _spaced(made: list[TraceRun], nodes: Sequence[Node], random: Random) -> list[TraceRun]:
    """Give suites their times of arrival."""
    work = sum(run.resources.cpu_milli * run.duration.total_seconds() for run in made)
    length = work / (LOAD * sum(node.capacity.cpu_milli for node in nodes))
    suites = [list(suite) for _, suite in itertools.groupby(made, key=lambda run: (run.team, run.user, run.priority))]
    at, spaced = 0.0, []
    for suite in suites:
        spaced += [_at(run, at) for run in suite]
        at += random.expovariate(len(suites) / length)
    return spaced


def _at(run: TraceRun, seconds: float) -> TraceRun:
    return TraceRun(
        submit=timedelta(seconds=round(seconds, 3)),
        duration=run.duration,
        resources=run.resources,
        priority=run.priority,
        team=run.team,
        user=run.user,
    )


@dataclass(slots=True)
class Machine:
    """A node of the original design: what it has, and what is free."""

    cpu: int
    memory: int
    free_cpu: int
    free_memory: int


def original(trace: Sequence[TraceRun], nodes: Sequence[Node]) -> tuple[float, float]:
    """Run a trace as the original design has it. Returns: CPU seconds it took, mean wait in seconds of virtual time."""
    begun = time.process_time()
    machines = [Machine(*(2 * (node.capacity.cpu_milli, node.capacity.memory_bytes))) for node in nodes]
    coming = [(run.submit.total_seconds(), number) for number, run in enumerate(trace)][::-1]
    queue: list[tuple[int, float, int]] = []
    ends: list[tuple[float, int, Machine]] = []
    waited = 0.0
    while coming or ends:
        now = min([each[0] for each in (coming[-1:] + ends[:1])])
        while coming and coming[-1][0] <= now:
            submitted, number = coming.pop()
            heapq.heappush(queue, (trace[number].priority, submitted, number))
        while ends and ends[0][0] <= now:
            _, number, machine = heapq.heappop(ends)
            _hold(machine, trace[number].resources, -1)
        while queue:
            run = trace[queue[0][2]]
            best = _select(machines, run.resources)
            if best is None:
                break
            _, submitted, number = heapq.heappop(queue)
            waited += now - submitted
            _hold(best, run.resources, 1)
            heapq.heappush(ends, (now + run.duration.total_seconds(), number, best))
    return time.process_time() - begun, waited / len(trace)


def _hold(machine: Machine, resources: Resources, times: int) -> None:
    machine.free_cpu -= times * resources.cpu_milli
    machine.free_memory -= times * resources.memory_bytes


def _select(machines: Sequence[Machine], asked: Resources) -> Machine | None:
    """Score each node by the formula of the original design. GPUs are no part of it."""
    cpu, memory = max(asked.cpu_milli, 1), max(asked.memory_bytes, 1)
    best, most = None, -1.0
    for machine in machines:
        if machine.free_cpu < cpu or machine.free_memory < memory:
            continue
        used = 1 - (machine.free_cpu / machine.cpu + machine.free_memory / machine.memory) / 2
        score = 0.4 * min(machine.free_cpu / cpu, machine.free_memory / memory) + 0.3 * (1 - abs(used - 0.7)) + 0.25
        if score > most:
            best, most = machine, score
    return best


def measure(name: str, trace: Sequence[TraceRun], nodes: Sequence[Node], strategy: Strategy) -> float:
    """Print what one simulation costs, and what it found. Returns: CPU seconds."""
    begun, used = time.perf_counter(), time.process_time()
    report = simulate(trace, nodes, PoolSettings(strategy=strategy, ceiling=Ceiling(runs=None)))
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shapes = len({run.resources for run in trace})
    print(
        f"{name}, {strategy}: {used:.1f} s of CPU in {seconds:.1f} s, {len(trace):,} runs of {shapes:,} shapes over"
        f" {len(nodes):,} nodes, {report.passes:,} passes of {1e6 * used / report.passes:.0f} us, {peak:.0f} MiB;"
        f" mean wait {report.waits.mean.total_seconds():.1f} s,"
        f" CPU {_while_they_come(report, trace):.0%} while runs come,"
        f" makespan {report.stretch:.3f} of the bound ({report.bound.because})",
        flush=True,
    )
    return used


def _while_they_come(report: SimulationReport, trace: Sequence[TraceRun]) -> float:
    """Return the mean share of the CPU that was held in the last three quarters of the time in which runs come."""
    last = trace[-1].submit
    return statistics.fmean(point.cpu for point in report.timeline if last / 4 <= point.at <= last)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=1500)
    parser.add_argument("--shapes", type=int, default=5000, help="of the second trace")
    parser.add_argument("--peer-runs", type=int, default=20_000)
    parser.add_argument("--strategy", nargs="*", default=list(Strategy), type=Strategy)
    given = parser.parse_args()
    nodes = make_nodes(given.nodes)
    usual = make_trace(given.runs, nodes, 50)
    collect_seldom()
    costs = [measure("usual shapes", usual, nodes, strategy) for strategy in given.strategy]
    print(
        goals.at_most(f"{given.runs:,} runs over {given.nodes:,} nodes, the slowest strategy", max(costs), GOAL, " s")
    )
    if given.shapes:
        measure("many shapes", make_trace(given.runs, nodes, given.shapes), nodes, given.strategy[0])
    if given.peer_runs:
        beginning = usual[: given.peer_runs]
        ours = measure("the beginning of usual shapes", beginning, nodes, Strategy.PRIORITY) / len(beginning)
        seconds, wait = original(beginning, nodes)
        theirs = seconds / len(beginning)
        print(
            f"original design: {seconds:.1f} s of CPU for the same {len(beginning):,} runs, mean wait {wait:.1f} s;"
            f" {1e6 * theirs:.0f} us a run against {1e6 * ours:.0f} us of ours: {theirs / ours:.2f} times as much"
        )


if __name__ == "__main__":
    main()
