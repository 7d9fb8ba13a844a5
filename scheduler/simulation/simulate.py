"""A trace run through the plan of the gate in virtual time, and the figures of what happened.

What the gate would know of a run before it ends, the simulation tells it in the same way: `expected` is the p90 of the
runs of the same team and shape in the trace, as history would have it; `limit` is never shorter than the run.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import TypeAlias, TypeVar
from uuid import UUID

import numpy as np

from model.ids import ExecutionId, RunId, TeamId, UserId
from model.resources import Resources
from scheduler.admission.plan import Wait, plan
from scheduler.admission.state import State
from scheduler.simulation.event_simulation import Ended, Event, Passed, Started, forward
from scheduler.simulation.figures import (
    Happened,
    Numbers,
    Rows,
    fairness,
    lower_bound,
    nearest_rank,
    slowdown,
    timeline,
    utilisation,
    waits,
)
from scheduler.simulation.fragmentation import BEGINNING, Fragments, seconds
from scheduler.simulation.report import SimulationReport, Unplaced
from scheduler.simulation.trace import TraceRun
from scheduler.values.node import Node
from scheduler.values.order import aged, rank
from scheduler.values.pool import Owner, PoolSettings, Strategy
from scheduler.values.run import Queued, Rank, Running, Shape

STEP = 1000
"""Runs between two reports of progress."""

TEAMS, USERS = 1 << 64, 2 << 64
"""Where the ids of teams and users begin, so that none is that of a run."""

Key = TypeVar("Key", int, str)
Progress: TypeAlias = Callable[[int], None]
"""Called with how many runs have ended."""


def simulate(
    trace: Sequence[TraceRun], nodes: Sequence[Node], limits: PoolSettings, progress: Progress | None = None
) -> SimulationReport:
    """Run a trace under the settings of a pool. The same arguments give the same report."""
    runs = _queued(trace)
    state = State(limits=limits, nodes=nodes, owners=_owners(trace))
    durations = {run.execution_id: given.duration for run, given in zip(runs, trace, strict=True)}

    def duration(run: Queued | Running) -> timedelta:
        return durations[run.execution_id]

    watcher = _Watcher(runs, Fragments(runs, state), progress)
    for event in forward(state, runs[0].enqueued_at, duration, runs):
        watcher.see(event)
    return _report(trace, state, watcher)


def _queued(trace: Sequence[TraceRun]) -> list[Queued]:
    """Return the runs of a trace as the gate sees them; their number in it is their `seq`."""
    teams, users = _numbered(run.team for run in trace), _numbered(run.user for run in trace)
    shapes = {run.resources: Shape(run.resources) for run in trace}
    known = _history(trace)
    return [
        Queued(
            execution_id=ExecutionId(RunId(UUID(int=number))),
            seq=number,
            priority=run.priority,
            enqueued_at=BEGINNING + run.submit,
            user_id=UserId(UUID(int=USERS + users[run.user])),
            team_id=TeamId(UUID(int=TEAMS + teams[run.team])),
            shape=shapes[run.resources],
            expected=known[run.team, run.resources][0],
            limit=known[run.team, run.resources][1],
            restartable=True,
        )
        for number, run in enumerate(trace)
    ]


def _history(trace: Iterable[TraceRun]) -> dict[tuple[str, Resources], tuple[timedelta, timedelta]]:
    """Return p90 and longest of the durations of each team and shape."""
    durations: dict[tuple[str, Resources], list[float]] = defaultdict(list)
    for run in trace:
        durations[run.team, run.resources].append(run.duration.total_seconds())
    return {
        key: (timedelta(seconds=nearest_rank(np.array(each), 0.9)), timedelta(seconds=max(each)))
        for key, each in durations.items()
    }


def _owners(trace: Iterable[TraceRun]) -> dict[UUID, Owner]:
    teams = _numbered(run.team for run in trace)
    users = _numbered(run.user for run in trace)
    return {UUID(int=TEAMS + number): Owner(name=name) for name, number in teams.items()} | {
        UUID(int=USERS + number): Owner(name=name) for name, number in users.items()
    }


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(sorted(set(names)))}


class _Watcher:
    """Writes down what happens. Times are seconds from the beginning of the trace."""

    def __init__(self, runs: Sequence[Queued], fragments: Fragments, progress: Progress | None) -> None:
        self.runs = runs
        self.fragments = fragments
        self.progress = progress
        self.begin = np.full(len(runs), np.nan)
        self.end = np.full(len(runs), np.nan)
        self.spells: list[tuple[int, float, float]] = []
        self.turns = _Turns(runs, fragments)
        self.started: list[Queued] = []
        self.ended = self.passes = self.preemptions = self.backfilled = 0
        self.last = runs[0].enqueued_at

    def see(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Started(run=run, at=at):
                self.begin[run.seq] = seconds(at)
                self.fragments.waits(run, -1)
                self.started.append(run)
            case Ended():
                self._ended(event)
            case Passed(at=at):
                self.passes += 1
                self.last = at
                self.fragments.look(at)
                self.backfilled += self.turns.overtaken(self.started, at)
                self.started.clear()

    def _ended(self, event: Ended) -> None:
        number, at = event.run.int, seconds(event.at)
        self.spells.append((number, float(self.begin[number]), at))
        if event.preempted_for is not None:
            self.preemptions += 1
            self.fragments.waits(self.runs[number], 1)
            self.turns.waits(self.runs[number])
            return
        self.end[number] = at
        self.ended += 1
        if self.progress is not None and self.ended % STEP == 0:
            self.progress(self.ended)


class _Turns:
    """Whose turn it is: by arrival, under PRIORITY by the order. What could never start has no turn."""

    def __init__(self, runs: Sequence[Queued], fragments: Fragments) -> None:
        self.limits = fragments.state.limits
        self.coming = [run for run in reversed(runs) if fragments.could_start(run.shape)]
        self.waiting: list[Rank] = []
        self.gone: set[int] = set()

    def waits(self, run: Queued) -> None:
        """Give a turn to a run."""
        self.gone.discard(run.seq)
        heappush(self.waiting, self._turn(run))

    def overtaken(self, started: Sequence[Queued], at: datetime) -> int:
        """Return how many of those that started had no turn yet; aged ones have theirs before all others."""
        while self.coming and self.coming[-1].enqueued_at <= at:
            self.waits(self.coming.pop())
        self.gone.update(run.seq for run in started)
        while self.waiting and self.waiting[0][1] in self.gone:
            heappop(self.waiting)
        if not self.waiting:
            return 0
        return sum(self._turn(run) > self.waiting[0] and not aged(run, self.limits, at) for run in started)

    def _turn(self, run: Queued) -> Rank:
        place = rank(run, self.limits)
        return place if self.limits.strategy is Strategy.PRIORITY else (0, *place[1:])


def _report(trace: Sequence[TraceRun], state: State, watcher: _Watcher) -> SimulationReport:
    happened = _happened(trace, state, watcher)
    rows = np.arange(len(trace))
    teams = _rows(run.team for run in trace)
    limits = state.limits
    return SimulationReport(
        strategy=limits.strategy,
        profile=limits.profile.name,
        runs=len(trace),
        nodes=len(state.node_usage),
        waits=waits(happened, rows),
        by_priority=tuple((key, waits(happened, each)) for key, each in _rows(run.priority for run in trace).items()),
        by_team=tuple((key, waits(happened, each)) for key, each in teams.items()),
        slowdown=slowdown(happened),
        utilisation=utilisation(happened),
        makespan=timedelta(seconds=happened.span),
        bound=lower_bound(happened),
        fairness=fairness(happened, list(teams.values())),
        fragmentation=watcher.fragments.mean(seconds(watcher.last)),
        unplaced=_unplaced(state, watcher.last),
        backfilled=watcher.backfilled,
        preemptions=watcher.preemptions,
        passes=watcher.passes,
        timeline=timeline(happened),
    )


def _happened(trace: Sequence[TraceRun], state: State, watcher: _Watcher) -> Happened:
    held, begin, until = zip(*watcher.spells, strict=True) if watcher.spells else ((), (), ())
    ceiling, nodes = state.limits.ceiling.runs, state.node_usage.nodes
    pods = sum(node.pods for node in nodes)
    resources = [run.resources for run in trace]
    return Happened(
        submit=np.array([run.submit.total_seconds() for run in trace]),
        duration=np.array([run.duration.total_seconds() for run in trace]),
        amounts=_amounts(resources),
        start=np.where(np.isfinite(watcher.end), watcher.begin, np.nan),
        end=watcher.end,
        held=np.array(held, dtype=np.intp),
        begin=np.array(begin, dtype=np.float64),
        until=np.array(until, dtype=np.float64),
        capacity=_amounts([node.capacity for node in nodes]).sum(axis=1),
        places=pods if ceiling is None else min(pods, ceiling),
    )


def _amounts(resources: Sequence[Resources]) -> Numbers:
    """Return CPU, memory and GPUs. Shape: (3, resources)."""
    rows = [(each.cpu_milli, each.memory_bytes, each.gpu) for each in resources]
    return np.array(rows, dtype=np.float64).reshape(-1, 3).T


def _rows(keys: Iterable[Key]) -> dict[Key, Rows]:
    """Return the numbers of the runs of each key, in order of the keys."""
    found: dict[Key, list[int]] = defaultdict(list)
    for number, key in enumerate(keys):
        found[key].append(number)
    return {key: np.array(found[key], dtype=np.intp) for key in sorted(found)}


def _unplaced(state: State, last: datetime) -> tuple[Unplaced, ...]:
    """Return why the runs that still wait at the end can never start, the commonest reason first."""
    reasons = Counter((d.reason.code, d.reason.text) for d in plan(state, last) if isinstance(d, Wait))
    counted = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Unplaced(code=code, text=text, runs=number) for (code, text), number in counted)
