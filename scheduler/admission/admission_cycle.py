"""One admission cycle: look at the waiting runs in order, by the rules of `scheduler.admission.plan`.

`AdmissionCycle.run` is the cycle; its methods are named after its phases and cite their rules.
"""

from datetime import datetime
from uuid import UUID

from model.ids import ExecutionId, GroupId
from scheduler.admission import groups
from scheduler.admission.cycle_state import POOL_CODES, CycleState
from scheduler.admission.equivalence_classes import Members, RunClass
from scheduler.admission.outcome import Outcome
from scheduler.admission.preemption import Preemption
from scheduler.admission.repeated_reservations import RepeatedReservations
from scheduler.admission.run_order import RunOrder
from scheduler.admission.start_rules import exclusive_names
from scheduler.admission.state import State
from scheduler.values.pool import Strategy
from scheduler.values.quota_limits import beyond, exceeded, is_full, over
from scheduler.values.reasons import NO_WORKER, Code
from scheduler.values.run import Queued, Running
from scheduler.values.usage_totals import NOTHING, ONE_RUN, POOL

TEAM_CODES = frozenset({Code.TEAM_LIMIT, Code.TEAM_RESOURCES})
USER_CODES = frozenset({Code.USER_LIMIT, Code.USER_RESOURCES})
DELAYED = frozenset({Code.BUSY, Code.RESERVED, *POOL_CODES})
"""Waits that others cause by what they hold: the first run in one of them is the head of the queue."""
RESERVES_NOTHING = frozenset({Code.RESERVED, Code.TOO_LARGE, Code.RULE})
"""Waits that no capacity would end, even if it were kept free for the run."""


def decide(state: State, now: datetime) -> Outcome:
    """Find who may start, and what is kept free for whom."""
    if state.workers == 0:
        return Outcome(now=now, stop=NO_WORKER)
    admission_cycle = AdmissionCycle(state, now)
    pool = admission_cycle.cycle.cache.pool
    full = None if state.limits.preemption else exceeded(pool, ONE_RUN, state.sums)
    admission_cycle.run()
    nodes = state.node_usage.nodes
    kept = {run: nodes[kept.column].name for run, kept in admission_cycle.cycle.kept.items() if kept.column >= 0}
    kept |= {run: nodes[column].name for run, column in admission_cycle.cycle.chosen.items()}
    found = admission_cycle.cycle.admitted
    return Outcome(
        now=now,
        admitted={run: placed for run, placed in found.items() if run not in state.busy} if state.busy else found,
        put_off={run: placed for run, placed in found.items() if run in state.busy} if state.busy else {},
        kept=kept,
        preempted=admission_cycle.preempted,
        full=full,
        cycle=admission_cycle.cycle,
    )


class AdmissionCycle:
    """A cycle under way."""

    def __init__(self, state: State, now: datetime) -> None:
        self.cycle = CycleState(state, now)
        seeking = state.limits.strategy is not Strategy.RESOURCE_AWARE
        self.order = RunOrder(self.cycle.cache, self.cycle.reservations, self.cycle.fairness, seeking=seeking)
        self.cycle.order = self.order
        self.preemption = Preemption(self.cycle)
        self.preempted: dict[ExecutionId, tuple[Running, ...]] = {}
        self.repeated = RepeatedReservations(self.cycle, self.order)

    def run(self) -> None:
        """Look at every run that may make a difference, in the order of rule 2."""
        self._begin()
        self._repeat_reservations()
        while self._open() and (found := self.order.next()) is not None:
            run_class, run = found
            self.cycle.rank = self.order.rank(run_class)
            if run.group is None:
                self._decide_run(run_class, run)
            else:
                self._decide_group(run_class, run, run.group)
            self.repeated.looked_at(run_class, run)
            self._repeat_reservations()
        self._close()

    def _decide_run(self, run_class: RunClass, run: Queued) -> None:
        """Start a run (rule 3), or reserve what it waits for (rules 6, 7 and 9) and pass by its class (rule 4)."""
        placed, code = self.cycle.attempt(run_class, run)
        if placed:
            self.cycle.admit(run_class, run, placed)
            self.order.go_on(run_class)
            return
        self._remember_no_node(run_class, run, code)
        reserved = self._preempt(run_class, run, code) or self._reserve(run_class, run, code)
        self._pass_by_class(run_class, others_too=reserved and run_class.aged)

    def _decide_group(self, run_class: RunClass, run: Queued, group: GroupId) -> None:
        """Start all members of a run's group, or none (rule 5); reserve nodes for all, or none (rules 6 to 8)."""
        cycle = self.cycle
        members = groups.members(cycle, run)
        for member, _ in members:
            self.order.leave(member)
        tried = groups.attempt(cycle, members)
        cycle.found[group] = (tried.number, len(members))
        if tried.placed:
            for (own, mate), placed in zip(members, tried.placed, strict=True):
                cycle.admit(own, mate, placed)
        elif not groups.possible(cycle, members):
            return
        elif run_class.aged:
            self._reserve_for_aged(members, tried.number, tried.code)
        elif self._is_head(run, tried.code):
            self._reserve_nodes(members, tried.code)

    def _begin(self) -> None:
        self.cycle.cache.blocked_since, self.cycle.cache.refused = None, False

    def _repeat_reservations(self) -> None:
        """Reserve again what the last cycle reserved, as far as looking at each run would come to the same (rule 6)."""
        if self.repeated.repeat():
            self._found_head()
            if self.cycle.reservations.exhausted:
                self.order.anew()

    def _close(self) -> None:
        taken = {run.execution_id: column for column, runs in self.cycle.started.items() for run in runs}
        self.order.close(self.cycle.kept, taken)
        self.cycle.cache.repeatable = self.repeated.found

    def _open(self) -> bool:
        """Return whether anybody may start, or ask others to stop (rule 1); in a full pool experiments may."""
        pool, used = self.cycle.pool, self.cycle.used
        if self.cycle.limits.preemption or not self.cycle.cache.pool_limited:
            return True
        held = self.cycle.reservations.sums.of(POOL)
        closed, full = over(pool, ONE_RUN, used.of(POOL), held) is not None, is_full(pool, used)
        if (closed, full) != (self.order.pool_closed, self.order.pool_full):
            self.order.pool_closed, self.order.pool_full = closed, full
            self.order.anew()
        return not full or self.order.has_experiments

    def _remember_no_node(self, run_class: RunClass, run: Queued, code: Code) -> None:
        if code in (Code.BUSY, Code.TOO_LARGE):
            self.order.settle(run_class, run, hopeless=code is Code.TOO_LARGE)

    def _pass_by_class(self, run_class: RunClass, *, others_too: bool) -> None:
        """Look at no more runs of a class whose first must wait, but for aged runs that may reserve too (rule 4)."""
        if others_too:
            self.order.go_on(run_class)
        else:
            self.order.leave(run_class)

    def _reserve(self, run_class: RunClass, run: Queued, code: Code) -> bool:
        """Reserve what a blocked run has a right to; False where that is nothing."""
        if run_class.aged:
            return self._reserve_for_aged([(run_class, run)], 0, code)
        return self._is_head(run, code) and self._reserve_nodes([(run_class, run)], code)

    def _must_choose(self, run_class: RunClass, run: Queued) -> bool:
        """Return whether the first that is blocked is only chosen now, and has its node kept from the next pass on.

        Under FAIR_SHARE who is first changes with each run that starts. Did it bind others at once, a pass that goes on
        in rounds would bind other runs in each.
        """
        return self.cycle.fairness is not None and not run_class.aged and run.nominated is None

    def _is_head(self, run: Queued, code: Code) -> bool:
        """Return whether a run is the first that is blocked, and has waited long enough for a node (rule 7)."""
        cycle = self.cycle
        if not self.order.seeking or code not in DELAYED or cycle.class_of(run).slotless:
            return False
        self._found_head()
        if cycle.now - run.enqueued_at >= cycle.limits.backfill_after:
            return code is not Code.RESERVED
        cycle.cache.blocked_since = run.enqueued_at
        return False

    def _found_head(self) -> None:
        if self.order.seeking:
            self.order.seeking = False
            self.order.anew()

    def _reserve_for_aged(self, members: Members, blocked: int, code: Code) -> bool:
        """Keep free for an aged run, or group, what it waits for (rule 6); `blocked` is the member that cannot start.

        That is nodes, parts of their owners' limits, or exclusive names.
        """
        if code in DELAYED and not members[blocked][0].slotless:
            self._found_head()
        if self.cycle.reservations.exhausted or code in RESERVES_NOTHING:
            return False
        if any(beyond(bound, run_class.need) for run_class, _ in members for bound in run_class.bounds):
            return False  # its owner's limit was lowered: what it had kept, nobody of that owner could ever use
        if code is Code.BUSY or (code in POOL_CODES and not self.order.pool_full):
            return self._reserve_nodes(members, code)
        return self._reserve_own(members, blocked, code)

    def _reserve_own(self, members: Members, blocked: int, code: Code) -> bool:
        """Keep parts of their owners' limits, and names, for aged runs, unless an aged one before them waits for these.

        So many runs that wait for one owner or name cost no more than one, and take no turn from others.
        """
        reservations, (run_class, run) = self.cycle.reservations, members[blocked]
        *_, owner = (None, *kept_owners(run_class, code))
        if owner is None and (exclusive_names.is_reserved_here(self.cycle, run) or reservations.has_all(run.exclusive)):
            return False
        if owner is not None and reservations.sums.of(owner) != NOTHING:
            return False
        for own, mate in members:
            self.cycle.keep_sums(own, mate, kept_owners(own, code))
        return True

    def _reserve_nodes(self, members: Members, code: Code) -> bool:
        """Keep a node for each of these, or none at all; False where there are none that nobody before them needs."""
        cycle, (run_class, run) = self.cycle, members[0]
        if not run_class.slotless:  # rule 13: no test waits for what it keeps
            self._take_turn()
        columns = groups.nominate(cycle, members) if run.group else cycle.nominate(run_class, run)
        if columns is None:
            return False
        if self._must_choose(run_class, run):
            cycle.chosen.update(zip((mate.execution_id for _, mate in members), columns, strict=True))
            return False
        cycle.keep(members, columns, firm=run_class.aged, pooled=code in POOL_CODES)
        return True

    def _take_turn(self) -> None:
        """Count one for which a node is sought; after the last the other aged ones need not be looked at."""
        self.cycle.reservations.turns += 1
        if self.cycle.reservations.exhausted:
            self.order.anew()

    def _preempt(self, run_class: RunClass, run: Queued, code: Code) -> bool:
        """Ask others to stop for a run that a node or the pool has no room for (rule 9)."""
        if not self.cycle.limits.preemption or (code is not Code.BUSY and code not in POOL_CODES):
            return False
        if run_class.slotless:  # rule 13
            return False
        room = self.preemption.room_for(run_class, run)
        if room is None or (room.asked and run.execution_id in self.cycle.state.busy):
            return False
        if room.asked:
            self.preempted[run.execution_id] = room.asked
        self.cycle.preempting[run.execution_id] = (*room.stopping, *room.asked)
        self._found_head()
        self._take_turn()
        self.cycle.keep([(run_class, run)], [room.column], firm=True)
        return True


def kept_owners(run_class: RunClass, code: Code | None) -> tuple[UUID, ...]:
    """Return in whose limits an aged run has room kept that waits for its own."""
    user, *team = run_class.owners[1:]
    return (user, *team) if code in TEAM_CODES else (user,) if code in USER_CODES else ()
