"""What a pass has used and keeps free so far, and whether one more run may start besides that."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import numpy as np

from model.claims import conflicting
from model.ids import ExecutionId, GroupId
from scheduler.admission.cross_pool_reservations import CrossPoolReservation
from scheduler.admission.cycle_cache import CycleCache, Kept, Repeatable
from scheduler.admission.equivalence_classes import Members, RunClass
from scheduler.admission.fair_order import Fairness
from scheduler.admission.reservation import NO_TIME, Reservation, length
from scheduler.admission.reservations import Reservations, remaining, shadow
from scheduler.admission.rule import PoolFacts
from scheduler.admission.start_rules import never_fits, reserved_limits
from scheduler.admission.start_rules.order import first_blocked, of_cycle
from scheduler.admission.start_rules.view import Blocked
from scheduler.admission.state import State
from scheduler.placement.filter_reasons import lasting
from scheduler.placement.placement import Placed, choose, nominate
from scheduler.values.node_arrays import Amounts, NodeColumns, vector
from scheduler.values.order import FIRST, YOUNG
from scheduler.values.pool import Strategy
from scheduler.values.quota_limits import QuotaLimit, is_full, kept_of
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Queued, Rank, Running, Shape
from scheduler.values.usage_totals import POOL, Demand, UsageTotals, need

_NO_SUMS = UsageTotals()
_BEFORE_ALL: Rank = (FIRST, 0, UUID(int=0))
POOL_CODES = frozenset({Code.POOL_LIMIT, Code.POOL_RESOURCES})


class Follower(Protocol):
    """What follows a cycle as it goes on: the order, of which less is left with each start and reservation."""

    def fits_nowhere(self, run_class: RunClass, run: Queued) -> bool:
        """Return whether it is known that no node has room for a run besides what is kept."""
        ...

    def confirm(self, now: Kept) -> None:
        """Note what is kept for a run in this cycle too, or that it starts."""
        ...

    def gives_way(self, now: Kept) -> None:
        """Note for how long others may use what is kept for a run."""
        ...

    def less(self, column: int) -> None:
        """Note that a node has less room."""
        ...

    def full(self, bound: QuotaLimit) -> None:
        """Note that a user or team may start nothing more."""
        ...

    def settle(self, run_class: RunClass, run: Queued, *, hopeless: bool) -> None:
        """Note that no node has room for a run."""
        ...


class CycleState:
    """What starts in a pass, on top of what the state has, and what is kept free."""

    def __init__(self, state: State, now: datetime) -> None:
        self.state, self.now, self.limits = state, now, state.limits
        self.cache = recall(state, now)
        self.used = UsageTotals(state.sums)
        self.reservations = Reservations(state.node_usage, counted=self.cache.limited)
        self.names: dict[str, ExecutionId] = {}
        self.admitted: dict[ExecutionId, Placed] = {}
        self.kept: dict[ExecutionId, Kept] = {}
        self.chosen: dict[ExecutionId, int] = {}
        """The node that the next pass keeps free for a run (FAIR_SHARE)."""
        self.preempting: dict[ExecutionId, tuple[Running, ...]] = {}
        """Runs that stop, or are asked to, by the run that needs their place."""
        fair = state.limits.strategy is Strategy.FAIR_SHARE
        self.fairness = Fairness(state, now, self.cache.arrays) if fair else None
        self.order: Follower | None = None
        """What is left of the order, which follows whatever happens here."""
        self.found: dict[GroupId, tuple[int, int]] = {}
        """How many of a group that was looked at found a place, and how many they are."""
        self.started: dict[int, list[Queued]] = {}
        self.last: Rank = _BEFORE_ALL
        """The latest place in the order that something has started from."""
        self.rank: Rank = _BEFORE_ALL
        """The place in the order of whoever is looked at."""
        self._rules = of_cycle(added=bool(state.rules), limited=self.cache.limited)
        self._lasting: dict[Shape, Reason | None] = {}
        self._nowhere: set[Shape] = set()
        """Shapes that fit nowhere besides what is kept; within a pass there is only ever less."""

    def fork(self) -> "CycleState":
        """Return the same as it is now, to be tried on without changing this."""
        twin = object.__new__(CycleState)
        twin.state, twin.now, twin.limits, twin.cache = self.state, self.now, self.limits, self.cache
        twin.used, twin.reservations, twin.names = UsageTotals(self.used), self.reservations.fork(), dict(self.names)
        twin.admitted, twin.kept, twin.preempting, twin.found = {}, {}, {}, {}
        twin.chosen = {}
        twin.fairness = twin.order = None
        twin.started = {column: list(runs) for column, runs in self.started.items()}
        twin.rank, twin.last = self.rank, self.last
        twin._rules, twin._lasting, twin._nowhere = self._rules, self._lasting, set(self._nowhere)
        return twin

    @property
    def pool(self) -> QuotaLimit:
        """The limit of the pool."""
        return self.cache.pool

    def attempt(self, run_class: RunClass, run: Queued, only: int | None = None) -> tuple[Placed, Code]:
        """Return where a run may start; or nothing, and what keeps it waiting (rule 3).

        `only`: on the node of that column.
        """
        found = never_fits.blocked(self, run) or self.limited(run) or reserved_limits.blocked(self, run)
        if found is not None:
            return (), found.code
        some = self.reservations.not_binding(run)
        if only is not None:
            return choose(self.reservations.room_without(some), run_class.ask, run.execution_id, only), Code.BUSY
        if some:
            return choose(self.reservations.room_without(some), run_class.ask, run.execution_id), Code.BUSY
        return self._find(run_class, run), Code.BUSY

    def limited(self, run: Queued) -> Blocked | None:
        """Return which added rule, limit or exclusive name keeps a run waiting, whatever is reserved here for others.

        The pool's limit comes last: a run that is stopped by any of the others does not wait for other runs.
        """
        return first_blocked(self._rules, self, run)

    def class_of(self, run: Queued) -> RunClass:
        """Return the class of a waiting run."""
        return self.state.waiting.of[run.execution_id]

    def need_of(self, run: Queued) -> Demand:
        """Return what a run asks of the limits."""
        return self.class_of(run).need

    def bounds_of(self, run: Queued) -> tuple[QuotaLimit, ...]:
        """Return the limits that hold for a run, the team's first, the pool's last."""
        return self.class_of(run).bounds

    def never_fits(self, run: Queued) -> bool:
        """Return whether no node, or the pool, could hold a run even if nothing else ran."""
        return self.cache.hopeless(self.class_of(run))

    def lasting(self, run: Queued) -> Reason | None:
        """Return why no node could ever hold a run; equal shapes once."""
        if run.shape not in self._lasting:
            self._lasting[run.shape] = lasting(self.state.node_usage, self.class_of(run).ask)
        return self._lasting[run.shape]

    def refusal(self, run: Queued) -> str | None:
        """Return why an added rule refuses a run; None if none does (rule 12)."""
        if not self.state.rules:
            return None
        pool = PoolFacts(
            now=self.now,
            running=self.state.running.values(),
            admitted=[run for runs in self.started.values() for run in runs],
            owners=self.state.owners,
        )
        facts = self.class_of(run).facts
        text = next((text for rule in self.state.rules if (text := rule.refusal(facts, pool)) is not None), None)
        self.cache.refused = self.cache.refused or text is not None
        return text

    def reserved_elsewhere(self, run: Queued) -> UsageTotals:
        """Return what is reserved for aged runs of other pools that come before a run in the order (rule 10)."""
        known = self.state.reserved
        return known.sums(self.state.waiting.rank(run)) if known else _NO_SUMS

    def reserved_from(self, run: Queued) -> UsageTotals | None:
        """Return all that is reserved of limits and binds a run, here and in other pools; None: nothing here."""
        if not self.reservations.all or not self.cache.limited:
            return None
        here = self.reservations.sums_without(self.reservations.not_binding(run))
        return self._with_elsewhere(run, here)

    def reservers_elsewhere(self, run: Queued) -> list[CrossPoolReservation]:
        """Return the reservations of other pools in limits that a run would need, with all that is reserved."""
        if not self.state.reserved:
            return []
        run_class = self.class_of(run)
        kept = self._with_elsewhere(run, self.reservations.sums_without(self.reservations.not_binding(run)))
        short_of = {b.owner for b in run_class.bounds if kept_of(b, run_class.need, self.used, kept) is not None}
        before = self.state.reserved.before(self.state.waiting.rank(run))
        return [one for one in before if not short_of.isdisjoint(one.owners)]

    def held_elsewhere(self, name: str) -> bool:
        """Return whether a run of another pool holds a claim that conflicts with an entry."""
        return not self.state.exclusive_elsewhere.isdisjoint(conflicting(name))

    def holder_of(self, name: str) -> ExecutionId | None:
        """Return which run of this pool, also one admitted in this cycle, holds what conflicts with an entry."""
        return self.state.holders.rival(name) or next(
            (self.names[other] for other in conflicting(name) if other in self.names), None
        )

    def reserver_of(self, name: str, run: Queued) -> ExecutionId | None:
        """Return for which other run is reserved what conflicts with an entry.

        Whoever is looked at comes after all for whom something is reserved.
        """
        return next((one for one in self.reservations.rivals(name) if one != run.execution_id), None)

    def reserver_elsewhere(self, name: str, run: Queued) -> CrossPoolReservation | None:
        """Return for which run of another pool, before this one, a claim is reserved that conflicts (rule 10)."""
        known = self.state.reserved
        return known.keeper(name, self.state.waiting.rank(run)) if known else None

    def _with_elsewhere(self, run: Queued, here: UsageTotals) -> UsageTotals:
        """Return what is reserved in this pool and, of a run's team and user, in other pools."""
        if not self.state.reserved:
            return here
        both, reserved = UsageTotals(here), self.reserved_elsewhere(run)
        for owner in self.class_of(run).owners[1:]:
            both.add((owner,), reserved.of(owner))
        return both

    def admit(self, run_class: RunClass, run: Queued, placed: Placed) -> None:
        """Let a run start on the first of its candidates."""
        self.admitted[run.execution_id] = placed
        if not run_class.slotless:  # it says nothing about the room for others
            self.last = max(self.last, self.rank)
        self.used.add(run_class.owners, run_class.need)
        self.reservations.take(placed[0].node, run, shared=self.reservations.node_usage is self.state.node_usage)
        column = self.state.node_usage.place[placed[0].node]
        self.started.setdefault(column, []).append(run)
        self.names.update(dict.fromkeys(run.exclusive, run.execution_id))
        if self.fairness is not None:
            self.fairness.charge(run_class, run.execution_id, self.used, by_share=self.rank[0] >= YOUNG)
        if self.order is not None:
            self._note_start(self.order, run_class, run, column)

    def keep(self, members: Members, columns: NodeColumns, *, firm: bool, pooled: bool = False) -> None:
        """Keep a node, and a place in pool, team and user, for each of those that others delay."""
        reservations = [
            self.keep_sums(run_class, run, run_class.owners, column=column, firm=firm)
            for (run_class, run), column in zip(members, columns, strict=True)
        ]
        self.reservations.pooled = self.reservations.pooled or pooled
        time = NO_TIME if firm else self._gives_way(reservations, pooled=pooled)
        for reservation in reservations:
            self.reservations.give_way(reservation, time)
            run_id = reservation.run.execution_id
            kept = self.kept[run_id] = replace(self.kept[run_id], gives_way=time)
            if self.order is not None:
                self.order.gives_way(kept)

    def keep_sums(
        self, run_class: RunClass, run: Queued, owners: tuple[UUID, ...], *, column: int = -1, firm: bool = True
    ) -> Reservation:
        """Keep a place in the sums of `owners`, and the run's exclusive names."""
        reservation = Reservation(run=run, column=column, owners=owners, need=run_class.need, firm=firm)
        self.reservations.add(reservation)
        kept = self.kept[run.execution_id] = Kept(self.rank[0], run.seq, run.execution_id, column, firm)
        if self.order is not None:
            self.order.confirm(kept)
            self.order.less(column)
        return reservation

    def nominate(self, run_class: RunClass, run: Queued) -> NodeColumns | None:
        """Return the column of the node to reserve for a run besides all that is reserved, None if there is none."""
        reservations, cache, ask = self.reservations, self.cache, run_class.ask
        left = reservations.left
        column = -1 if run.nominated is None else self.state.node_usage.place.get(run.nominated, -1)
        if cache.able.get((ask.shape, column)) and (left is None or left.has_room(column, vector(ask.shape.resources))):
            return (column,)
        room = reservations.room
        node = nominate(room, ask, run.execution_id, run.nominated, left)
        if node is None:
            return None
        column = room.place[node]
        if ask.free:
            cache.able[(ask.shape, column)] = True
        return (column,)

    def repeat(self, again: Sequence[Repeatable]) -> None:
        """Reserve what the last cycle reserved for aged runs, whose shapes fit on no node (`repeated_reservations`)."""
        for one in again:
            self.kept[one.kept.run] = one.kept
            self._nowhere.add(one.run_class.ask.shape)
            if self.order is not None:
                self.order.confirm(one.kept)
                self.order.less(one.kept.column)
                self.order.settle(one.run_class, one.reservation.run, hopeless=False)
        self.reservations.add_all([one.reservation for one in again])
        self.reservations.turns += len(again)

    def _find(self, run_class: RunClass, run: Queued) -> Placed:
        """Return the best nodes besides all that is kept. What was found to fit nowhere is not looked for again."""
        shape = run_class.ask.shape
        if shape in self._nowhere:
            return ()
        known = self.order is not None and self.order.fits_nowhere(run_class, run)
        placed = () if known else choose(self.reservations.room, run_class.ask, run.execution_id)
        if not placed and run_class.ask.free:
            self._nowhere.add(shape)
        return placed

    def _note_start(self, order: Follower, run_class: RunClass, run: Queued, column: int) -> None:
        for bound in run_class.bounds:
            if bound is not self.cache.pool and is_full(bound, self.used):
                order.full(bound)
        order.confirm(Kept(0, run.seq, run.execution_id, -1, firm=False))
        order.less(column)

    def _gives_way(self, reservations: list[Reservation], *, pooled: bool) -> timedelta:
        """Return for how long others may use what is kept: until its runs could start together, as the others end.

        What is kept for an aged run gives no way: those that run may end at any moment, long before their limits.
        """
        asked: dict[int, Amounts] = {}
        for reservation in reservations:
            asked[reservation.column] = asked.get(reservation.column, 0) + vector(reservation.run.shape.resources)
        times = [self._node_free(column, amounts) for column, amounts in asked.items()]
        if pooled:
            times.append(
                self._pool_free(np.sum([reservation.need for reservation in reservations], axis=0, dtype=np.int64))
            )
        known = [time for time in times if time is not None]
        return max(known) if len(known) == len(times) else NO_TIME

    def _node_free(self, column: int, asked: Amounts) -> timedelta | None:
        room = self.reservations.room
        free = room.free[:, column] + asked
        here = self.state.on_node.get(room.nodes[column].name, {}).values()
        going = [(remaining(run, self.now, firm=False), vector(run.resources)) for run in here]
        new = self.started.get(column, ())
        going += [(length(run, firm=False), vector(run.shape.resources)) for run in new]
        return shadow(free, asked, going)

    def _pool_free(self, asked: Amounts) -> timedelta | None:
        limited = np.array([limit is not None for limit in self.cache.pool.most])
        most = np.array([limit or 0 for limit in self.cache.pool.most], dtype=np.int64)
        free = most - np.array(self.used.of(POOL)) - np.array(self.reservations.sums.of(POOL)) + asked
        runs, new = self.state.running.values(), [run for started in self.started.values() for run in started]
        going = [(remaining(run, self.now, firm=False), np.array(need(run.resources, run.slots))) for run in runs]
        going += [
            (length(run, firm=False), np.array(need(run.shape.resources, run.shape.constraints.slots))) for run in new
        ]
        return shadow(free, asked * limited, going)


def recall(state: State, now: datetime) -> CycleCache:
    """Return the cache of a state, up to date; a new one where the old one is not valid any more."""
    cache, waiting = state.cache, state.waiting
    kept = waiting.advance(state.limits, now)
    if not kept or not cache.is_valid_for(state.node_usage, state.limits, state.owners):
        cache = state.cache = CycleCache(state.node_usage, state.limits, state.owners)
        for run_class in waiting.table.values():
            run_class.row = -1
        waiting.changed = set(waiting.table.values())
        cache.touched.update((run.queued.user_id, run.queued.team_id) for run in state.running.values())
    for run_class in sorted(waiting.changed, key=lambda run_class: run_class.row):
        if run_class.row < 0:
            run_class.bounds = cache.bounds(run_class)
            cache.touched.add(run_class.users)
        cache.arrays.update(run_class)
    waiting.changed.clear()
    cache.settle(state.sums)
    return cache
