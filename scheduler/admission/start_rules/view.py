"""Define what a start rule may look at, and what it answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from model.ids import ExecutionId, short
from scheduler.admission.cross_pool_reservations import CrossPoolReservation
from scheduler.values.quota_limits import QuotaLimit
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Queued
from scheduler.values.usage_totals import Demand, UsageTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Why a run may not start: the number of the rule in `scheduler.admission.plan`, and its code.

    `reason` works out the sentence for people, which costs more than the decision. `limit`: the limit that is reached.
    """

    rule: int
    code: Code
    reason: Callable[[], Reason]
    limit: QuotaLimit | None = None


class View(Protocol):
    """A moment of an admission cycle: what is in use and reserved, counting what was admitted earlier in the cycle."""

    @property
    def used(self) -> UsageTotals:
        """What pool, teams and users have in use."""
        ...

    @property
    def pool(self) -> QuotaLimit:
        """The limit of the pool."""
        ...

    def need_of(self, run: Queued) -> Demand:
        """Return what a run asks of the limits."""
        ...

    def bounds_of(self, run: Queued) -> Sequence[QuotaLimit]:
        """Return the limits that hold for a run, the team's first, the pool's last."""
        ...

    def never_fits(self, run: Queued) -> bool:
        """Return whether no node, or the pool, could hold a run even if nothing else ran."""
        ...

    def lasting(self, run: Queued) -> Reason | None:
        """Return why no node could ever hold a run."""
        ...

    def refusal(self, run: Queued) -> str | None:
        """Return why an added rule refuses a run, None if none does."""
        ...

    def reserved_elsewhere(self, run: Queued) -> UsageTotals:
        """Return what runs of other pools that come before a run have reserved of team and user limits."""
        ...

    def reserved_from(self, run: Queued) -> UsageTotals | None:
        """Return all that is reserved of any limit and binds a run, in this pool and in others; None if nothing is."""
        ...

    def reservers_elsewhere(self, run: Queued) -> Sequence[CrossPoolReservation]:
        """Return the reservations of other pools in limits that a run would need."""
        ...

    def held_elsewhere(self, name: str) -> bool:
        """Return whether a run of another pool holds an exclusive name."""
        ...

    def holder_of(self, name: str) -> ExecutionId | None:
        """Return which run of this pool holds an exclusive name, or was admitted with it in this cycle."""
        ...

    def reserver_of(self, name: str, run: Queued) -> ExecutionId | None:
        """Return for which run of this pool an exclusive name is reserved, if that binds `run`."""
        ...

    def reserver_elsewhere(self, name: str, run: Queued) -> CrossPoolReservation | None:
        """Return for which run of another pool an exclusive name is reserved, if that binds `run`."""
        ...


def for_runs_elsewhere(reservations: Sequence[CrossPoolReservation]) -> str:
    """Return for whom other pools have reserved something: 'for run 0a1b2c3d of pool east, which waited too long'."""
    if len(reservations) == 1:
        return f"for run {short(reservations[0].run)} of pool {reservations[0].pool}, which waited too long"
    return f"for {len(reservations)} runs of other pools, which waited too long"
