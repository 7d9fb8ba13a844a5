"""How much is in use, or kept free: in the pool, and by each user and team."""

from collections.abc import Iterable
from typing import TypeAlias
from uuid import UUID

from model.ids import TeamId, UserId
from model.resources import Resources
from scheduler.pool import Ceiling
from scheduler.roster import KINDS
from scheduler.run import Queued, Running

POOL = UUID(int=0)
"""Owner of everything in the pool."""
COUNTED = ("runs", *KINDS[:4])

Need: TypeAlias = tuple[int, ...]
"""Amounts in the order of `COUNTED`: runs, milli-cores, bytes, bytes, pieces."""
NOTHING: Need = (0, 0, 0, 0, 0)
ONE_RUN: Need = (1, 0, 0, 0, 0)


def need(resources: Resources) -> Need:
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


class Sums:
    """Amounts by owner, on top of other sums that are not changed by what is added here."""

    __slots__ = ("_base", "_own")

    def __init__(self, base: "Sums | None" = None) -> None:
        self._base = base
        self._own: dict[UUID, Need] = {}

    def of(self, owner: UUID) -> Need:
        """Return what an owner has."""
        own = self._own.get(owner)
        if self._base is None:
            return NOTHING if own is None else own
        under = self._base.of(owner)
        return under if own is None else _plus(under, own)

    def add(self, owners: Iterable[UUID], amounts: Need, times: int = 1) -> None:
        """Count amounts in, or out with -1."""
        for owner in owners:
            had = self._own.get(owner, NOTHING)
            self._own[owner] = tuple([have + times * more for have, more in zip(had, amounts, strict=True)])


def _plus(one: Need, other: Need) -> Need:
    return tuple([a + b for a, b in zip(one, other, strict=True)])
