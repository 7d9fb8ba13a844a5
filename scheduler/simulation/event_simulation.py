"""The plan run forward in virtual time: what happens to a pool from now on, if runs take as long as they are said to.

`decide` and `apply` are those of the gate. Arrivals and ends of the same instant are applied together, then one pass is
made; besides, one is made whenever time alone can change a decision. Nothing happens between two events, so the time
between them costs nothing.

A preempted run stops at once, goes back to wait with its old place in the order, and later starts from the beginning;
alone, if it had a group, and with no node kept for it: as `gate.requeue` has it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import TypeAlias

from model.ids import ExecutionId, NodeName
from scheduler.admission.admission_cycle import decide
from scheduler.admission.changes import apply, carry_out
from scheduler.admission.decisions import Arrived, Left
from scheduler.admission.outcome import Outcome
from scheduler.admission.state import State
from scheduler.admission.wake import rules_change, wake
from scheduler.values.run import Queued, Running

LONGEST_QUIET = timedelta(days=400)
"""If nothing arrives, starts or ends for so long, added rules do not wake the pool any more: more than a year."""
Duration: TypeAlias = Callable[[Queued | Running], timedelta]
"""How long a run that waits will run once it has started; of one that runs at the beginning: how much longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A run got a place."""

    at: datetime
    run: Queued
    node: NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run gave its place back: it was done, or it was preempted and waits again."""

    at: datetime
    run: ExecutionId
    preempted_for: ExecutionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A pass was made and carried out; until the next event the state stands still."""

    at: datetime
    outcome: Outcome


Event: TypeAlias = Started | Ended | Passed


def forward(state: State, now: datetime, duration: Duration, arrivals: Iterable[Queued] = ()) -> Iterator[Event]:
    """Tell what happens from `now` on, in order, until nothing can happen any more.

    The state given is used up; between two events it can be read. Runs that wait in it at the end can never start.
    `arrivals` are in order, and may have no end: each comes at its `enqueued_at`, the late ones at once, and none is
    asked for before the one ahead of it has come. Stop early by asking for no more events.
    """
    course = _Course(state, duration, arrivals)
    course.begin(now)
    at: datetime | None = now
    while at is not None:
        yield from course.leave(at)
        course.arrive(at)
        outcome = decide(course.state, at)
        yield from course.carry_out(outcome, at)
        yield Passed(at=at, outcome=outcome)
        at = course.after(at)


class _Course:
    """What is to come: arrivals, the next one at hand, and a heap of ends. An end counts only for its own place."""

    def __init__(self, state: State, duration: Duration, arrivals: Iterable[Queued]) -> None:
        self.state = state
        self.duration = duration
        self.arrivals = iter(arrivals)
        self.next = next(self.arrivals, None)
        self.ends: list[tuple[datetime, int, ExecutionId]] = []
        self.places = 0
        self.moved: datetime | None = None
        """When a run arrived, started or ended for the last time."""
        self.place_of: dict[ExecutionId, int] = {}

    def begin(self, now: datetime) -> None:
        """Let those that run already end in time."""
        self.moved = now
        for run in self.state.running.values():
            self._ends_at(now + self.duration(run), run.execution_id)

    def leave(self, at: datetime) -> Iterator[Ended]:
        """Free the places of those that are done."""
        while self.ends and self.ends[0][0] <= at:
            _, place, run = heappop(self.ends)
            if self.place_of.get(run) == place:
                self.moved = at
                yield self._free(run, at)

    def arrive(self, at: datetime) -> None:
        """Let those wait that come now."""
        while self.next is not None and self.next.enqueued_at <= at:
            self.state = apply(self.state, Arrived(run=self.next))
            self.next, self.moved = next(self.arrivals, None), at

    def carry_out(self, outcome: Outcome, at: datetime) -> Iterator[Started]:
        """Do what a pass decided; those that are preempted stop now."""
        started = [(self.state.queued[run_id], placed[0].node) for run_id, placed in outcome.admitted.items()]
        self.state = carry_out(self.state, outcome, at)
        for run, node in started:
            self._ends_at(at + self.duration(run), run.execution_id)
            self.moved = at
            yield Started(at=at, run=run, node=node)
        for victims in outcome.preempted.values():
            for victim in victims:
                self._ends_at(at, victim.execution_id)

    def after(self, at: datetime) -> datetime | None:
        """Return when something happens next, None if nothing does."""
        while self.ends and self.place_of.get(self.ends[0][2]) != self.ends[0][1]:
            heappop(self.ends)
        moments = [self.ends[0][0]] if self.ends else []
        if self.next is not None:
            moments.append(self.next.enqueued_at)
        woken = wake(self.state, at) if self.state.queued else None
        if woken is not None and woken > at:
            moments.append(woken)
        changed = rules_change(self.state, at) if self.state.queued else None
        if changed is not None and changed - (self.moved or at) <= LONGEST_QUIET:
            moments.append(changed)
        return max(min(moments), at) if moments else None

    def _ends_at(self, at: datetime, run: ExecutionId) -> None:
        self.places += 1
        self.place_of[run] = self.places
        heappush(self.ends, (at, self.places, run))

    def _free(self, run_id: ExecutionId, at: datetime) -> Ended:
        """Take a run off its node; a preempted one waits again."""
        running = self.state.running[run_id]
        del self.place_of[run_id]
        if running.preempted_for is None:
            self.state = apply(self.state, Left(run=run_id))
        else:
            self.state = apply(self.state, Arrived(run=again(running)))
        return Ended(at=at, run=run_id, preempted_for=running.preempted_for)


def again(run: Running) -> Queued:
    """Return a run that held a place as one that waits."""
    return replace(run.queued, not_before=None, nominated=None, group=None)
