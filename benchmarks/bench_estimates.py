"""How good forecasts of starts are, and what they cost.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_estimates.py [--queued N ...] [--worlds N] [--later NAME ...]

Pure: 64 places, 50 tests with durations of their own (log-normal, median 5 s to 5 min), of which the estimate has seen
50 each; five priorities. Each world draws its real future anew, with the same core. What is read of the queue is what a
worker reads: the first 200 and the head of each shape; those behind are told by the rate of starts.

Then come worlds in which others arrive later, at a rate of a part of all that the pool can start; the estimate has
seen who came in the hour before (`LATER`).
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from math import exp
from random import Random
from statistics import mean, median
from uuid import UUID

from flows.forecasting import simulate
from model.ids import ExecutionId, NodeName, UserId, uuid7
from model.resources import Resources
from scheduler.admission.state import State
from scheduler.forecast.arrivals import NOBODY, WINDOW, Arrivals, Newcomer, learn
from scheduler.forecast.estimate import Basis, Estimate, estimates
from scheduler.forecast.history import History, history
from scheduler.forecast.question import Behind, Question
from scheduler.simulation.event_simulation import Started, forward
from scheduler.values.node import Node
from scheduler.values.pool import Ceiling, PoolSettings
from scheduler.values.run import Queued, Running, Shape

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACES, TESTS, SEEN = 64, 50, 50
SIGMA = 0.4
NEAR, FAR = 200, 2_000
LIMITS = PoolSettings(ceiling=Ceiling(runs=PLACES))
NODES = [
    Node(name=NodeName(f"n{number}"), capacity=Resources(cpu_milli=64_000, memory_bytes=2**38)) for number in range(8)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Who arrives: at what part of all starts, of which priorities, how many at once, how steadily.

    Every ten minutes the rate changes by a factor, log-normal of `drift`; from now on it is `now` times as high.
    """

    share: float
    priorities: int = 1
    together: int = 1
    drift: float = 0.0
    now: float = 1.0

    def times(self, rate: float, dice: Random) -> Iterator[float]:
        """Tell without end when somebody comes, in seconds from now, from an hour ago on."""
        at, turn, level = -WINDOW.total_seconds(), 0.0, 1.0
        while True:
            wait = dice.expovariate(rate * level * self.share / self.together * (self.now if at >= 0 else 1.0) or 1e-9)
            if at < turn <= at + wait:  # memoryless: from a turn on it is drawn anew
                at, wait = turn, 0.0
            else:
                at += wait
                yield from [at] * self.together
            if at >= turn:
                turn, level = turn + 600, level * dice.lognormvariate(-(self.drift**2) / 2, self.drift)


LATER = {
    "steady, 25 % more important": Later(share=0.25),
    "steady, 50 % more important": Later(share=0.5),
    "steady, 5 % more important": Later(share=0.05),
    "steady, 50 % of all priorities": Later(share=0.5, priorities=5),
    "suites of 20, 25 % more important": Later(share=0.25, together=20),
    "drifting, 25 % more important": Later(share=0.25, drift=0.5),
    "25 % until now, then none": Later(share=0.25, now=0.0),
    "25 % until now, then twice as many": Later(share=0.25, now=2.0),
}


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

    def mean_rate(self) -> float:
        """Return how many runs a second the pool can start."""
        return PLACES / (mean(self.medians) * exp(SIGMA**2 / 2))

    def arrivals(self, later: Later) -> Iterator[Queued]:
        """Tell without end who arrives, from an hour ago on."""
        for number, at in enumerate(later.times(self.mean_rate(), self.dice)):
            yield self.run(10**6 + number, self.dice.randrange(later.priorities), NOON + timedelta(seconds=at))

    def question(self, arrivals: Arrivals = NOBODY) -> Question:
        """Ask as a worker does."""
        first = self.queued[:NEAR]
        heads = {(run.priority, run.user_id, run.shape): run for run in reversed(self.queued)}
        state = self.state({run.execution_id: run for run in (*first, *heads.values())}.values())
        far = (
            Behind(execution_id=run.execution_id, priority=run.priority, enqueued_at=run.enqueued_at)
            for run in self.queued[NEAR:FAR]
        )
        near = tuple(run.execution_id for run in first)
        return Question(state=state, now=NOON, near=near, far=tuple(far), history=self.known(), arrivals=arrivals)

    def future(self, arrivals: Iterable[Queued] = ()) -> dict[ExecutionId, datetime]:
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
            queued=Queued(
                execution_id=made,
                seq=number,
                priority=5,
                enqueued_at=NOON - ran,
                user_id=UserId(UUID(int=number % 5)),
                shape=Shape(Resources(cpu_milli=100 + test)),
            ),
            node=NODES[number % len(NODES)].name,
            started_at=NOON - ran,
        )


def measure(queued: int, worlds: int, name: str = "") -> None:
    """Print what forecasts are worth with so many queued, while others arrive or nobody does."""
    told: dict[Basis, Told] = {basis: Told() for basis in Basis}
    costs, trials = [], 0
    for seed in range(worlds):
        world = World(queued, seed)
        seen, coming = _seen(world, world.arrivals(LATER[name]) if name else iter(()))
        question = world.question(seen)
        futures, seconds = simulate(question)
        begun = time.thread_time()
        found = estimates(question, futures)
        costs.append(seconds + time.thread_time() - begun)
        trials = len(futures)
        starts = world.future(coming)
        for estimate in found:
            told[estimate.basis].add(estimate, starts.get(estimate.execution_id))
    print(
        f"{queued} queued, later {name or 'none'}; {worlds} worlds, {trials} trials: {median(costs):.2f} s of CPU each"
    )
    for basis, rows in told.items():
        if rows.rows:
            print(f"  {basis:<20} {rows}")


def _seen(world: World, arriving: Iterator[Queued]) -> tuple[Arrivals, Iterator[Queued]]:
    """Return who came in the hour before, and who comes after that."""
    past: list[Newcomer] = []
    for run in arriving:
        if run.enqueued_at >= NOON:
            return learn(past, NOON), chain((run,), arriving)
        past.append(Newcomer(run=run, history=world.histories[world.test_of[run.execution_id]]))
    return NOBODY, iter(())


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, nargs="+", default=[200, 1_000, 10_000])
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--later", nargs="*", default=[*LATER], help="which of LATER")
    given = parser.parse_args()
    for queued in given.queued:
        measure(queued, max(2, given.worlds * 200 // queued) if queued > 1_000 else given.worlds)
    for name in given.later:
        for queued in (200, 1_000):
            measure(queued, given.worlds, name)


if __name__ == "__main__":
    main()
