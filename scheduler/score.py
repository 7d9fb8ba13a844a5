"""How well a node suits a run: five terms, each from 0 to 1, weighted and kept (decision 9).

    free         what is left of the scarcest resource once the run is there
    utilisation  how near the node then is to the target utilisation
    affinity     how much of the preferred affinity it has; halved where it would rather not have the run
    spot         1 on a spot node, which is cheaper, 0.5 elsewhere
    balance      how evenly CPU and memory are then used

The profile `original` is kept for comparison: its first term is unbounded, and it looks at the node before the run is
placed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.ids import NodeName
from scheduler.fleet import Amounts, Fleet
from scheduler.node import Node
from scheduler.profile import Profile
from scheduler.run import Constraints
from scheduler.selectors import term_holds, unwelcome

Numbers = NDArray[np.float64]
CPU, MEMORY = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a candidate got, term by term, and in all."""

    node: NodeName
    total: float
    free: float
    utilisation: float
    affinity: float
    spot: float
    balance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """By what nodes are weighed for one shape."""

    profile: Profile
    target: float
    constraints: Constraints


def totals(fleet: Fleet, columns: NDArray[np.intp], request: Amounts, how: Weighing) -> tuple[Numbers, Numbers]:
    """Return the terms of the given nodes, shape (5, columns), and their totals, shape (columns,)."""
    profile, target = how.profile, how.target
    free, utilisation, balance = (_terms if profile.bounded else _original)(fleet, columns, request, target)
    affinity, spot = preference(fleet, how.constraints)[:, columns]
    rows = np.stack((free, utilisation, affinity, spot, balance))
    weights = np.array(profile.weights)
    total = weights @ rows / (weights.sum() if profile.bounded else 1.0)
    return rows, np.asarray(total, dtype=np.float64)


def _terms(fleet: Fleet, columns: NDArray[np.intp], request: Amounts, target: float) -> Numbers:
    """Return free, utilisation and balance once the run is there. Shape: (3, columns)."""
    share = _share(fleet.used[:, columns] + request[:, None], fleet.capacity[:, columns])
    mean = (share[CPU] + share[MEMORY]) / 2
    free = 1 - share.max(axis=0)
    utilisation = 1 - np.abs(mean - target) / max(target, 1 - target)
    balance = 1 - np.abs(share[CPU] - share[MEMORY])
    return np.asarray(np.clip(np.stack((free, utilisation, balance)), 0.0, 1.0), dtype=np.float64)


def _original(fleet: Fleet, columns: NDArray[np.intp], request: Amounts, target: float) -> Numbers:
    """Return the same three as the original design has them, balance left out."""
    used, capacity = fleet.used[:, columns], fleet.capacity[:, columns]
    share = _share(used, capacity)
    headroom = np.where(request[:2, None] > 0, (capacity - used)[:2] / np.maximum(request[:2, None], 1), 1.0)
    utilisation = 1 - np.abs((share[CPU] + share[MEMORY]) / 2 - target)
    return np.stack((headroom.min(axis=0), utilisation, np.zeros(len(columns))))


def preference(fleet: Fleet, constraints: Constraints) -> Numbers:
    """Return affinity and spot of all nodes, which change with the nodes only. Shape: (2, nodes)."""
    key = ("preference", constraints.affinity.preferred, constraints.tolerations)
    known: Numbers | None = fleet.memo.get(key)
    if known is None:
        spot = [1.0 if node.spot else 0.5 for node in fleet.nodes]
        affinity = [_affinity(node, constraints) for node in fleet.nodes]
        fleet.memo[key] = known = np.array((affinity, spot))
    return known


def _affinity(node: Node, constraints: Constraints) -> float:
    preferred = constraints.affinity.preferred
    held = sum(p.weight for p in preferred if term_holds(node.labels, p.preference))
    share = held / sum(p.weight for p in preferred) if preferred else 1.0
    return share / 2 if unwelcome(node, constraints.tolerations) else share


def _share(used: Amounts, capacity: Amounts) -> Numbers:
    """Return how much of each kind is used; a kind that a node does not have counts as unused."""
    share = np.where(capacity > 0, used / np.maximum(capacity, 1), 0.0)
    return np.asarray(share, dtype=np.float64)
