"""Who has had how much of a pool, during one pass (FAIR_SHARE)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from model.ids import ExecutionId
from scheduler.admission.cycle_cache import NEVER, ClassArrays
from scheduler.admission.equivalence_classes import RunClass
from scheduler.fairness.shares import Usage, dominant, penalty
from scheduler.values.node_arrays import Amounts
from scheduler.values.order import YOUNG
from scheduler.values.pool import Owner, PoolSettings
from scheduler.values.run import Running, payer
from scheduler.values.usage_totals import Demand, UsageTotals, need

_NOBODY = Owner(name="")


class SharedPool(Protocol):
    """What shares depend on, and where usage is settled (`usage`, `usage_at`, `moved`): a state of a pool."""

    usage: dict[UUID, Usage]
    usage_at: datetime | None
    moved: set[UUID]

    @property
    def limits(self) -> PoolSettings:
        """The settings of the pool."""
        ...

    @property
    def owners(self) -> Mapping[UUID, Owner]:
        """Teams and users with a weight or a limit."""
        ...

    @property
    def sums(self) -> UsageTotals:
        """What pool, teams and users have in use."""
        ...

    @property
    def totals(self) -> Demand:
        """What there is of each kind."""
        ...


class Fairness:
    """The shares of those who wait, as they change with each run that starts."""

    def __init__(self, state: SharedPool, now: datetime, arrays: ClassArrays) -> None:
        self.state, self.now, self.arrays = state, now, arrays
        account(state, now)
        self.totals = state.totals
        self.before: dict[ExecutionId, float] = {}
        """The share of the owner of each run that starts, before it did."""
        self.charged: dict[UUID, float] = {}
        self.last: tuple[UUID, float] | None = None
        """Who was the last to start something because of its share, and what share it had before."""
        self._share = np.zeros(len(arrays.owners.full))
        for number in set(arrays.payer[: arrays.size][arrays.live[: arrays.size]].tolist()):
            owner = arrays.owners.all[number]
            if owner is not None:
                self._share[number] = self.of(owner, state.sums)

    def of(self, owner: UUID, used: UsageTotals) -> float:
        """Return an owner's share: what it has now and has had lately, over its weight."""
        facts = self.state.owners.get(owner, _NOBODY)
        share = dominant(used.of(owner), self.totals) + self.average(owner) + self.charged.get(owner, 0.0)
        return share / facts.weight if facts.weight > 0 else float("inf")

    def average(self, owner: UUID) -> float:
        """Return an owner's decayed usage of now."""
        return usage_of(self.state, owner, self.now).average

    def charge(self, run_class: RunClass, run: ExecutionId, used: UsageTotals, *, by_share: bool) -> None:
        """Count a run that starts; `by_share`: its owner's share brought it here, not its age or a node kept for it."""
        limits, number = self.state.limits, self.arrays.owners.of(run_class.payer)
        self.before[run] = float(self._share[number])
        if by_share:
            self.last = (run_class.payer, self.before[run])
        self.charged[run_class.payer] = self.charged.get(run_class.payer, 0.0) + entry(
            run_class.need, self.totals, limits
        )
        self._share[number] = self.of(run_class.payer, used)

    def least(self, candidates: NDArray[np.intp], keys: Amounts) -> Amounts:
        """Return the keys of aged runs, or else of those whose owner has the least share; never the others'."""
        if keys.min() < YOUNG:
            return keys
        shares = np.where(keys == NEVER, np.inf, self._share[self.arrays.payer[candidates]])
        return np.where(shares == shares.min(), keys, NEVER)

    def usage(self) -> dict[UUID, float]:
        """Return the usage of now of everybody who has any, with what is charged in this pass."""
        state = self.state
        known = {owner for owner, facts in state.owners.items() if facts.usage > 0}
        owners = known | state.usage.keys() | self.charged.keys()
        return {owner: self.average(owner) + self.charged.get(owner, 0.0) for owner in sorted(owners)}


def entry(asked: Demand, of: Demand, limits: PoolSettings) -> float:
    """Return what a run is charged when it starts."""
    return penalty(dominant(asked, of), limits.interval, limits.half_life)


def account(state: SharedPool, now: datetime) -> None:
    """Settle the usage of those whose share has changed since the last pass: until now they had the old one."""
    state.usage_at = state.usage_at or now
    for owner in state.moved:
        state.usage[owner] = usage_of(state, owner, now)
    state.moved.clear()


def charge(state: SharedPool, run: Running, now: datetime) -> None:
    """Charge an owner for a run that has just started, so that bursts of short ones count too."""
    owner = payer(run.queued.user_id, run.queued.team_id)
    known, totals = usage_of(state, owner, now), state.totals
    charged = entry(need(run.resources, run.slots), totals, state.limits)
    state.usage[owner] = replace(known, average=known.average + charged)


def usage_of(state: SharedPool, owner: UUID, now: datetime) -> Usage:
    """Return an owner's usage as of now, and the share that it has from now on."""
    share = dominant(state.sums.of(owner), state.totals)
    known = state.usage.get(owner)
    if known is None:
        before = state.owners.get(owner, _NOBODY).usage
        known = Usage(before, share, state.usage_at or now)
    return Usage(known.now(now, state.limits.half_life), share, max(now, known.at))
