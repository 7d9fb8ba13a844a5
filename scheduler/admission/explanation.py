"""Why a run waits, after a pass: what it lacks besides all that has started and is kept free."""

from collections.abc import Iterable, Sequence

from model.ids import ExecutionId, short
from scheduler.admission.cross_pool_reservations import CrossPoolReservation
from scheduler.admission.cycle_state import CycleState
from scheduler.admission.equivalence_classes import RunClass
from scheduler.admission.reservations import Reservation
from scheduler.placement.feasibility import lasting
from scheduler.placement.placement import choose, place
from scheduler.values.order import YOUNG, Rank, rank_number
from scheduler.values.quota_limits import exceeded, kept_of, never
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Queued, Shape

FOR_AGED = "for runs that waited too long"
FOR_HEAD = "for the first of the queue"
BY_HOLDS = frozenset({Code.RESERVED, Code.HEAD})


class Explanation:
    """The reasons of one pass. Equal lines have equal reasons, so each is worked out once."""

    def __init__(self, trial: CycleState) -> None:
        self.trial = trial
        self._known: dict[RunClass, Reason] = {}
        self._lasting: dict[Shape, Reason | None] = {}

    def reason(self, run: Queued, line: RunClass) -> Reason:
        """Return why a run waits that was not in backoff."""
        stopping = self.trial.preempting.get(run.execution_id)
        if stopping:
            return _preempting([other.execution_id for other in stopping])
        if line not in self._known:
            first = next((one for one in line.runs if one.execution_id not in self.trial.admitted), run)
            self._known[line] = self._work_out(line, first)
        return self._known[line]

    def blocked_by(self, run: Queued, reason: Reason) -> tuple[ExecutionId, ...]:
        """Return which runs have, or are kept, what a run would need."""
        trial = self.trial
        if reason.code is Code.PREEMPTING:
            return tuple(other.execution_id for other in trial.preempting.get(run.execution_id, ()))
        if reason.code is not Code.EXCLUSIVE and reason.code not in BY_HOLDS:
            return ()
        line = trial.state.waiting.of[run.execution_id]
        if reason.code is Code.EXCLUSIVE:
            held = (
                trial.state.names.get(name) or trial.names.get(name) or self._kept_name(name, line, run)
                for name in run.exclusive
            )
            return tuple(dict.fromkeys(holder for holder in held if holder is not None and holder != run.execution_id))
        there = [one.run for one in self._keepers(line, run)]
        here = [] if self._reserved(line, run) else [hold.run.execution_id for hold in self._binding(line, run)]
        return (*there, *here)

    def _work_out(self, line: RunClass, run: Queued) -> Reason:
        own = self._of_group(run) or self.lasting(line) or self._own(line, run)
        if own is not None:
            return own
        full = exceeded(self.trial.memory.pool, line.need, self.trial.used)
        if self._was_passed(line, run):
            amounts = exceeded(self.trial.memory.pool, (0, *line.need[1:]), self.trial.used)
            return amounts or self._kept(line, run) or full or _TURN
        return (None if full is None else self._share(line, run, full)) or self._kept(line, run) or _TURN

    def lasting(self, line: RunClass) -> Reason | None:
        """Return what keeps a run waiting whatever ends, until somebody changes something; equal shapes once."""
        trial, shape = self.trial, line.ask.shape
        if trial.memory.hopeless(line):
            if shape not in self._lasting:
                self._lasting[shape] = lasting(trial.state.fleet, line.ask)
            if (reason := self._lasting[shape]) is not None:
                return reason
        reasons = (never(bound, line.need, trial.used) for bound in line.bounds)
        return next((reason for reason in reasons if reason is not None), None)

    def _was_passed(self, line: RunClass, run: Queued) -> bool:
        """Return whether one later in the order has started; then the pool was not full when it was this one's turn."""
        return self._rank(line, run) < self.trial.last

    def _rank(self, line: RunClass, run: Queued) -> Rank:
        return (rank_number(run, self.trial.limits, is_aged=line.aged), run.seq, run.execution_id)

    def _own(self, line: RunClass, run: Queued) -> Reason | None:
        """Return what keeps a run waiting whatever else starts in the pool, and whatever is kept free for others."""
        trial = self.trial
        reasons = (exceeded(bound, line.need, trial.used) for bound in line.bounds if bound is not trial.memory.pool)
        own = self._refusal(line) or next((reason for reason in reasons if reason is not None), None)
        own = own or self._reserved(line, run) or self._exclusive(line, run)
        if own is not None:
            return own
        placeless = self._placeless(line, run, trial)
        return None if placeless is None else self._share(line, run, placeless)

    def _placeless(self, line: RunClass, run: Queued, trial: CycleState) -> Reason | None:
        found = place(trial.holds.fleet, line.ask, run.execution_id)
        return found if isinstance(found, Reason) else None

    def _exclusive(self, line: RunClass, run: Queued) -> Reason | None:
        for name in run.exclusive:
            holder = self.trial.holder(name)
            if holder is not None:
                return Reason(code=Code.EXCLUSIVE, text=f"{name} is held by {holder}")
            keeper = self._kept_for(name, line, run)
            if keeper is not None:
                text = f"{name} is kept for run {short(keeper)}, which waited too long"
                return Reason(code=Code.EXCLUSIVE, text=text)
            if elsewhere := self.trial.keeper(name, run):
                return Reason(code=Code.EXCLUSIVE, text=f"{name} is kept {_for_elsewhere([elsewhere])}")
        return None

    def _refusal(self, line: RunClass) -> Reason | None:
        """Return which added rule does not let a run start."""
        text = self.trial.refusal(line)
        return None if text is None else Reason(code=Code.RULE, text=text)

    def _kept_for(self, name: str, line: RunClass, run: Queued) -> ExecutionId | None:
        """Return for which run, before this one in the order, a name is kept."""
        keeper = self.trial.holds.names.get(name)
        return keeper if keeper is not None and self._comes_after(keeper, line, run) else None

    def _comes_after(self, keeper: ExecutionId, line: RunClass, run: Queued) -> bool:
        """Return whether what is kept for a run binds another one: nothing that is kept binds those before it.

        Under FAIR_SHARE the order among those that are not aged has moved since.
        """
        rank = self._rank(line, run)
        if keeper == run.execution_id:
            return False
        if self.trial.fairness is not None and rank[0] >= YOUNG:
            return True
        return self.trial.kept[keeper].rank < rank

    def _kept_name(self, name: str, line: RunClass, run: Queued) -> ExecutionId | None:
        """Return for which run a name is kept, here or in another pool."""
        elsewhere = self.trial.keeper(name, run)
        return self._kept_for(name, line, run) or (None if elsewhere is None else elsewhere.run)

    def _reserved(self, line: RunClass, run: Queued) -> Reason | None:
        """Return what of its team's or user's limit aged runs of other pools keep from a run."""
        trial, reserved = self.trial, self.trial.reserved(run)
        bounds = [bound for bound in line.bounds if bound is not trial.memory.pool] if trial.state.reserved else []
        text = next((text for b in bounds if (text := kept_of(b, line.need, trial.used, reserved))), None)
        if text is None:
            return None
        return Reason(code=Code.RESERVED, text=f"{text} {_for_elsewhere(self._keepers(line, run))}")

    def _keepers(self, line: RunClass, run: Queued) -> list[CrossPoolReservation]:
        """Return the reservations of other pools in what a run would need, with all that is kept from it."""
        trial = self.trial
        if not trial.state.reserved:
            return []
        sums, _ = trial.holds.seen_by(run)
        kept = trial.kept_from(line, run, sums)
        short_of = {b.owner for b in line.bounds if kept_of(b, line.need, trial.used, kept) is not None}
        before = trial.state.reserved.before(trial.state.waiting.rank(run))
        return [one for one in before if not short_of.isdisjoint(one.owners)]

    def _kept(self, line: RunClass, run: Queued) -> Reason | None:
        """Return what of the things kept free for others a run would need."""
        binding = self._binding(line, run)
        if not binding:
            return None
        code, for_whom = _for(binding)
        trial = self.trial
        sums, room = trial.holds.seen_by(run)
        if not choose(room, line.ask, run.execution_id):
            found = choose(trial.holds.fleet, line.ask, run.execution_id)
            return Reason(code=code, text=f"node {found[0].node} is kept free {for_whom.replace('runs', 'a run')}")
        sums = trial.kept_from(line, run, sums)
        kept = (kept_of(bound, line.need, trial.used, sums) for bound in line.bounds)
        text = next((text for text in kept if text is not None), None)
        return None if text is None else Reason(code=code, text=f"{text} {for_whom}")

    def _binding(self, line: RunClass, run: Queued) -> list[Reservation]:
        return [
            hold
            for hold in self.trial.holds.all
            if hold.binds(run) and self._comes_after(hold.run.execution_id, line, run)
        ]

    def _of_group(self, run: Queued) -> Reason | None:
        found = None if run.group is None else self.trial.found.get(run.group)
        if found is None or found == (0, 1):
            return None
        text = f"{found[0]} of {found[1]} of its group find a place; they start together"
        return Reason(code=Code.GROUP, text=text)

    def _share(self, line: RunClass, run: Queued, reason: Reason) -> Reason:
        """Return that others with less share were first, where it would have started but for them."""
        trial, fairness = self.trial, self.trial.fairness
        if fairness is None or fairness.last is None or line.aged or reason.code in _NOT_BY_SHARE:
            return reason
        last, had = fairness.last
        share = fairness.of(line.payer, trial.used)
        before = trial.state
        free = all(exceeded(bound, line.need, before.sums) is None for bound in line.bounds)
        if last == line.payer or had > share or not free or not choose(before.fleet, line.ask, run.execution_id):
            return reason
        facts = before.owners.get(last)
        name = "another owner" if facts is None else facts.name
        return Reason(code=Code.SHARE, text=f"its share is {share:.3f}; {name} had {had:.3f} and was first")


_NOT_BY_SHARE = frozenset({Code.EXCLUSIVE, Code.NO_NODE, Code.NOT_SERVED, Code.NO_MATCH, Code.TOO_LARGE})
_TURN = Reason(code=Code.SPREAD, text="what has just started makes room for it; it starts with the next pass")


def _for(holds: Iterable[Reservation]) -> tuple[Code, str]:
    return (Code.RESERVED, FOR_AGED) if any(hold.firm for hold in holds) else (Code.HEAD, FOR_HEAD)


def _for_elsewhere(keepers: Sequence[CrossPoolReservation]) -> str:
    if len(keepers) == 1:
        return f"for run {short(keepers[0].run)} of pool {keepers[0].pool}, which waited too long"
    return f"for {len(keepers)} runs of other pools, which waited too long"


def _preempting(runs: list[ExecutionId]) -> Reason:
    named = ", ".join(short(run) for run in runs)
    who = "a less important run has" if len(runs) == 1 else f"{len(runs)} less important runs have"
    return Reason(code=Code.PREEMPTING, text=f"waits until {who} stopped: {named}")
