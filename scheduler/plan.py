"""The admission plan of a pool: who starts now and where, and why each of the others waits.

The rules, in the order in which they are looked at:

1. With no live worker nobody starts.
2. Runs are looked at in order (`scheduler.order`): aged ones first.
3. A run starts if pool, team and user have a place and a node has room; what started before in the same pass counts.
4. A run that must wait makes those behind it in its line (same owner, priority and shape) wait too; runs of other lines
   may pass it. So equal shapes are looked at once, and a team at its limit is skipped whole.
5. But an aged run that waits for a node has one kept free, with a place in pool, team and user: runs submitted later
   start only if they need none of it. It keeps that node from pass to pass, so that the node drains.
   An aged run that waits for its own team or user is not delayed by others, and keeps nothing of theirs.
6. A run that would not fit into any empty node keeps nothing either.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import heappop, heappush
from typing import TypeAlias

from model.ids import ExecutionId, NodeName
from scheduler.fleet import Fleet
from scheduler.limits import limited, pool_limited
from scheduler.node import Node
from scheduler.order import Rank, aged, due, rank
from scheduler.placement import Ask, Placed, nominate, place
from scheduler.pool import Limits
from scheduler.reasons import DELAYED_BY_NODES, NO_WORKER, Code, Reason
from scheduler.run import Queued, Running
from scheduler.score import Score
from scheduler.state import Counts, Line, State

MOST_KEPT = 100
"""Nodes kept free in one pass, for the oldest; the others have theirs when it is their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """Start a run on `node`, the first of its candidates. `scores` belong to the candidates, one each."""

    run: Queued
    node: NodeName
    candidates: tuple[NodeName, ...]
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Leave a run waiting. `position` counts from 1 among those that could start; `nominated` is kept free for it."""

    run: Queued
    reason: Reason
    position: int | None = None
    blocked_by: tuple[ExecutionId, ...] = ()
    nominated: NodeName | None = None


Decision: TypeAlias = Admit | Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A run was submitted, or came back to wait."""

    run: Queued


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A run that waited was cancelled, or one that ran is gone."""

    run: ExecutionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """These are the nodes now."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The pool has new settings; they hold from the next plan on, and stop nothing that runs."""

    limits: Limits


Change: TypeAlias = Arrived | Left | Seen | Configured | Admit | Wait


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a pass found: who starts, and the reason of each line that must wait.

    It names lines, not runs, so that it costs what was decided and not what is queued; `plan` spells it out. `stop` is
    the reason of all lines without one: nobody may start any more. `kept` are the nodes kept free, and for whom.
    """

    admitted: dict[ExecutionId, Placed] = field(default_factory=dict)
    blocked: dict[Line, Reason] = field(default_factory=dict)
    blockers: dict[Line, tuple[ExecutionId, ...]] = field(default_factory=dict)
    kept: dict[ExecutionId, NodeName] = field(default_factory=dict)
    stop: Reason | None = None

    def reason(self, run: Queued, line: Line, now: datetime) -> Reason:
        """Return why a run that was not admitted waits."""
        if not due(run, now) and run.not_before is not None:
            return backoff(run.not_before)
        reason = self.blocked.get(line) or self.stop
        if reason is None:
            msg = f"run {run.execution_id} was never looked at"
            raise ValueError(msg)
        return reason

    def blocked_by(self, line: Line, reason: Reason) -> tuple[ExecutionId, ...]:
        """Return the runs for which is kept free what those of a line would need."""
        if reason.code is not Code.RESERVED:
            return ()
        return self.blockers.get(line, tuple(self.kept))


def plan(state: State, now: datetime) -> list[Decision]:
    """Decide for every queued run, first in order first. Changes nothing: `apply` does that, decision by decision."""
    outcome = decide(state, now)
    decisions: list[Decision] = []
    position = 0
    for run in sorted(state.queued.values(), key=lambda run: rank(run, state.limits, now)):
        placed = outcome.admitted.get(run.execution_id)
        if placed is not None:
            decisions.append(_admit(run, placed))
            continue
        startable = due(run, now)
        position += startable
        line = state.line_of[run.execution_id]
        reason = outcome.reason(run, line, now)
        decisions.append(
            Wait(
                run=run,
                reason=reason,
                position=position if startable else None,
                blocked_by=outcome.blocked_by(line, reason),
                nominated=outcome.kept.get(run.execution_id),
            )
        )
    return decisions


def decide(state: State, now: datetime) -> Outcome:
    """Walk the lines in order of their first runs, and admit what may start."""
    walk = _Walk(state, now)
    if state.workers == 0:
        walk.outcome.stop = NO_WORKER
        return walk.outcome
    while walk.heap:
        walk.outcome.stop = pool_limited(state, walk.used, walk.held)
        if walk.outcome.stop is not None:
            break
        walk.step()
    return walk.outcome


def apply(state: State, change: Change) -> State:
    """Return the state after a change. The state given is used up: go on with the one returned."""
    match change:
        case Arrived(run=run):
            state.end(run.execution_id)
            state.enqueue(run)
        case Left(run=run_id):
            _ = state.withdraw(run_id) or state.end(run_id)
        case Seen(nodes=nodes):
            state.see(nodes)
        case Configured(limits=limits):
            state.limits = limits
        case Admit(run=run, node=node):
            if state.withdraw(run.execution_id):
                state.start(_running(run, node))
        case Wait(run=run, nominated=nominated):
            if nominated != run.nominated and state.withdraw(run.execution_id):
                state.enqueue(replace(run, nominated=nominated))
    return state


def apply_all(state: State, changes: Iterable[Change]) -> State:
    """Return the state after several changes, in order."""
    for change in changes:
        state = apply(state, change)
    return state


def backoff(until: datetime) -> Reason:
    """Return the reason of a run that was tried before and starts again later."""
    return Reason(code=Code.BACKOFF, text=f"in backoff until {until:%H:%M:%S} UTC")


class _Walk:
    """One pass under way: what it has used of a copy of the sums, and what it keeps free."""

    def __init__(self, state: State, now: datetime) -> None:
        self.state = state
        self.now = now
        self.outcome = Outcome()
        self.used = state.counts.copy()
        self.held = Counts()
        self.fleet = state.fleet.copy()
        self.room = self.fleet
        """The fleet less what is kept free; the same one as long as nothing is."""
        self.heap: list[tuple[Rank, Line, int]] = []
        for line in state.lines.values():
            self._queue_next(line, 0)

    def step(self) -> None:
        """Decide for the first run of the order that is left, or for all of its line."""
        _, line, index = heappop(self.heap)
        run = line.runs[index]
        reason = self.outcome.blocked.get(line) or self._try(run)
        if reason is None:
            self._queue_next(line, index + 1)
            return
        self.outcome.blocked[line] = reason
        if reason.code is Code.RESERVED:
            self.outcome.blockers.setdefault(line, tuple(self.outcome.kept))
        if aged(run, self.state.limits, self.now) and self._keep_free(run, reason):
            self._queue_next(line, index + 1)

    def _queue_next(self, line: Line, index: int) -> None:
        """Put the next run of a line that could start on the heap; of a line that waits, only an aged one."""
        limits, now = self.state.limits, self.now
        runs = line.runs
        while index < len(runs) and not due(runs[index], now):
            index += 1
        if index == len(runs) or (line in self.outcome.blocked and not aged(runs[index], limits, now)):
            return
        heappush(self.heap, (rank(runs[index], limits, now), line, index))

    def _try(self, run: Queued) -> Reason | None:
        """Admit a run, or return why it must wait."""
        reason = limited(run, self.state, self.used, self.held)
        if reason is not None:
            return reason
        ask = Ask(shape=run.shape, limits=self.state.limits)
        placed = place(self.room, ask, run.execution_id)
        if isinstance(placed, Reason):
            return self._why(run, ask, placed)
        self.outcome.admitted[run.execution_id] = placed
        self.used.add(run)
        for fleet in self._fleets():
            fleet.take(placed[0].node, run.shape.resources)
        return None

    def _why(self, run: Queued, ask: Ask, reason: Reason) -> Reason:
        """Return the reason without regard to what is kept free, or that this is the reason."""
        if self.room is self.fleet:
            return reason
        without = place(self.fleet, ask, run.execution_id)
        if isinstance(without, Reason):
            return without
        node = without[0].node
        return Reason(code=Code.RESERVED, text=f"node {node} is kept free for a run that waited too long")

    def _keep_free(self, run: Queued, reason: Reason) -> bool:
        """Keep a node and a place free for an aged run that others delay (rule 5); False where that cannot be."""
        if reason.code not in DELAYED_BY_NODES or len(self.outcome.kept) >= MOST_KEPT:
            return False
        if limited(run, self.state, self.used, self.held) is not None:
            return False
        ask = Ask(shape=run.shape, limits=self.state.limits)
        node = nominate(self.room, ask, run.execution_id, run.nominated)
        if node is None:
            return False
        if self.room is self.fleet:
            self.room = self.fleet.copy()
        self.outcome.kept[run.execution_id] = node
        self.held.add(run)
        self.room.take(node, run.shape.resources)
        return True

    def _fleets(self) -> tuple[Fleet, ...]:
        return (self.fleet,) if self.room is self.fleet else (self.fleet, self.room)


def _admit(run: Queued, placed: Placed) -> Admit:
    return Admit(run=run, node=placed[0].node, candidates=tuple(score.node for score in placed), scores=placed)


def _running(run: Queued, node: NodeName) -> Running:
    return Running(
        execution_id=run.execution_id,
        user_id=run.user_id,
        team_id=run.team_id,
        resources=run.shape.resources,
        node=node,
    )
