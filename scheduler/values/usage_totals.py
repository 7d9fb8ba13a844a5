"""How much is in use, or kept free: in the pool, and by each user and team."""

from collections.abc import Iterable
from typing import TypeAlias
from uuid import UUID

from model.ids import TeamId, UserId
from model.resources import Resources
from scheduler.values.node_arrays import KINDS
from scheduler.values.pool import Ceiling
from scheduler.values.run import Queued, Running

POOL = UUID(int=0)
"""Owner of everything in the pool."""
COUNTED = ("runs", *KINDS[:4])

Demand: TypeAlias = tuple[int, ...]
"""Amounts in the order of `COUNTED`: runs, milli-cores, bytes, bytes, pieces."""
NOTHING: Demand = (0, 0, 0, 0, 0)
ONE_RUN: Demand = (1, 0, 0, 0, 0)


def need(resources: Resources) -> Demand:
    """Return what one run counts for."""
    return (1, resources.cpu_milli, resources.memory_bytes, resources.ephemeral_bytes, resources.gpu)


def most(ceiling: Ceiling) -> tuple[int | None, ...]:
    """Return the limits in the order of `COUNTED`."""
    return (ceiling.runs, ceiling.cpu_milli, ceiling.memory_bytes, ceiling.ephemeral_bytes, ceiling.gpu)


def owners_of(run: Queued | Running) -> tuple[UUID, ...]:
    """Return whose limits a run counts against, besides the pool's."""
    return (run.user_id,) if run.team_id is None else (run.user_id, run.team_id)


def payer(user: UserId, team: TeamId | None) -> UUID:
    """Return who owns a share: the team; a run without one is its user's."""
    return user if team is None else team


class UsageTotals:
    """Amounts by owner, on top of other sums that are not changed by what is added here."""

    __slots__ = ("_base", "_own")

    def __init__(self, base: "UsageTotals | None" = None) -> None:
        self._base = base
        self._own: dict[UUID, Demand] = {}

    def of(self, owner: UUID) -> Demand:
        """Return what an owner has."""
        own = self._own.get(owner)
        if self._base is None:
            return NOTHING if own is None else own
        under = self._base.of(owner)
        return under if own is None else _plus(under, own)

    def add(self, owners: Iterable[UUID], amounts: Demand, times: int = 1) -> None:
        """Count amounts in, or out with -1."""
        more = amounts if times == 1 else _times(amounts, times)
        for owner in owners:
            had = self._own.get(owner)
            self._own[owner] = more if had is None else _plus(had, more)


def _times(amounts: Demand, times: int) -> Demand:
    return tuple([times * amount for amount in amounts])


def _plus(one: Demand, other: Demand) -> Demand:
    """Return the sums. Spelled out: a pass does this thousands of times, and a loop over five takes thrice as long."""
    runs, cpu, memory, ephemeral, gpu = one
    more_runs, more_cpu, more_memory, more_ephemeral, more_gpu = other
    return (runs + more_runs, cpu + more_cpu, memory + more_memory, ephemeral + more_ephemeral, gpu + more_gpu)
