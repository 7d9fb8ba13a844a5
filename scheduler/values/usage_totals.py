"""How much is in use, or kept free: in the pool, and by each user and team."""

from collections.abc import Iterable
from typing import TypeAlias
from uuid import UUID

from model.resources import Resources

POOL = UUID(int=0)
"""Owner of everything in the pool."""

Demand: TypeAlias = tuple[int, ...]
"""Amounts in this order: runs, milli-cores, bytes of memory, bytes of ephemeral storage, GPUs."""
NOTHING: Demand = (0, 0, 0, 0, 0)
ONE_RUN: Demand = (1, 0, 0, 0, 0)


def need(resources: Resources, runs: int) -> Demand:
    """Return what so many runs count for together: one test, or none for an experiment (rule 13)."""
    return (runs, resources.cpu_milli, resources.memory_bytes, resources.ephemeral_bytes, resources.gpu)


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
