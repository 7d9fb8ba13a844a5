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
    """The reasons of one pass. Equal classes have equal reasons, so each is worked out once."""

    def __init__(self, cycle: CycleState) -> None:
        self.cycle = cycle
        self._known: dict[RunClass, Reason] = {}
        self._lasting: dict[Shape, Reason | None] = {}

    def reason(self, run: Queued, run_class: RunClass) -> Reason:
        """Return why a run waits that was not in backoff."""
        stopping = self.cycle.preempting.get(run.execution_id)
        if stopping:
            return _preempting([other.execution_id for other in stopping])
        if run_class not in self._known:
            first = next((one for one in run_class.runs if one.execution_id not in self.cycle.admitted), run)
            self._known[run_class] = self._work_out(run_class, first)
        return self._known[run_class]

    def blocked_by(self, run: Queued, reason: Reason) -> tuple[ExecutionId, ...]:
        """Return which runs have, or are kept, what a run would need."""
        cycle = self.cycle
        if reason.code is Code.PREEMPTING:
            return tuple(other.execution_id for other in cycle.preempting.get(run.execution_id, ()))
        if reason.code is not Code.EXCLUSIVE and reason.code not in BY_HOLDS:
            return ()
        run_class = cycle.state.waiting.of[run.execution_id]
        if reason.code is Code.EXCLUSIVE:
            held = (
                cycle.state.names.get(name) or cycle.names.get(name) or self._kept_name(name, run_class, run)
                for name in run.exclusive
            )
            return tuple(dict.fromkeys(holder for holder in held if holder is not None and holder != run.execution_id))
        there = [one.run for one in self._keepers(run_class, run)]
        here = (
            []
            if self._reserved(run_class, run)
            else [reservation.run.execution_id for reservation in self._binding(run_class, run)]
        )
        return (*there, *here)

    def _work_out(self, run_class: RunClass, run: Queued) -> Reason:
        own = self._of_group(run) or self.lasting(run_class) or self._own(run_class, run)
        if own is not None:
            return own
        full = exceeded(self.cycle.cache.pool, run_class.need, self.cycle.used)
        if self._was_passed(run_class, run):
            amounts = exceeded(self.cycle.cache.pool, (0, *run_class.need[1:]), self.cycle.used)
            return amounts or self._kept(run_class, run) or full or _TURN
        return (None if full is None else self._share(run_class, run, full)) or self._kept(run_class, run) or _TURN

    def lasting(self, run_class: RunClass) -> Reason | None:
        """Return what keeps a run waiting whatever ends, until somebody changes something; equal shapes once."""
        cycle, shape = self.cycle, run_class.ask.shape
        if cycle.cache.hopeless(run_class):
            if shape not in self._lasting:
                self._lasting[shape] = lasting(cycle.state.node_usage, run_class.ask)
            if (reason := self._lasting[shape]) is not None:
                return reason
        reasons = (never(bound, run_class.need, cycle.used) for bound in run_class.bounds)
        return next((reason for reason in reasons if reason is not None), None)

    def _was_passed(self, run_class: RunClass, run: Queued) -> bool:
        """Return whether one later in the order has started; then the pool was not full when it was this one's turn."""
        return self._rank(run_class, run) < self.cycle.last

    def _rank(self, run_class: RunClass, run: Queued) -> Rank:
        return (rank_number(run, self.cycle.limits, is_aged=run_class.aged), run.seq, run.execution_id)

    def _own(self, run_class: RunClass, run: Queued) -> Reason | None:
        """Return what keeps a run waiting whatever else starts in the pool, and whatever is kept free for others."""
        cycle = self.cycle
        reasons = (
            exceeded(bound, run_class.need, cycle.used) for bound in run_class.bounds if bound is not cycle.cache.pool
        )
        own = self._refusal(run_class) or next((reason for reason in reasons if reason is not None), None)
        own = own or self._reserved(run_class, run) or self._exclusive(run_class, run)
        if own is not None:
            return own
        placeless = self._placeless(run_class, run, cycle)
        return None if placeless is None else self._share(run_class, run, placeless)

    def _placeless(self, run_class: RunClass, run: Queued, cycle: CycleState) -> Reason | None:
        found = place(cycle.reservations.node_usage, run_class.ask, run.execution_id)
        return found if isinstance(found, Reason) else None

    def _exclusive(self, run_class: RunClass, run: Queued) -> Reason | None:
        for name in run.exclusive:
            holder = self.cycle.holder(name)
            if holder is not None:
                return Reason(code=Code.EXCLUSIVE, text=f"{name} is held by {holder}")
            keeper = self._kept_for(name, run_class, run)
            if keeper is not None:
                text = f"{name} is kept for run {short(keeper)}, which waited too long"
                return Reason(code=Code.EXCLUSIVE, text=text)
            if elsewhere := self.cycle.keeper(name, run):
                return Reason(code=Code.EXCLUSIVE, text=f"{name} is kept {_for_elsewhere([elsewhere])}")
        return None

    def _refusal(self, run_class: RunClass) -> Reason | None:
        """Return which added rule does not let a run start."""
        text = self.cycle.refusal(run_class)
        return None if text is None else Reason(code=Code.RULE, text=text)

    def _kept_for(self, name: str, run_class: RunClass, run: Queued) -> ExecutionId | None:
        """Return for which run, before this one in the order, a name is kept."""
        keeper = self.cycle.reservations.names.get(name)
        return keeper if keeper is not None and self._comes_after(keeper, run_class, run) else None

    def _comes_after(self, keeper: ExecutionId, run_class: RunClass, run: Queued) -> bool:
        """Return whether what is kept for a run binds another one: nothing that is kept binds those before it.

        Under FAIR_SHARE the order among those that are not aged has moved since.
        """
        rank = self._rank(run_class, run)
        if keeper == run.execution_id:
            return False
        if self.cycle.fairness is not None and rank[0] >= YOUNG:
            return True
        return self.cycle.kept[keeper].rank < rank

    def _kept_name(self, name: str, run_class: RunClass, run: Queued) -> ExecutionId | None:
        """Return for which run a name is kept, here or in another pool."""
        elsewhere = self.cycle.keeper(name, run)
        return self._kept_for(name, run_class, run) or (None if elsewhere is None else elsewhere.run)

    def _reserved(self, run_class: RunClass, run: Queued) -> Reason | None:
        """Return what of its team's or user's limit aged runs of other pools keep from a run."""
        cycle, reserved = self.cycle, self.cycle.reserved(run)
        bounds = [bound for bound in run_class.bounds if bound is not cycle.cache.pool] if cycle.state.reserved else []
        text = next((text for b in bounds if (text := kept_of(b, run_class.need, cycle.used, reserved))), None)
        if text is None:
            return None
        return Reason(code=Code.RESERVED, text=f"{text} {_for_elsewhere(self._keepers(run_class, run))}")

    def _keepers(self, run_class: RunClass, run: Queued) -> list[CrossPoolReservation]:
        """Return the reservations of other pools in what a run would need, with all that is kept from it."""
        cycle = self.cycle
        if not cycle.state.reserved:
            return []
        sums, _ = cycle.reservations.seen_by(run)
        kept = cycle.kept_from(run_class, run, sums)
        short_of = {b.owner for b in run_class.bounds if kept_of(b, run_class.need, cycle.used, kept) is not None}
        before = cycle.state.reserved.before(cycle.state.waiting.rank(run))
        return [one for one in before if not short_of.isdisjoint(one.owners)]

    def _kept(self, run_class: RunClass, run: Queued) -> Reason | None:
        """Return what of the things kept free for others a run would need."""
        binding = self._binding(run_class, run)
        if not binding:
            return None
        code, for_whom = _for(binding)
        cycle = self.cycle
        sums, room = cycle.reservations.seen_by(run)
        if not choose(room, run_class.ask, run.execution_id):
            found = choose(cycle.reservations.node_usage, run_class.ask, run.execution_id)
            return Reason(code=code, text=f"node {found[0].node} is kept free {for_whom.replace('runs', 'a run')}")
        sums = cycle.kept_from(run_class, run, sums)
        kept = (kept_of(bound, run_class.need, cycle.used, sums) for bound in run_class.bounds)
        text = next((text for text in kept if text is not None), None)
        return None if text is None else Reason(code=code, text=f"{text} {for_whom}")

    def _binding(self, run_class: RunClass, run: Queued) -> list[Reservation]:
        return [
            reservation
            for reservation in self.cycle.reservations.all
            if reservation.binds(run) and self._comes_after(reservation.run.execution_id, run_class, run)
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


def _for_elsewhere(keepers: Sequence[CrossPoolReservation]) -> str:
    if len(keepers) == 1:
        return f"for run {short(keepers[0].run)} of pool {keepers[0].pool}, which waited too long"
    return f"for {len(keepers)} runs of other pools, which waited too long"


def _preempting(runs: list[ExecutionId]) -> Reason:
    named = ", ".join(short(run) for run in runs)
    who = "a less important run has" if len(runs) == 1 else f"{len(runs)} less important runs have"
    return Reason(code=Code.PREEMPTING, text=f"waits until {who} stopped: {named}")
