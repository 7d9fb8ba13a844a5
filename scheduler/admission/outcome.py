"""What a cycle found: who starts, and what is kept for whom. `explanation` says why the others wait."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

from model.ids import ExecutionId, NodeName
from scheduler.admission.cycle_state import CycleState
from scheduler.placement.placement import Placed
from scheduler.values.reasons import Reason
from scheduler.values.run import Queued, Running, payer


@dataclass(kw_only=True)
class Outcome:
    """Who starts, for whom which node is kept free, who is asked to stop, by the run that needs the place.

    `put_off`: who would start, were it not that another pool decides over its owners or names now (rule 11). `stop` is
    the reason of everybody, where nobody at all may start; `full` that of all whose own will not last longer, but for
    experiments.
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

    def nominated(self, run: Queued) -> NodeName | None:
        """Return the node that is kept for a run that waits; who is put off keeps the one it had."""
        return run.nominated if run.execution_id in self.put_off else self.kept.get(run.execution_id)
