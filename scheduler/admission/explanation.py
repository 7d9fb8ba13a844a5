"""Why a run waits, after a pass: what it lacks besides all that has started and is kept free."""

from collections.abc import Iterable

from model.ids import ExecutionId, short
from scheduler.admission.cycle_state import CycleState
from scheduler.admission.equivalence_classes import RunClass
from scheduler.admission.outcome import Outcome
from scheduler.admission.reservation import Reservation
from scheduler.admission.start_rules import exclusive_names, never_fits, owner_limits, pool_limit, reserved_limits
from scheduler.admission.start_rules.order import OWN, first_blocked
from scheduler.placement.place import place
from scheduler.placement.placement import choose
from scheduler.values.order import YOUNG, due, rank_number
from scheduler.values.quota_limits import exceeded
from scheduler.values.reasons import ELSEWHERE, NO_WORKER, Code, Reason, backoff
from scheduler.values.run import Queued, Rank

FOR_AGED = "for runs that waited too long"
FOR_HEAD = "for the first of the queue"
BY_RESERVATIONS = frozenset({Code.RESERVED, Code.HEAD})


class ViewAfterCycle:
    """What the start rules see once the cycle is over (a `start_rules.view.View`).

    What is reserved for a run binds those after it in the order. During the cycle that is whoever is looked at next;
    afterwards the order must be asked.
    """

    def __init__(self, cycle: CycleState) -> None:
        self._cycle = cycle
        self.used, self.pool = cycle.used, cycle.pool
        self.need_of, self.bounds_of = cycle.need_of, cycle.bounds_of
        self.never_fits, self.lasting = cycle.never_fits, cycle.lasting
        self.refusal, self.reserved_elsewhere = cycle.refusal, cycle.reserved_elsewhere
        self.reserved_from, self.reservers_elsewhere = cycle.reserved_from, cycle.reservers_elsewhere
        self.held_elsewhere, self.holder_of = cycle.held_elsewhere, cycle.holder_of
        self.reserver_elsewhere = cycle.reserver_elsewhere

    def reserver_of(self, name: str, run: Queued) -> ExecutionId | None:
        """Return for which run, before this one in the order, a claim is reserved that conflicts with an entry."""
        return next((one for one in self._cycle.reservations.rivals(name) if self.binds(one, run)), None)

    def binds(self, reserver: ExecutionId, run: Queued) -> bool:
        """Return whether what is reserved for a run binds another one: nothing binds those that come before it.

        Under FAIR_SHARE the order among those that are not aged has moved since.
        """
        rank = self.rank(run)
        if reserver == run.execution_id:
            return False
        if self._cycle.fairness is not None and rank[0] >= YOUNG:
            return True
        return self._cycle.kept[reserver].rank < rank

    def rank(self, run: Queued) -> Rank:
        """Return the place of a run in the order of the cycle."""
        number = rank_number(run, self._cycle.limits, is_aged=self._cycle.class_of(run).aged)
        return (number, run.seq, run.execution_id)


class Explanation:
    """Why the runs wait that an outcome leaves waiting. Ask before the state changes."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._of_cycle = None if outcome.cycle is None else ExplanationOfCycle(outcome.cycle)

    def reason(self, run: Queued) -> Reason:
        """Return why a run that was not admitted waits."""
        outcome = self.outcome
        if not due(run, outcome.now) and run.not_before is not None:
            return backoff(run.not_before)
        if run.execution_id in outcome.put_off:
            return ELSEWHERE
        if outcome.stop is not None or self._of_cycle is None:
            return outcome.stop or NO_WORKER
        if outcome.full is not None and not self._of_cycle.cycle.class_of(run).slotless:
            return self._of_cycle.lasting(run) or outcome.full
        return self._of_cycle.reason(run)

    def blocked_by(self, run: Queued, reason: Reason) -> tuple[ExecutionId, ...]:
        """Return which runs have, or are kept, what a run would need."""
        return () if self._of_cycle is None else self._of_cycle.blocked_by(run, reason)


class ExplanationOfCycle:
    """The reasons of one cycle. Equal classes have equal reasons, so each is worked out once."""

    def __init__(self, cycle: CycleState) -> None:
        self.cycle = cycle
        self.view = ViewAfterCycle(cycle)
        self._known: dict[RunClass, Reason] = {}

    def reason(self, run: Queued) -> Reason:
        """Return why a run waits that was not in backoff."""
        run_class = self.cycle.class_of(run)
        stopping = self.cycle.preempting.get(run.execution_id)
        if stopping:
            return _preempting([other.execution_id for other in stopping])
        if run_class not in self._known:
            first = next((one for one in run_class.runs if one.execution_id not in self.cycle.admitted), run)
            self._known[run_class] = self._work_out(run_class, first)
        return self._known[run_class]

    def blocked_by(self, run: Queued, reason: Reason) -> tuple[ExecutionId, ...]:
        """Return which runs have, or are kept, what a run would need."""
        if reason.code is Code.PREEMPTING:
            return tuple(other.execution_id for other in self.cycle.preempting.get(run.execution_id, ()))
        if reason.code is Code.EXCLUSIVE:
            return exclusive_names.blockers(self.view, run)
        if reason.code not in BY_RESERVATIONS:
            return ()
        there = [one.run for one in self.cycle.reservers_elsewhere(run)]
        here = [] if owner_limits.blocked(self.view, run) else [one.run.execution_id for one in self._binding(run)]
        return (*there, *here)

    def lasting(self, run: Queued) -> Reason | None:
        """Return what keeps a run waiting whatever ends, until somebody changes something (rule 8)."""
        return never_fits.lasting(self.view, run)

    def _work_out(self, run_class: RunClass, run: Queued) -> Reason:
        """Return the reason that lasts longest (rule 3)."""
        own = self._of_group(run) or self.lasting(run) or self._own(run_class, run)
        if own is not None:
            return own
        found = pool_limit.blocked(self.view, run)
        full = None if found is None else found.reason()
        if self._was_passed(run):
            amounts = exceeded(self.cycle.pool, (0, *run_class.need[1:]), self.cycle.used)
            return amounts or self._kept(run_class, run) or full or _TURN
        return (None if full is None else self._share(run_class, run, full)) or self._kept(run_class, run) or _TURN

    def _was_passed(self, run: Queued) -> bool:
        """Return whether one later in the order has started; then the pool was not full when it was this one's turn."""
        return self.view.rank(run) < self.cycle.last

    def _own(self, run_class: RunClass, run: Queued) -> Reason | None:
        """Return what keeps a run waiting whatever else starts in the pool, and whatever is kept free for others."""
        found = first_blocked(OWN, self.view, run)
        if found is not None:
            return found.reason()
        placeless = place(self.cycle.reservations.node_usage, run_class.ask, run.execution_id)
        return self._share(run_class, run, placeless) if isinstance(placeless, Reason) else None

    def _kept(self, run_class: RunClass, run: Queued) -> Reason | None:
        """Return what of the things reserved for others a run would need (rules 6 and 7)."""
        binding = self._binding(run)
        if not binding:
            return None
        code, for_whom = _for(binding)
        room = self.cycle.reservations.seen_by(run)[1]
        if not choose(room, run_class.ask, run.execution_id):
            found = choose(self.cycle.reservations.node_usage, run_class.ask, run.execution_id)
            what = "a place for experiments" if run_class.slotless else f"node {found[0].node}"
            return Reason(code=code, text=f"{what} is kept free {for_whom.replace('runs', 'a run')}")
        blocked = reserved_limits.blocked(self.view, run)
        return None if blocked is None else Reason(code=code, text=f"{blocked.reason().text} {for_whom}")

    def _binding(self, run: Queued) -> list[Reservation]:
        return [
            reservation
            for reservation in self.cycle.reservations.all
            if reservation.binds(run) and self.view.binds(reservation.run.execution_id, run)
        ]

    def _of_group(self, run: Queued) -> Reason | None:
        found = None if run.group is None else self.cycle.found.get(run.group)
        if found is None or found == (0, 1):
            return None
        text = f"{found[0]} of {found[1]} of its group find a place; they start together"
        return Reason(code=Code.GROUP, text=text)

    def _share(self, run_class: RunClass, run: Queued, reason: Reason) -> Reason:
        """Return that others with less share were first, where it would have started but for them."""
        cycle, fairness = self.cycle, self.cycle.fairness
        if fairness is None or fairness.last is None or run_class.aged or reason.code in _NOT_BY_SHARE:
            return reason
        last, had = fairness.last
        share = fairness.of(run_class.payer, cycle.used)
        before = cycle.state
        free = all(exceeded(bound, run_class.need, before.sums) is None for bound in run_class.bounds)
        if (
            last == run_class.payer
            or had > share
            or not free
            or not choose(before.node_usage, run_class.ask, run.execution_id)
        ):
            return reason
        facts = before.owners.get(last)
        name = "another owner" if facts is None else facts.name
        return Reason(code=Code.SHARE, text=f"its share is {share:.3f}; {name} had {had:.3f} and was first")


_NOT_BY_SHARE = frozenset({Code.EXCLUSIVE, Code.NO_NODE, Code.NOT_SERVED, Code.NO_MATCH, Code.TOO_LARGE})
_TURN = Reason(code=Code.SPREAD, text="what has just started makes room for it; it starts with the next pass")


def _for(reservations: Iterable[Reservation]) -> tuple[Code, str]:
    return (Code.RESERVED, FOR_AGED) if any(reservation.firm for reservation in reservations) else (Code.HEAD, FOR_HEAD)


def _preempting(runs: list[ExecutionId]) -> Reason:
    named = ", ".join(short(run) for run in runs)
    who = "a less important run has" if len(runs) == 1 else f"{len(runs)} less important runs have"
    return Reason(code=Code.PREEMPTING, text=f"waits until {who} stopped: {named}")
