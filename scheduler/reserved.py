"""What aged runs of other pools have kept for them: room in their team's and user's limits, and exclusive names.

Limits and names hold across pools, so ageing has to as well. A reservation binds only runs that arrived later, wherever
they wait: of two aged runs in two pools that need the same, exactly one waits for the other, and the eldest of all for
none (`scheduler.plan`, rule 10).
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from model.ids import ExecutionId, PoolName
from scheduler.sums import Need, Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What is kept for one run of another pool. `arrival` is its place in the order of arrival, over all pools.

    Members of a group count as arrived with their first: else two groups could each wait for a part of the other.
    """

    run: ExecutionId
    pool: PoolName
    arrival: int
    owners: tuple[UUID, ...]
    need: Need
    names: tuple[str, ...] = ()


class Reserved:
    """All reservations that may matter to a pool."""

    def __init__(self, reservations: Iterable[Reservation] = ()) -> None:
        self.all = sorted(reservations, key=lambda one: (one.arrival, one.run))
        self._arrivals = [one.arrival for one in self.all]
        self._sums = [Sums()]
        """What the first so many of them come to."""
        for one in self.all:
            more = Sums(self._sums[-1])
            more.add(one.owners, one.need)
            self._sums.append(more)

    def __bool__(self) -> bool:
        return bool(self.all)

    def before(self, arrival: int) -> list[Reservation]:
        """Return the reservations that bind who arrived then, in order of arrival."""
        return self.all[: bisect_left(self._arrivals, arrival)]

    def sums(self, arrival: int) -> Sums:
        """Return what is kept from who arrived then."""
        return self._sums[bisect_left(self._arrivals, arrival)]

    def keeper(self, name: str, arrival: int) -> Reservation | None:
        """Return for whom an exclusive name is kept from who arrived then."""
        return next((one for one in self.before(arrival) if name in one.names), None)


NOTHING_RESERVED = Reserved()
