"""What a forecast is asked, and what one possible future of a pool answers. Nothing here runs a pool forward."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from model.ids import ExecutionId
from scheduler.admission.state import State
from scheduler.forecast.arrivals import NOBODY, Arrivals, overtakes
from scheduler.forecast.history import History
from scheduler.values.order import overtaken_until
from scheduler.values.run import Queued


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A run behind those that are simulated."""

    execution_id: ExecutionId
    priority: int
    enqueued_at: datetime


@dataclass(frozen=True, kw_only=True)
class Question:
    """A pool at `now`, of which nothing is changed, and the runs asked about, in order.

    `near` are simulated, `far` come after those. `lag` passes between an admission and its start. `arrivals` are those
    of lately, from which newcomers are drawn. It has no slots: what all trials need is worked out once, and kept.
    """

    state: State
    now: datetime
    near: tuple[ExecutionId, ...]
    far: tuple[Behind, ...] = ()
    history: Mapping[ExecutionId, History] = field(default_factory=dict)
    lag: timedelta = timedelta()
    arrivals: Arrivals = NOBODY

    @cached_property
    def coming(self) -> Arrivals:
        """Those who may start before one of `near`."""
        return self.before(max((self._waiting[run].priority for run in self.near if run in self._waiting), default=0))

    @cached_property
    def overtaken_until(self) -> datetime:
        """From when on no newcomer starts before any of `near`."""
        waiting = (self._waiting[run] for run in self.near if run in self._waiting)
        return max((self.until(run) for run in waiting), default=self.now)

    def until(self, run: Queued) -> datetime:
        """Return from when on no newcomer starts before a run."""
        return overtaken_until(run.enqueued_at, run.priority, self.state.limits)

    def before(self, priority: int) -> Arrivals:
        """Return those who may start before a run of this priority that waits."""
        strategy = self.state.limits.strategy
        return self.arrivals.only(lambda run: overtakes(run.priority, priority, strategy))

    def rate(self, priority: int) -> float:
        """Return how many runs of a priority come in a second."""
        return self.arrivals.only(lambda run: run.priority == priority).rate()

    @property
    def _waiting(self) -> Mapping[ExecutionId, Queued]:
        return self.state.queued


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One possible future: when each run started that waits now, if it did; and all starts as simulated, in order.

    `pace` is how fast others came, 1 being as fast as lately.
    """

    starts: Mapping[ExecutionId, datetime]
    order: tuple[datetime, ...]
    pace: float = 1.0
