"""How good forecasts of starts are, and what they cost.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_estimates.py [--queued N ...] [--worlds N]

Pure: 64 places, 50 tests with durations of their own (log-normal, median 5 s to 5 min), of which the estimate has seen
50 each; five priorities. Each world draws its real future anew, with the same core. What is read of the queue is what a
worker reads: the first 200 and the head of each shape; those behind are told by the rate of starts.

Last comes a world in which more important runs arrive later, a quarter of all that start: nobody foretells them.
"""

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import mean, median
from uuid import UUID

from flows.forecasting import simulate
from model.ids import ExecutionId, NodeName, UserId, uuid7
from model.resources import Resources
from scheduler.estimate import Basis, Estimate, Question, estimates
from scheduler.forward import Started, forward
from scheduler.history import History, history
from scheduler.node import Node
from scheduler.pool import Ceiling, Limits
from scheduler.run import Queued, Running, Shape
from scheduler.state import State

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACES, TESTS, SEEN = 64, 50, 50
SIGMA = 0.4
NEAR, FAR = 200, 2_000
LIMITS = Limits(ceiling=Ceiling(runs=PLACES))
NODES = [
    Node(name=NodeName(f"n{number}"), capacity=Resources(cpu_milli=64_000, memory_bytes=2**38)) for number in range(8)
]


@dataclass(slots=True)
class Told:
    """What was told, and what came: seconds from the estimate to p50, to p90, to the start."""

    rows: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, found: Estimate, start: datetime | None) -> None:
        """Note a run that has started."""
        if start is not None:
            p50, p90, came = ((at - NOON).total_seconds() for at in (found.p50, found.p90, start))
            self.rows.append((p50, p90, came))

    def __str__(self) -> str:
        early50 = mean(came <= p50 for p50, _, came in self.rows)
        early90 = mean(came <= p90 for _, p90, came in self.rows)
        loss50 = mean(max(0.5 * (came - p50), 0.5 * (p50 - came)) for p50, _, came in self.rows)
        loss90 = mean(max(0.9 * (came - p90), 0.1 * (p90 - came)) for _, p90, came in self.rows)
        wait, error = median(row[2] for row in self.rows), median(abs(row[2] - row[0]) for row in self.rows)
        return (
            f"{len(self.rows):>6} starts: before p50 {early50:.0%}, before p90 {early90:.0%}; pinball loss "
            f"{loss50:.1f} s and {loss90:.1f} s; median error {error:.1f} s of a median wait of {wait:.0f} s"
        )


class World:
    """A pool with `queued` runs, and how long each of them will really take."""

    def __init__(self, queued: int, seed: int) -> None:
        self.dice = Random(seed)
        self.medians = [5 * 60 ** (number / (TESTS - 1)) for number in range(TESTS)]
        self.histories = [history([self.seconds(test) for _ in range(SEEN)]) for test in range(TESTS)]
        self.test_of: dict[ExecutionId, int] = {}
        self.left: dict[ExecutionId, timedelta] = {}
        self.running = [self._under_way(number) for number in range(PLACES)]
        self.queued = sorted((self.run(seq) for seq in range(queued)), key=lambda run: (run.priority, run.seq))

    def seconds(self, test: int, shift: float = 0.0) -> float:
        """Draw a real duration."""
        return self.medians[test] * self.dice.lognormvariate(shift, SIGMA)

    def run(self, seq: int, priority: int | None = None, at: datetime = NOON) -> Queued:
        """Make a run of a random test."""
        made = ExecutionId(uuid7(NOON, self.dice))
        self.test_of[made] = test = self.dice.randrange(TESTS)
        return Queued(
            execution_id=made,
            seq=seq,
            priority=self.dice.randrange(5) if priority is None else priority,
            enqueued_at=at,
            user_id=UserId(UUID(int=test % 5)),
            shape=Shape(Resources(cpu_milli=100 + test)),
        )

    def state(self, waiting: Iterable[Queued]) -> State:
        """Build the pool with some of those that wait."""
        made = State(limits=LIMITS, nodes=NODES)
        for place in self.running:
            made.start(place)
        for run in waiting:
            made.enqueue(run)
        return made

    def known(self) -> dict[ExecutionId, History]:
        """Return the history of each run."""
        return {run: self.histories[test] for run, test in self.test_of.items()}

    def question(self) -> Question:
        """Ask as a worker does."""
        first = self.queued[:NEAR]
        heads = {(run.priority, run.user_id, run.shape): run for run in reversed(self.queued)}
        state = self.state({run.execution_id: run for run in (*first, *heads.values())}.values())
        near, far = ([run.execution_id for run in part] for part in (first, self.queued[NEAR:FAR]))
        return Question(state=state, now=NOON, near=tuple(near), far=tuple(far), history=self.known())

    def future(self, arrivals: Sequence[Queued] = ()) -> dict[ExecutionId, datetime]:
        """Return when the first of the queue really start."""
        wanted = {run.execution_id for run in self.queued[:FAR]}
        starts: dict[ExecutionId, datetime] = {}
        for event in forward(self.state(self.queued), NOON, self._really, arrivals):
            if isinstance(event, Started):
                starts[event.run.execution_id] = event.at
                wanted.discard(event.run.execution_id)
                if not wanted:
                    break
        return starts

    def _really(self, run: Queued | Running) -> timedelta:
        left = self.left.get(run.execution_id)
        return timedelta(seconds=self.seconds(self.test_of[run.execution_id])) if left is None else left

    def _under_way(self, number: int) -> Running:
        """Make a run as one finds it at a random moment: those that take long are met more often."""
        test = self.dice.choices(range(TESTS), self.medians)[0]
        length, made = self.seconds(test, SIGMA**2), ExecutionId(uuid7(NOON, self.dice))
        ran = timedelta(seconds=self.dice.uniform(0, length))
        self.test_of[made], self.left[made] = test, timedelta(seconds=length) - ran
        return Running(
            execution_id=made,
            user_id=UserId(UUID(int=number % 5)),
            resources=Resources(cpu_milli=100 + test),
            node=NODES[number % len(NODES)].name,
            started_at=NOON - ran,
        )


def measure(queued: int, worlds: int, share: float = 0.0) -> None:
    """Print what forecasts are worth with so many queued. `share` of the starts are of more important late comers."""
    told: dict[Basis, Told] = {basis: Told() for basis in Basis}
    costs, trials = [], 0
    for seed in range(worlds):
        world = World(queued, seed)
        question = world.question()
        futures, seconds = simulate(question)
        begun = time.thread_time()
        found = estimates(question, futures)
        costs.append(seconds + time.thread_time() - begun)
        trials = len(futures)
        starts = world.future(_late(world, found, share))
        for estimate in found:
            told[estimate.basis].add(estimate, starts.get(estimate.execution_id))
    late = f", {share:.0%} of the starts are of later, more important runs" if share else ""
    print(f"{queued} queued{late}; {worlds} worlds, {trials} trials each: {median(costs):.2f} s of CPU an estimate")
    for basis, rows in told.items():
        if rows.rows:
            print(f"  {basis:<8} {rows}")


def _late(world: World, found: Sequence[Estimate], share: float) -> list[Queued]:
    """Return runs of the highest priority that come evenly while those of the estimate start."""
    number = int(len(found) * share / (1 - share))
    until = max(estimate.p50 for estimate in found) - NOON
    return [world.run(10**6 + n, priority=0, at=NOON + until * (n + 1) / (number + 1)) for n in range(number)]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, nargs="+", default=[200, 1_000, 10_000])
    parser.add_argument("--worlds", type=int, default=20)
    given = parser.parse_args()
    for queued in given.queued:
        measure(queued, max(2, given.worlds * 200 // queued) if queued > 1_000 else given.worlds)
    measure(200, given.worlds, share=0.25)


if __name__ == "__main__":
    main()
