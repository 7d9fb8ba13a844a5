"""What aged runs of other pools have kept for them: room in their team's and user's limits, and exclusive names.

Limits and names hold across pools, so ageing has to as well. A reservation binds only runs that come after its run in
the order, wherever they wait. The key of a run is that of its own pool, and it is fixed: so of two aged runs in two
pools that need the same, exactly one waits for the other, and the first of all for none (`scheduler.admission.plan`,
rule 10).
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from model.claims import conflicting
from model.ids import ExecutionId, PoolName
from scheduler.values.run import Rank
from scheduler.values.usage_totals import Demand, UsageTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossPoolReservation:
    """What is kept for one run of another pool. `rank` is its place in the order, over all pools.

    Members of a group have the place of their first: else two groups could each wait for a part of the other.
    """

    run: ExecutionId
    pool: PoolName
    rank: Rank
    owners: tuple[UUID, ...]
    need: Demand
    names: tuple[str, ...] = ()


class CrossPoolReservations:
    """All reservations that may matter to a pool."""

    def __init__(self, reservations: Iterable[CrossPoolReservation] = ()) -> None:
        self.all = sorted(reservations, key=lambda one: (one.rank, one.run))
        self._ranks = [one.rank for one in self.all]
        self._sums = [UsageTotals()]
        """What the first so many of them come to."""
        for one in self.all:
            more = UsageTotals(self._sums[-1])
            more.add(one.owners, one.need)
            self._sums.append(more)

    def __bool__(self) -> bool:
        return bool(self.all)

    def before(self, rank: Rank) -> list[CrossPoolReservation]:
        """Return the reservations that bind a run of that place in the order, in order."""
        return self.all[: bisect_left(self._ranks, rank)]

    def sums(self, rank: Rank) -> UsageTotals:
        """Return the sums that are reserved against a run of that place in the order."""
        return self._sums[bisect_left(self._ranks, rank)]

    def keeper(self, name: str, rank: Rank) -> CrossPoolReservation | None:
        """Return the reservation that conflicts with an entry and binds a run of that place in the order."""
        rivals = conflicting(name)
        return next((one for one in self.before(rank) if not set(rivals).isdisjoint(one.names)), None)


NOTHING_RESERVED = CrossPoolReservations()
