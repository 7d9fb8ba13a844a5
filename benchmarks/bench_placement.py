"""What choosing a node costs, beside a plain loop over all nodes with the original formula.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_placement.py [--nodes N ...] [--decisions N]

A decision is `place` (filter, score, up to five candidates with their terms) and `take` of the first. Nodes have zones,
disks, instance types, names of their own, some are tainted, some spot, all are about half used. Paths:

    all different   each request has amounts of its own; rules (selectors, affinity, tolerations) are one of 24 sets
    new rules       each request has a rule that no other has: labels are looked at anew
    one shape       the same request again and again
    50 shapes       in turn, with the 24 rule sets
    kept apart      one shape that carries an anti-affinity by host and a spread over zones
    no room         one shape too large for what is left: the reason, with its numbers
    plain loop      pure Python, `score_node` of the original design, nodes filtered by their selector only
"""

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from random import Random
from uuid import UUID

import goals

from model.config import (
    Affinity,
    Effect,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Operator,
    PreferredTerm,
    Toleration,
)
from model.ids import ExecutionId, NodeName
from model.resources import Resources
from scheduler.placement.ask import Ask
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.place import place
from scheduler.values.node import Node, Taint
from scheduler.values.packed_nodes import pack, unpack
from scheduler.values.pool import PoolSettings
from scheduler.values.reasons import Reason
from scheduler.values.run import Apart, Constraints, Labels, Shape, Spread

GOAL, GOAL_NODES = 5000, 5000
GI = 2**30
ZONE, DISK, KIND = "topology.kubernetes.io/zone", "example.org/disk", "node.kubernetes.io/instance-type"
WEB: Labels = (("app", "web"),)
LIMITS = PoolSettings(spot=True)
SIZES = {"m": (8, 32), "c": (16, 32), "r": (16, 128), "x": (32, 64)}
RESTART = 4
"""A fleet is used for so many decisions a node, then a fresh copy: it would be full otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Seconds of each decision, and CPU seconds of them all: on a busy machine the two differ."""

    path: str
    seconds: Sequence[float]
    cpu: float

    @property
    def of_cpu(self) -> float:
        """Decisions a second of one core."""
        return len(self.seconds) / self.cpu

    def __str__(self) -> str:
        ordered = sorted(1e6 * cost for cost in self.seconds)
        rate = len(ordered) / sum(self.seconds)
        p50, p99 = statistics.median(ordered), ordered[int(0.99 * len(ordered))]
        return f"{self.path:<15}{rate:>12,.0f}{self.of_cpu:>12,.0f}{p50:>10.0f}{p99:>10.0f}"


def nodes(number: int, random: Random) -> list[Node]:
    """Return nodes of four kinds in three zones; one in ten is tainted, one in ten spot."""
    return [_node(place, random) for place in range(number)]


def used(number: int, random: Random) -> NodeUsage:
    """Return a fleet of which about half is in use."""
    fleet = NodeUsage(nodes(number, random))
    names = [node.name for node in fleet.nodes]
    for _ in range(6 * number):
        amounts = Resources(cpu_milli=random.randrange(200, 2800, 100), memory_bytes=random.randrange(1, 10) * GI)
        fleet.take(random.choice(names), amounts)
    return fleet


def rules() -> list[Constraints]:
    """Return 24 sets of rules: none, selectors, affinities, tolerations, and several at once."""
    zones = [(ZONE, zone) for zone in ("a", "b", "c")]
    ssd = _term(DISK, Operator.IN, "ssd")
    near = (
        PreferredTerm(weight=60, preference=ssd),
        PreferredTerm(weight=40, preference=_term(ZONE, Operator.IN, "a")),
    )
    affinities = [
        Affinity(),
        Affinity(required=(ssd,)),
        Affinity(required=(_term(KIND, Operator.NOT_IN, "m"), ssd)),
        Affinity(preferred=near),
    ]
    tolerations = [(), (Toleration(key="dedicated", value="load", effect=Effect.NO_SCHEDULE),)]
    return [
        Constraints(node_selector=selector, affinity=affinity, tolerations=tolerated)
        for selector in ((), (zones[0],), (zones[1],))
        for affinity in affinities
        for tolerated in tolerations
    ]


def different(random: Random) -> Iterator[Shape]:
    """Yield shapes of which no two have the same amounts."""
    sets = rules()
    for number in count():
        yield Shape(_amounts(100 + number % 900, random.randrange(2 * GI)), sets[number % len(sets)])


def new_rules(random: Random) -> Iterator[Shape]:
    """Yield shapes of which each asks for another label."""
    for number in count():
        unlike = Affinity(required=(_term(DISK, Operator.NOT_IN, f"disk-{number}"),))
        yield Shape(_amounts(500, random.randrange(2 * GI)), Constraints(affinity=unlike))


def fifty() -> Iterator[Shape]:
    """Yield 50 shapes in turn."""
    sets = rules()
    return cycle([Shape(_amounts(100 + 10 * i, GI), sets[i % len(sets)]) for i in range(50)])


def one(constraints: Constraints | None = None, cpu: int = 100) -> Iterator[Shape]:
    """Yield one shape again and again."""
    return cycle([Shape(_amounts(cpu, GI), constraints or Constraints())])


def decide(path: str, base: NodeUsage, shapes: Iterator[Shape], decisions: int, labels: Labels = ()) -> Costs:
    """Time decisions one by one."""
    seconds, cpu_seconds, fleet = [], [], base.copy()
    warm_up = min(200, decisions)
    for number in range(warm_up + decisions):
        if number % (RESTART * len(base)) == 0:
            fleet = base.copy()
        shape, run = next(shapes), ExecutionId(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))
        start, cpu = time.perf_counter(), time.thread_time()
        placed = place(fleet, Ask(shape=shape, limits=LIMITS, labels=labels), run)
        if not isinstance(placed, Reason):
            fleet.take(placed[0].node, shape.resources, 1, labels)
        cpu_seconds.append(time.thread_time() - cpu)
        seconds.append(time.perf_counter() - start)
    return Costs(path=path, seconds=seconds[warm_up:], cpu=sum(cpu_seconds[warm_up:]))


def plain_loop(base: NodeUsage, shapes: Iterator[Shape], decisions: int) -> Costs:
    """Time the original design's way: score each node that the selector allows, sort, take the first."""
    seconds, cpu_seconds = [], 0.0
    left = {node.name: [0, 0] for node in base.nodes}
    for column, node in enumerate(base.nodes):
        left[node.name] = base.used[:2, column].tolist()
    for _ in range(decisions):
        shape = next(shapes)
        start, cpu = time.perf_counter(), time.thread_time()
        best = _plain(base.nodes, left, shape)
        left[best][0] += shape.resources.cpu_milli
        left[best][1] += shape.resources.memory_bytes
        cpu_seconds += time.thread_time() - cpu
        seconds.append(time.perf_counter() - start)
    return Costs(path="plain loop", seconds=seconds, cpu=cpu_seconds)


def memory(number: int) -> str:
    """Return how much a fleet takes, alone and with the memory of 50 shapes, and a copy of it for a pass."""
    tracemalloc.start()
    facts = unpack(pack(nodes(number, Random(1))))
    before = tracemalloc.get_traced_memory()[0]
    fleet = NodeUsage(facts)
    alone = tracemalloc.get_traced_memory()[0] - before
    decide("", fleet, fifty(), 200)
    remembered = tracemalloc.get_traced_memory()[0] - before - alone
    twin = fleet.copy()
    copied = tracemalloc.get_traced_memory()[0] - before - alone - remembered
    tracemalloc.stop()
    figures = (before, alone, remembered, copied if twin is not fleet else 0)
    facts_mb, fleet_mb, memo_mb, copy_mb = (f"{figure / 1e6:.1f}" for figure in figures)
    return (
        f"memory in MB: facts {facts_mb}, fleet {fleet_mb}, 50 shapes remembered {memo_mb}, copy for a pass {copy_mb}"
    )


def snapshot(number: int) -> str:
    """Return what packed nodes take, and what reading them costs."""
    made = nodes(number, Random(1))
    packed = pack(made)
    milliseconds = [
        1000 * _best_of(work) for work in (lambda: pack(made), lambda: unpack(packed), lambda: NodeUsage(made))
    ]
    packing, unpacking, building = (f"{cost:.1f}" for cost in milliseconds)
    size = f"{len(packed) / 1e6:.2f} MB"
    return f"snapshot: {size}, pack {packing} ms, unpack {unpacking} ms, build a fleet {building} ms"


def measure(number: int, decisions: int) -> None:
    """Print all figures of one number of nodes."""
    random = Random(7)
    base = used(number, random)
    close = Constraints(
        apart=(Apart(topology="kubernetes.io/hostname", labels=WEB),),
        spread=(Spread(topology=ZONE, labels=WEB, max_skew=2),),
    )
    print(f"\n{f'{number:,} nodes':<15}{'a second':>12}{'a CPU s':>12}{'p50 µs':>10}{'p99 µs':>10}")
    placing = (
        decide("all different", base, different(random), decisions),
        decide("new rules", base, new_rules(random), min(1000, decisions)),
        decide("one shape", base, one(), decisions),
        decide("50 shapes", base, fifty(), decisions),
        decide("kept apart", base, one(close), min(number // 2, decisions), WEB),
    )
    print(*placing, sep="\n")
    print(decide("no room", base, one(cpu=31_900), min(1000, decisions)))
    print(plain_loop(base, different(random), max(20, 100_000 // number)))
    print(memory(number))
    print(snapshot(number))
    if number == GOAL_NODES:
        for costs in placing:
            print(goals.at_least(f"decisions a second of one core, {costs.path}", costs.of_cpu, GOAL))


def _node(number: int, random: Random) -> Node:
    kind = random.choice(list(SIZES))
    cpu, memory_gi = SIZES[kind]
    name = f"ip-10-{number >> 8}-{number & 255}.eu-west-1.compute.internal"
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        ZONE: random.choice("abc"),
        DISK: random.choice(("ssd", "ssd", "hdd")),
        KIND: kind,
        "karpenter.sh/capacity-type": random.choice(("spot", *9 * ("on-demand",))),
    }
    tainted = (Taint(key="dedicated", value="load", effect=Effect.NO_SCHEDULE),) if random.random() < 0.1 else ()
    capacity = Resources(cpu_milli=cpu * 1000, memory_bytes=memory_gi * GI, ephemeral_bytes=100 * GI)
    return Node(name=NodeName(name), capacity=capacity, labels=labels, taints=tainted)


def _term(key: str, operator: Operator, value: str) -> NodeSelectorTerm:
    return NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key=key, operator=operator, values=(value,)),))


def _amounts(cpu: int, memory_bytes: int) -> Resources:
    return Resources(cpu_milli=cpu, memory_bytes=memory_bytes)


def _plain(facts: Sequence[Node], left: dict[NodeName, list[int]], shape: Shape) -> NodeName:
    scored = []
    for node in facts:
        if any(node.labels.get(key) != value for key, value in shape.constraints.node_selector):
            continue
        cpu, memory_bytes = left[node.name]
        asked = shape.resources
        free_cpu, free_memory = node.capacity.cpu_milli - cpu, node.capacity.memory_bytes - memory_bytes
        headroom = min(
            free_cpu / asked.cpu_milli if asked.cpu_milli else 1.0,
            free_memory / asked.memory_bytes if asked.memory_bytes else 1.0,
        )
        utilisation = (cpu / node.capacity.cpu_milli + memory_bytes / node.capacity.memory_bytes) / 2
        cheap = 0.1 if node.labels.get("spot") == "true" else 0.05
        scored.append((0.4 * headroom + 0.3 * (1 - abs(utilisation - 0.7)) + 0.2 + cheap, node.name))
    scored.sort(reverse=True)
    return scored[0][1]


def _best_of(work: Callable[[], object], rounds: int = 7) -> float:
    costs = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        costs.append(time.perf_counter() - start)
    return min(costs)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="*", default=[1000, 1500, 5000, 10_000])
    parser.add_argument("--decisions", type=int, default=5000)
    given = parser.parse_args()
    for number in given.nodes:
        measure(number, given.decisions)


if __name__ == "__main__":
    main()
