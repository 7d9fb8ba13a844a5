"""How well a node suits a run: five terms, each from 0 to 1, weighted and kept (D9).

    free         what is left of the scarcest resource once the run is there
    utilisation  how near the node then is to the target utilisation
    affinity     how much of the preferred affinity it has; halved where it would rather not have the run
    spot         1 on a spot node, which is cheaper, 0.5 elsewhere
    balance      how evenly CPU and memory are then used

The profile `original` is kept for comparison: its first term is unbounded, and it looks at the node before the run is
placed. All arithmetic is element by element, so that a node gets the same score alone, by numbers of Python's own, as
among all others, by arrays: where one node has changed, numbers are quicker.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from model.ids import NodeName
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.selectors import keys_of, term_holds, unwelcome
from scheduler.values.node_arrays import Amounts, Mask, Numbers
from scheduler.values.node_table import Board, NodeTable
from scheduler.values.pool import Profile
from scheduler.values.run import Constraints

CPU, MEMORY = 0, 1
DIGITS = 6
"""Scores that agree to this many digits are equal."""
POINTS = 10.0**DIGITS
FEW = 4
"""Of so many nodes each is scored by itself more quickly than all of them by arrays."""

Amount = TypeVar("Amount", float, Numbers)
"""Of one node, or of all."""


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


def fresh(node_usage: NodeUsage, request: Amounts, how: Weighing, able: Mask) -> Board:
    """Return the scores of all nodes for one shape."""
    node_table, bonus = node_usage.node_table, _bonus(node_usage.node_table, how)
    use = _Use(free=node_usage.free, load=node_usage.load, inverse=node_table.inverse, able=able, bonus=bonus)
    losses, points = _scored(use, request, how)
    return Board(points=points, losses=losses, stamps=node_usage.stamps.copy(), able=able, bonus=bonus)


def renewed(node_usage: NodeUsage, request: Amounts, how: Weighing, board: Board) -> Board:
    """Return the scores after some nodes changed: only those are looked at again."""
    stale = (node_usage.stamps != board.stamps).nonzero()[0]
    if not len(stale):
        return board
    if len(stale) <= FEW and how.profile.bounded:
        return _rescored(node_usage, request, how, board, stale.tolist())
    if 4 * len(stale) > len(node_usage):
        return fresh(node_usage, request, how, board.able)
    use = _Use(
        free=node_usage.free.take(stale, axis=1),
        load=node_usage.load.take(stale, axis=1),
        inverse=node_usage.node_table.inverse.take(stale, axis=1),
        able=board.able[stale],
        bonus=board.bonus[stale],
    )
    losses, points = board.losses.copy(), board.points.copy()
    losses[:, stale], points[stale] = _scored(use, request, how)
    return Board(points=points, losses=losses, stamps=node_usage.stamps.copy(), able=board.able, bonus=board.bonus)


def _rescored(node_usage: NodeUsage, request: Amounts, how: Weighing, board: Board, columns: list[int]) -> Board:
    """Return the scores after a few nodes changed, each scored by itself."""
    asked, weights = _asked(request), _weights(how.profile)
    losses, points = board.losses.copy(), board.points.copy()
    for column in columns:
        shares = _shares(node_usage.load[:, column].tolist(), node_usage.node_table.inverse[:, column].tolist(), asked)
        terms = losses[:, column] = _losses(shares, how.target, max)
        free = node_usage.free[:, column].tolist()
        fitting = board.able[column] and all(free[kind] >= amount for kind, amount in asked)
        points[column] = round(_points(terms, float(board.bonus[column]), weights)) if fitting else -np.inf
    return Board(points=points, losses=losses, stamps=node_usage.stamps.copy(), able=board.able, bonus=board.bonus)


def scores(node_usage: NodeUsage, board: Board, columns: list[int], constraints: Constraints) -> tuple[Score, ...]:
    """Return the scores of some nodes, term by term."""
    node_table, affinity = node_usage.node_table, preference(node_usage.node_table, constraints)
    terms = np.rint((1.0 - board.losses.take(columns, axis=1)) * POINTS) + 0.0  # no minus zero
    free, utilisation, balance = terms.tolist()
    return tuple(
        Score(
            node=node_table.nodes[column].name,
            total=float(board.points[column]) / POINTS,
            free=free[i] / POINTS,
            utilisation=utilisation[i] / POINTS,
            affinity=round(float(affinity[column]), DIGITS),
            spot=1.0 if node_table.spot[column] else 0.5,
            balance=balance[i] / POINTS,
        )
        for i, column in enumerate(columns)
    )


def preference(node_table: NodeTable, constraints: Constraints) -> Numbers:
    """Return the affinity of all nodes, which does not change with their use."""
    key = (constraints.affinity.preferred, constraints.tolerations)
    known = node_table.vectors.get(key)
    if known is not None:
        return known
    preferred = constraints.affinity.preferred
    groups = node_table.groups(keys_of(p.preference for p in preferred))
    values = [_affinity(node_table, int(column), constraints) for column in groups.first]
    return node_table.vectors.keep(key, np.array(values, dtype=np.float64)[groups.of])


def _affinity(node_table: NodeTable, column: int, constraints: Constraints) -> float:
    node, preferred = node_table.nodes[column], constraints.affinity.preferred
    held = sum(p.weight for p in preferred if term_holds(node.labels, p.preference))
    share = held / sum(p.weight for p in preferred) if preferred else 1.0
    return share / 2 if unwelcome(node, constraints.tolerations) else share


def _bonus(node_table: NodeTable, how: Weighing) -> Numbers:
    """Return the points of each node if it lost nothing by its use: what affinity and spot add, and the full terms."""
    constraints = how.constraints
    key = ("bonus", how.profile, constraints.affinity.preferred, constraints.tolerations)
    known = node_table.vectors.get(key)
    if known is not None:
        return known
    weights = _weights(how.profile)
    full = weights.utilisation + weights.balance - min(0.0, weights.free)
    liked = weights.affinity * preference(node_table, constraints) + weights.spot * np.where(node_table.spot, 1.0, 0.5)
    return node_table.vectors.keep(key, liked + full)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """All nodes, or some: what is left and used of them. Shape of the first three: (kinds, nodes)."""

    free: Amounts
    load: Numbers
    inverse: Numbers
    able: Mask
    bonus: Numbers


def _scored(use: _Use, request: Amounts, how: Weighing) -> tuple[Numbers, Numbers]:
    """Return by how much free, utilisation and balance fall short of 1, and points: whole numbers.

    A node that cannot take the run, or has no room, has minus infinity. What is not asked for may be overdrawn.
    """
    asked = _asked(request)
    if how.profile.bounded:
        load, inverse = _rows(use.load), _rows(use.inverse)
        losses = np.array(_losses(_shares(load, inverse, asked), how.target, np.maximum))
    else:
        losses = _original(use, request, how.target)
    points = _points(_rows(losses), use.bonus, _weights(how.profile))
    np.rint(points, out=points)
    fitting = use.able.copy()
    for kind, amount in asked:
        fitting &= use.free[kind] >= amount
    np.copyto(points, -np.inf, where=~fitting)
    return losses, points


def _rows(numbers: Numbers) -> list[Numbers]:
    return list(numbers)


def _asked(request: Amounts) -> list[tuple[int, int]]:
    """Return the kinds that are asked for, with their amounts."""
    return [(kind, amount) for kind, amount in enumerate(request.tolist()) if amount]


def _shares(load: Sequence[Amount], inverse: Sequence[Amount], asked: list[tuple[int, int]]) -> list[Amount]:
    """Return which part of each kind is used once the run is there."""
    shares = list(load)
    for kind, amount in asked:
        shares[kind] = inverse[kind] * float(amount) + shares[kind]
    return shares


def _losses(
    shares: Sequence[Amount], target: float, larger: Callable[[Amount, Amount], Amount]
) -> tuple[Amount, Amount, Amount]:
    """Return by how much free, utilisation and balance fall short of 1."""
    cpu, memory = shares[CPU], shares[MEMORY]
    scarcest = larger(cpu, memory)
    for share in shares[MEMORY + 1 :]:
        scarcest = larger(scarcest, share)
    return scarcest, abs(cpu + memory - 2 * target) * (0.5 / max(target, 1 - target)), abs(cpu - memory)


def _points(losses: Sequence[Amount], bonus: Amount, weights: "_Weights") -> Amount:
    """Return the points that are left."""
    return losses[0] * weights.free + bonus - losses[1] * weights.utilisation - losses[2] * weights.balance


def _original(use: _Use, request: Amounts, target: float) -> Numbers:
    """Return the same three as the original design has them: before the run is there, and without balance."""
    share, asked = use.load[:2], request[:2, None]
    headroom = np.where(asked > 0, use.free[:2] / np.maximum(asked, 1), 1.0)
    losses = np.ones((3, share.shape[1]))
    losses[0] = 1.0 - headroom.min(axis=0)
    losses[1] = np.abs((share[CPU] + share[MEMORY]) * 0.5 - target)
    return losses


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    """Of the terms, in points. What is lost of `free` counts for a node where runs are packed."""

    free: float
    utilisation: float
    affinity: float
    spot: float
    balance: float


@lru_cache
def _weights(profile: Profile) -> _Weights:
    whole = sum(profile.weights) if profile.bounded else 1.0
    free, utilisation, affinity, spot, balance = (POINTS * weight / whole for weight in profile.weights)
    sign = 1 if profile.packing else -1
    return _Weights(free=sign * free, utilisation=utilisation, affinity=affinity, spot=spot, balance=balance)
