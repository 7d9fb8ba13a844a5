"""The waiting runs in classes of equal runs. The classes are kept in order, so that a cycle need not sort them."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from heapq import heappop, heappush
from typing import TypeAlias
from uuid import UUID

from model.claims import is_exclusive
from model.ids import ExecutionId, GroupId, NodeName
from scheduler.admission.rule import ClassFacts
from scheduler.placement.ask import Ask
from scheduler.values.order import aged, ages_at, due, rank
from scheduler.values.pool import PoolSettings, Strategy
from scheduler.values.quota_limits import QuotaLimit
from scheduler.values.run import Queued, Rank, owners_of, payer
from scheduler.values.usage_totals import POOL, Demand, need

ClassKey: TypeAlias = tuple[object, ...]


class RunClass:
    """Runs of one owner, priority and shape that may start by their backoff, all aged or none, in order.

    The first that must wait makes all others wait (rule 4).
    """

    __slots__ = ("aged", "ask", "bounds", "key", "need", "owners", "payer", "plain", "row", "runs", "users")

    def __init__(self, key: ClassKey, run: Queued, ask: Ask, *, is_aged: bool) -> None:
        self.key = key
        self.aged = is_aged
        self.runs: list[Queued] = []
        self.ask = ask
        self.need: Demand = need(run.shape.resources, run.shape.constraints.slots)
        self.owners: tuple[UUID, ...] = (POOL, *owners_of(run))
        self.users = (run.user_id, run.team_id)
        self.payer: UUID = payer(run.user_id, run.team_id)
        self.bounds: tuple[QuotaLimit, ...] = ()
        """The limits that hold for its runs, the team's first, the pool's last; those without any number left out."""
        self.plain = _is_plain(run)
        self.row = -1

    @property
    def slotless(self) -> bool:
        """Whether its runs count for none of the limits of runs at once: experiments."""
        return self.need[0] == 0

    @property
    def first(self) -> Queued:
        """Who starts first."""
        return self.runs[0]

    @property
    def facts(self) -> ClassFacts:
        """What an added rule may look at."""
        run, (user, team) = self.first, self.users
        return ClassFacts(
            user_id=user,
            team_id=team,
            priority=run.priority,
            shape=run.shape,
            exclusive=run.exclusive,
            aged=self.aged,
        )


Members: TypeAlias = Sequence[tuple[RunClass, Queued]]
"""Runs that start together, each with its class; or one alone."""


class RunClasses:
    """All waiting runs. Those in backoff are in no class yet; `changed` are the classes with another first run."""

    def __init__(self) -> None:
        self.queued: dict[ExecutionId, Queued] = {}
        self.of: dict[ExecutionId, RunClass] = {}
        self.table: dict[ClassKey, RunClass] = {}
        self.groups: dict[GroupId, dict[ExecutionId, Queued]] = {}
        self.changed: set[RunClass] = set()
        self.nominated: set[ExecutionId] = set()
        """Runs for which a node is kept free, as far as was written down."""
        self._fresh: dict[ExecutionId, Queued] = {}
        self._coming: list[tuple[datetime, ExecutionId]] = []
        self._limits = PoolSettings()
        self._now: datetime | None = None

    def add(self, run: Queued) -> None:
        """Let a run wait."""
        self.queued[run.execution_id] = run
        self._fresh[run.execution_id] = run
        if run.nominated is not None:
            self.nominated.add(run.execution_id)

    def remove(self, run_id: ExecutionId) -> Queued | None:
        """Take a run out; None if it does not wait."""
        run = self.queued.pop(run_id, None)
        self.nominated.discard(run_id)
        if run is not None and self._fresh.pop(run_id, None) is None:
            self._take_out_of_class(run)
        return run

    def nominate(self, run_id: ExecutionId, node: NodeName | None) -> None:
        """Write down which node is kept free for a waiting run."""
        run = self.queued.get(run_id)
        if run is None or run.nominated == node:
            return
        marked = replace(run, nominated=node)
        (self.nominated.discard if node is None else self.nominated.add)(run_id)
        self.queued[run_id] = marked
        if run_id in self._fresh:
            self._fresh[run_id] = marked
        elif (run_class := self.of.get(run_id)) is not None:
            run_class.runs[bisect_left(run_class.runs, _place(run), key=_place)] = marked
            if run_class.first is marked and self._limits.strategy is Strategy.FAIR_SHARE:
                self.changed.add(run_class)  # it comes in another place of the order now
            if run.group is not None:
                self.groups[run.group][run_id] = marked

    def advance(self, limits: PoolSettings, now: datetime) -> bool:
        """Put each run where it belongs at this time; False if all classes had to be made anew."""
        kept = limits is self._limits and self._now is not None and now >= self._now
        if not kept:
            self._start_over(limits)
        self._now = now
        for run in self._fresh.values():
            self._put_in_class(run, now)
        self._fresh.clear()
        while self._coming and self._coming[0][0] <= now:
            run_id = heappop(self._coming)[1]
            waiting = self.queued.get(run_id)
            if waiting is not None and not self._settled(waiting, now):
                self._take_out_of_class(waiting)
                self._put_in_class(waiting, now)
        return kept

    def rank(self, run: Queued) -> Rank:
        """Return a run's place in the order over all pools: in a group, that of its first member."""
        members = {} if run.group is None else self.groups.get(run.group, {})
        own = rank(run, self._limits)
        return min((rank(member, self._limits) for member in members.values()), default=own)

    def next_moment(self) -> datetime | None:
        """Return when time alone moves a run: its backoff ends, or it becomes aged."""
        while self._coming:
            moment, run_id = self._coming[0]
            run = self.queued.get(run_id)
            if run is not None and not self._settled(run, moment):
                return moment
            heappop(self._coming)
        return None

    def _start_over(self, limits: PoolSettings) -> None:
        self._limits = limits
        self.of.clear()
        self.table.clear()
        self.groups.clear()
        self.changed.clear()
        self._coming.clear()
        self._fresh = dict(self.queued)

    def _settled(self, run: Queued, now: datetime) -> bool:
        run_class = self.of.get(run.execution_id)
        return run_class is not None and run_class.aged == aged(run, self._limits, now)

    def _put_in_class(self, run: Queued, now: datetime) -> None:
        """Put a run into its class, and note when it will have to be looked at again."""
        if not due(run, now):
            if run.not_before is not None:
                heappush(self._coming, (run.not_before, run.execution_id))
            return
        ages = ages_at(run.enqueued_at, run.priority, self._limits)
        is_aged = now >= ages
        if not is_aged:
            heappush(self._coming, (ages, run.execution_id))
        key = _class_key(run, is_aged=is_aged)
        run_class = self.table.get(key)
        if run_class is None:
            ask = Ask(shape=run.shape, limits=self._limits, labels=_counted(run))
            run_class = self.table[key] = RunClass(key, run, ask, is_aged=is_aged)
        insort(run_class.runs, run, key=_place)
        self.of[run.execution_id] = run_class
        if run_class.runs[0] is run:
            self.changed.add(run_class)
        if run.group is not None:
            self.groups.setdefault(run.group, {})[run.execution_id] = run

    def _take_out_of_class(self, run: Queued) -> None:
        run_class = self.of.pop(run.execution_id, None)
        if run_class is None:
            return
        place = bisect_left(run_class.runs, _place(run), key=_place)
        del run_class.runs[place]
        if place == 0:
            self.changed.add(run_class)
        if not run_class.runs:
            del self.table[run_class.key]
        if run.group is not None:
            members = self.groups[run.group]
            del members[run.execution_id]
            if not members:
                del self.groups[run.group]


def _is_plain(run: Queued) -> bool:
    """Return whether nothing but amounts, labels, limits and shared claims decides about a run."""
    constraints = run.shape.constraints
    alone = any(is_exclusive(entry) for entry in run.exclusive)
    return not (constraints.apart or constraints.spread or alone or run.group)


def _counted(run: Queued) -> tuple[tuple[str, str], ...]:
    """Return the labels by which a run counts in its own spread; without one they do not matter to it."""
    return run.labels if run.shape.constraints.spread else ()


def _class_key(run: Queued, *, is_aged: bool) -> ClassKey:
    owner = (run.user_id, run.team_id)
    return (is_aged, run.priority, owner, run.shape, _counted(run), run.exclusive, run.group)


def _place(run: Queued) -> tuple[datetime, int, UUID]:
    """Return the place of a run among those of its priority."""
    return (run.enqueued_at, run.seq, run.execution_id)
