"""Which node a run gets: filter, score, and 2 to 5 candidates; or which node is kept free for it; or why none will do.

Equal scores are decided by a seeded hash of run and node, so that admitters do not all herd onto the first node.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.ids import ExecutionId, NodeName
from scheduler.fleet import Amounts, Fleet, Mask, vector
from scheduler.misfit import misfit
from scheduler.node import Node
from scheduler.pool import Limits
from scheduler.reasons import Reason
from scheduler.run import Constraints, Shape
from scheduler.score import Score, Weighing, totals
from scheduler.selectors import any_term, has_labels, intolerable

CANDIDATES = 5
DIGITS = 6
"""Scores that agree to this many digits are equal."""

Placed: TypeAlias = tuple[Score, ...]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A shape that looks for a node under a pool's settings."""

    shape: Shape
    limits: Limits

    @property
    def selector(self) -> dict[str, str]:
        """The labels that a node must have: the pool's defaults, overridden by the run's own."""
        return {**dict(self.limits.default_selector), **dict(self.shape.constraints.node_selector)}


def place(fleet: Fleet, ask: Ask, run: ExecutionId) -> Placed | Reason:
    """Return the best nodes for a run, best first, or why none will do."""
    request = vector(ask.shape.resources)
    able = _able(fleet, ask, request)
    columns = np.flatnonzero(able & fits(fleet.free, request))
    if not len(columns):
        return misfit(fleet, matching(fleet, ask), ask.shape, ask.selector)
    limits = ask.limits
    how = Weighing(profile=limits.profile, target=limits.target_utilisation, constraints=ask.shape.constraints)
    rows, total = totals(fleet, columns, request, how)
    best = _best(total, _ties(fleet.hashes[columns], run, limits.seed))
    return tuple(_score(fleet.nodes[int(columns[i])].name, total[i], rows[:, i]) for i in best)


def nominate(fleet: Fleet, ask: Ask, run: ExecutionId, present: NodeName | None) -> NodeName | None:
    """Return the node to keep free for a run that fits nowhere now; None if it would not even fit an empty one.

    The one it has stays: a choice that moved about would let no node drain. Else the one that lacks least.
    """
    request = vector(ask.shape.resources)
    able = _able(fleet, ask, request)
    column = fleet.place.get(present) if present is not None else None
    if column is not None and able[column]:
        return present
    columns = np.flatnonzero(able)
    if not len(columns):
        return None
    lacking = np.clip(request[:, None] - fleet.free[:, columns], 0, None) / np.maximum(fleet.capacity[:, columns], 1)
    best = _best(-lacking.max(axis=0), _ties(fleet.hashes[columns], run, ask.limits.seed))
    return fleet.nodes[int(columns[best[0]])].name


def fits(free: Amounts, request: Amounts) -> Mask:
    """Return which nodes have room. What is not asked for is not looked at: a node may be overdrawn in it."""
    needed = request > 0
    return np.asarray((free[needed] >= request[needed, None]).all(axis=0), dtype=np.bool_)


def matching(fleet: Fleet, ask: Ask) -> Mask:
    """Return which nodes a run accepts, and accept it, by everything but amounts."""
    constraints, spot = ask.shape.constraints, ask.limits.spot
    key = ("matching", constraints, ask.limits.default_selector, spot)
    known: Mask | None = fleet.memo.get(key)
    if known is None:
        wanted = tuple(ask.selector.items())
        fleet.memo[key] = known = np.array([_accepts(node, ask, wanted) for node in fleet.nodes], dtype=np.bool_)
    return known


def _accepts(node: Node, ask: Ask, wanted: tuple[tuple[str, str], ...]) -> bool:
    constraints = ask.shape.constraints
    return (
        node.ready
        and (ask.limits.spot or not node.spot)
        and has_labels(node, wanted)
        and any_term(node, constraints.affinity.required)
        and intolerable(node, constraints.tolerations) is None
    )


def _able(fleet: Fleet, ask: Ask, request: Amounts) -> Mask:
    """Return which nodes could hold a run if they were empty, without those to avoid where another one is left."""
    able = matching(fleet, ask) & fits(fleet.capacity, request)
    preferred = able & ~_avoided(fleet, ask.shape.constraints)
    return preferred if preferred.any() else able


def _avoided(fleet: Fleet, constraints: Constraints) -> Mask:
    avoided = np.zeros(len(fleet), dtype=np.bool_)
    avoided[[fleet.place[name] for name in constraints.avoid if name in fleet.place]] = True
    return avoided


def _ties(nodes: NDArray[np.uint64], run: ExecutionId, seed: int) -> NDArray[np.uint64]:
    """Return a hash of run, node and seed for each node. Source: the finaliser of SplitMix64."""
    salt = np.array([(run.int ^ run.int >> 64 ^ seed * 0x9E3779B97F4A7C15) & (2**64 - 1)], dtype=np.uint64)
    mixed = (nodes ^ salt) * _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    return mixed ^ (mixed >> np.uint64(31))


def _best(total: NDArray[np.float64], ties: NDArray[np.uint64]) -> list[int]:
    """Return the positions of the best few, best first."""
    rounded = np.round(total, DIGITS)
    if len(total) > CANDIDATES:
        worst = np.partition(rounded, -CANDIDATES)[-CANDIDATES]
        near = np.flatnonzero(rounded >= worst)
    else:
        near = np.arange(len(total))
    order = np.lexsort((ties[near], -rounded[near]))[:CANDIDATES]
    return [int(i) for i in near[order]]


def _score(node: NodeName, total: float, row: NDArray[np.float64]) -> Score:
    free, utilisation, affinity, spot, balance = (round(float(term), DIGITS) for term in row)
    return Score(
        node=node,
        total=round(float(total), DIGITS),
        free=free,
        utilisation=utilisation,
        affinity=affinity,
        spot=spot,
        balance=balance,
    )
