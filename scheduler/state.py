"""What a decision is made from: the values of one pool, and their order and sums kept between passes.

`State` is the one thing here that changes in place: `scheduler.plan.apply` uses a state up and returns it changed, so
that a change costs its own run and node, not the queue. `plan` reads it and changes nothing.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from model.ids import ExecutionId, TeamId, UserId
from scheduler.fleet import Fleet
from scheduler.node import Node
from scheduler.pool import NO_OWNERS, Limits, Owner
from scheduler.run import Queued, Running


@dataclass(slots=True, eq=False)
class Line:
    """Runs of one owner, priority and shape, in order of arrival: the first that must wait makes all others wait."""

    runs: list[Queued] = field(default_factory=list)


@dataclass(slots=True)
class Counts:
    """Places in use, or kept free: in the pool, by user, by team."""

    pool: int = 0
    users: Counter[UserId] = field(default_factory=Counter)
    teams: Counter[TeamId | None] = field(default_factory=Counter)

    def add(self, run: Queued | Running, number: int = 1) -> None:
        """Count `run` in, or out with -1."""
        self.pool += number
        self.users[run.user_id] += number
        self.teams[run.team_id] += number

    def copy(self) -> "Counts":
        """Return counts that can be changed without changing these."""
        return Counts(self.pool, self.users.copy(), self.teams.copy())


class State:
    """One pool: who waits, in lines; who runs; what nodes there are. `workers` counts the live ones."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        nodes: Iterable[Node] = (),
        owners: Mapping[UUID, Owner] = NO_OWNERS,
        workers: int = 1,
    ) -> None:
        self.limits = limits or Limits()
        self.owners = owners
        self.workers = workers
        self.fleet = Fleet(nodes)
        self.queued: dict[ExecutionId, Queued] = {}
        self.lines: dict[tuple[object, ...], Line] = {}
        self.line_of: dict[ExecutionId, Line] = {}
        self.running: dict[ExecutionId, Running] = {}
        self.counts = Counts()

    def enqueue(self, run: Queued) -> None:
        """Put `run` into its line, in order of arrival. The same run again changes nothing."""
        if run.execution_id in self.queued or run.execution_id in self.running:
            return
        line = self.lines.setdefault(_line_key(run), Line())
        insort(line.runs, run, key=_arrival)
        self.queued[run.execution_id] = run
        self.line_of[run.execution_id] = line

    def withdraw(self, run: ExecutionId) -> Queued | None:
        """Take a waiting run out; None if it does not wait."""
        queued = self.queued.pop(run, None)
        if queued is None:
            return None
        runs = self.line_of.pop(run).runs
        del runs[bisect_left(runs, _arrival(queued), key=_arrival)]
        if not runs:
            del self.lines[_line_key(queued)]
        return queued

    def start(self, run: Running) -> None:
        """Count a place as used by `run`."""
        if run.execution_id in self.running:
            return
        self.running[run.execution_id] = run
        self.counts.add(run)
        self.fleet.take(run.node, run.resources)

    def end(self, run: ExecutionId) -> Running | None:
        """Free the place of a run; None if it has none."""
        running = self.running.pop(run, None)
        if running is not None:
            self.counts.add(running, -1)
            self.fleet.take(running.node, running.resources, -1)
        return running

    def see(self, nodes: Iterable[Node]) -> None:
        """Replace the nodes by what was last seen; the runs stay where they are."""
        self.fleet = Fleet(nodes)
        for run in self.running.values():
            self.fleet.take(run.node, run.resources)


def _line_key(run: Queued) -> tuple[object, ...]:
    return (run.priority, run.user_id, run.team_id, run.shape)


def _arrival(run: Queued) -> tuple[int, UUID]:
    return (run.seq, run.execution_id)
