"""What a cycle found. Who starts is known at once; reasons are worked out only for those that are asked about."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

from model.ids import ExecutionId, NodeName
from scheduler.admission.cycle_state import CycleState
from scheduler.admission.explanation import Explanation
from scheduler.placement.placement import Placed
from scheduler.values.order import due
from scheduler.values.reasons import ELSEWHERE, NO_WORKER, Code, Reason
from scheduler.values.run import Queued, Running, payer


@dataclass(kw_only=True)
class Outcome:
    """Who starts, for whom which node is kept free, who is asked to stop, by the run that needs the place.

    `put_off`: who would start, were it not that another pool decides over its owners or names now (rule 11). `stop` is
    the reason of everybody, where nobody at all may start; `full` that of all whose own will not last longer. Ask for
    reasons before the state changes.
    """

    admitted: dict[ExecutionId, Placed] = field(default_factory=dict)
    put_off: dict[ExecutionId, Placed] = field(default_factory=dict)
    kept: dict[ExecutionId, NodeName] = field(default_factory=dict)
    preempted: dict[ExecutionId, tuple[Running, ...]] = field(default_factory=dict)
    stop: Reason | None = None
    full: Reason | None = None
    now: datetime
    cycle: CycleState | None = None

    @cached_property
    def usage(self) -> dict[UUID, float]:
        """What to store of each owner's usage, as of now (FAIR_SHARE; else nothing)."""
        fairness = None if self.cycle is None else self.cycle.fairness
        return {} if fairness is None else fairness.usage()

    @cached_property
    def _shares(self) -> dict[UUID, float]:
        return {}

    @property
    def shares(self) -> dict[ExecutionId, float]:
        """The share of the owner of each run that starts, before it did (FAIR_SHARE; else nothing)."""
        fairness = None if self.cycle is None else self.cycle.fairness
        return {} if fairness is None else fairness.before

    def share(self, run: Queued) -> float | None:
        """Return the share of a run's owner after this pass; None but for FAIR_SHARE."""
        cycle = self.cycle
        if cycle is None or cycle.fairness is None:
            return None
        owner = payer(run.user_id, run.team_id)
        if owner not in self._shares:
            self._shares[owner] = cycle.fairness.of(owner, cycle.used)
        return self._shares[owner]

    def reason(self, run: Queued) -> Reason:
        """Return why a run that was not admitted waits."""
        if not due(run, self.now) and run.not_before is not None:
            return backoff(run.not_before)
        if run.execution_id in self.put_off:
            return ELSEWHERE
        if self.stop is not None or self._explanation is None or self.cycle is None:
            return self.stop or NO_WORKER
        run_class = self.cycle.state.waiting.of[run.execution_id]
        if self.full is not None:
            return self._explanation.lasting(run) or self.full
        return self._explanation.reason(run, run_class)

    def nominated(self, run: Queued) -> NodeName | None:
        """Return the node that is kept for a run that waits; who is put off keeps the one it had."""
        return run.nominated if run.execution_id in self.put_off else self.kept.get(run.execution_id)

    def blocked_by(self, run: Queued, reason: Reason) -> tuple[ExecutionId, ...]:
        """Return which runs have, or are kept, what a run would need."""
        return () if self._explanation is None else self._explanation.blocked_by(run, reason)

    @cached_property
    def _explanation(self) -> Explanation | None:
        return None if self.cycle is None else Explanation(self.cycle)


def backoff(until: datetime) -> Reason:
    """Return the reason of a run that was tried before and starts again later."""
    return Reason(code=Code.BACKOFF, text=f"in backoff until {until:%H:%M:%S} UTC")
