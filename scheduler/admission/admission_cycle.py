"""One pass: looks at who is left of the order, one after the other, by the rules of `scheduler.admission.plan`."""

from datetime import datetime
from uuid import UUID

from model.ids import ExecutionId, GroupId
from scheduler.admission import groups
from scheduler.admission.cycle_state import POOL_CODES, CycleState
from scheduler.admission.equivalence_classes import RunClass
from scheduler.admission.group_placement import Members
from scheduler.admission.preemption import Preemption
from scheduler.admission.run_order import RunOrder
from scheduler.admission.state import State
from scheduler.values.pool import Strategy
from scheduler.values.quota_limits import beyond, is_full, over
from scheduler.values.reasons import Code
from scheduler.values.run import Queued, Running
from scheduler.values.usage_totals import NOTHING, ONE_RUN, POOL

TEAM_CODES = frozenset({Code.TEAM_LIMIT, Code.TEAM_RESOURCES})
USER_CODES = frozenset({Code.USER_LIMIT, Code.USER_RESOURCES})
DELAYED = frozenset({Code.BUSY, Code.RESERVED, *POOL_CODES})
"""Waits that others cause by what they hold: the first run in one of them is the head of the queue."""
KEEPS_NOTHING = frozenset({Code.RESERVED, Code.TOO_LARGE, Code.RULE})
"""Waits that no capacity would end, even if it were kept free for the run."""


class AdmissionCycle:
    """A pass under way."""

    def __init__(self, state: State, now: datetime) -> None:
        self.trial = CycleState(state, now)
        seeking = state.limits.strategy is not Strategy.RESOURCE_AWARE
        self.front = RunOrder(self.trial.memory, self.trial.holds, self.trial.fairness, seeking=seeking)
        self.trial.front = self.front
        self.preemption = Preemption(self.trial)
        self.preempted: dict[ExecutionId, tuple[Running, ...]] = {}

    def run(self) -> None:
        """Look at everybody who may make a difference."""
        trial = self.trial
        trial.memory.blocked_since, trial.memory.refused = None, False
        while self._open() and (found := self.front.next()) is not None:
            self._visit(*found)
        taken = {run.execution_id: column for column, runs in trial.started.items() for run in runs}
        self.front.close(trial.kept, taken)

    def _open(self) -> bool:
        """Return whether anybody may start, or ask others to stop (rule 1)."""
        pool, used = self.trial.memory.pool, self.trial.used
        if self.trial.limits.preemption or not self.trial.memory.pool_limited:
            return True
        held = self.trial.holds.sums.of(POOL)
        closed = over(pool, ONE_RUN, used.of(POOL), held) is not None
        if closed != self.front.pool_closed:
            self.front.pool_closed = closed
            self.front.anew()
        return not is_full(pool, used)

    def _visit(self, line: RunClass, run: Queued) -> None:
        self.trial.rank = self.front.rank(line)
        if run.group is not None:
            self._visit_group(line, run, run.group)
            return
        placed, code = self.trial.attempt(line, run)
        if placed:
            self.trial.admit(line, run, placed)
            self.front.go_on(line)
            return
        if code in (Code.BUSY, Code.TOO_LARGE):
            self.front.settle(line, run, hopeless=code is Code.TOO_LARGE)
        if self._block(line, run, code) and line.aged:
            self.front.go_on(line)
        else:
            self.front.leave(line)

    def _block(self, line: RunClass, run: Queued, code: Code) -> bool:
        """Keep free what a blocked run has a right to; False where that is nothing."""
        if self.trial.limits.preemption and self._preempt(line, run, code):
            return True
        if line.aged:
            return self._keep_aged([(line, run)], 0, code)
        return self._is_head(run, code) and self._keep_nodes([(line, run)], code)

    def _must_choose(self, line: RunClass, run: Queued) -> bool:
        """Return whether the first that is blocked is only chosen now, and has its node kept from the next pass on.

        Under FAIR_SHARE who is first changes with each run that starts. Did it bind others at once, a pass that goes on
        in rounds would bind other runs in each.
        """
        return self.trial.fairness is not None and not line.aged and run.nominated is None

    def _is_head(self, run: Queued, code: Code) -> bool:
        """Return whether a run is the first that is blocked, and has waited long enough for a node (rule 7)."""
        if not self.front.seeking or code not in DELAYED:
            return False
        self._found_head()
        trial = self.trial
        if trial.now - run.enqueued_at >= trial.limits.backfill_after:
            return code is not Code.RESERVED
        trial.memory.blocked_since = run.enqueued_at
        return False

    def _found_head(self) -> None:
        if self.front.seeking:
            self.front.seeking = False
            self.front.anew()

    def _keep_aged(self, members: Members, blocked: int, code: Code) -> bool:
        """Keep free for an aged run, or group, what it waits for (rule 6); `blocked` is the member that cannot start.

        That is nodes, parts of their owners' limits, or exclusive names.
        """
        if code in DELAYED:
            self._found_head()
        if self.trial.holds.exhausted or code in KEEPS_NOTHING:
            return False
        if any(beyond(bound, line.need) for line, _ in members for bound in line.bounds):
            return False  # its owner's limit was lowered: what it had kept, nobody of that owner could ever use
        if code is Code.BUSY or code in POOL_CODES:
            return self._keep_nodes(members, code)
        return self._keep_own(members, blocked, code)

    def _keep_own(self, members: Members, blocked: int, code: Code) -> bool:
        """Keep parts of their owners' limits, and names, for aged runs, unless an aged one before them waits for these.

        So many runs that wait for one owner or name cost no more than one, and take no turn from others.
        """
        holds, (line, run) = self.trial.holds, members[blocked]
        *_, owner = (None, *kept_owners(line, code))
        if owner is None and any(holds.keeps(name, run) for name in run.exclusive):
            return False
        if owner is not None and holds.sums.of(owner) != NOTHING:
            return False
        for own, mate in members:
            self.trial.keep_sums(own, mate, kept_owners(own, code))
        return True

    def _keep_nodes(self, members: Members, code: Code) -> bool:
        """Keep a node for each of these, or none at all; False where there are none that nobody before them needs."""
        trial, (line, run) = self.trial, members[0]
        self._take_turn()
        columns = groups.nominate(trial, members) if run.group else trial.memory.nominate(trial.holds, line.ask, run)
        if columns is None:
            return False
        if self._must_choose(line, run):
            trial.chosen.update(zip((mate.execution_id for _, mate in members), columns, strict=True))
            return False
        trial.keep(members, columns, firm=line.aged, pooled=code in POOL_CODES)
        return True

    def _take_turn(self) -> None:
        """Count one for which a node is sought; after the last the other aged ones need not be looked at."""
        self.trial.holds.turns += 1
        if self.trial.holds.exhausted:
            self.front.anew()

    def _preempt(self, line: RunClass, run: Queued, code: Code) -> bool:
        if code is not Code.BUSY and code not in POOL_CODES:
            return False
        room = self.preemption.room_for(line, run)
        if room is None or (room.asked and run.execution_id in self.trial.state.busy):
            return False
        if room.asked:
            self.preempted[run.execution_id] = room.asked
        self.trial.preempting[run.execution_id] = (*room.stopping, *room.asked)
        self._found_head()
        self._take_turn()
        self.trial.keep([(line, run)], [room.column], firm=True)
        return True

    def _visit_group(self, line: RunClass, run: Queued, group: GroupId) -> None:
        """Start all members of a run's group, or none; keep nodes for all, or none."""
        trial = self.trial
        members = groups.members(trial, run)
        for member, _ in members:
            self.front.leave(member)
        tried = groups.attempt(trial, members)
        trial.found[group] = (tried.number, len(members))
        if tried.placed:
            for (own, mate), placed in zip(members, tried.placed, strict=True):
                trial.admit(own, mate, placed)
        elif not groups.possible(trial, members):
            return
        elif line.aged:
            self._keep_aged(members, tried.number, tried.code)
        elif self._is_head(run, tried.code):
            self._keep_nodes(members, tried.code)


def kept_owners(line: RunClass, code: Code | None) -> tuple[UUID, ...]:
    """Return in whose limits an aged run has room kept that waits for its own."""
    user, *team = line.owners[1:]
    return (user, *team) if code in TEAM_CODES else (user,) if code in USER_CODES else ()
