"""Which node a run gets: filter, score, and 2 to 5 candidates; or which node is kept free for it.

Equal scores are decided by a seeded hash of run and node, so that admitters do not all herd onto the first node. The
scores of a shape are remembered: for the next run of that shape only the nodes are looked at whose use changed since.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.ids import ExecutionId, NodeName
from scheduler.placement.ask import Ask
from scheduler.placement.node_filter import able, fits, matching
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.score import Score, Weighing, fresh, renewed, scores
from scheduler.placement.topology_rules import left_by_others
from scheduler.values.node_arrays import Columns, Mask, Numbers, vector
from scheduler.values.node_table import Board
from scheduler.values.pool import PoolSettings

Placed: TypeAlias = tuple[Score, ...]
MANY = 64
"""Of more nodes that are equal, as in an empty pool, the best few are picked before they are sorted. Of fewer it is
looked first whether any has room."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


def choose(node_usage: NodeUsage, ask: Ask, run: ExecutionId, only: int | None = None) -> Placed:
    """Return the best nodes for a run, best first; none where none will do. `only`: look at the node of that column."""
    if len(node_usage) <= MANY and not _some_fit(node_usage, ask):
        return ()
    board = _board(node_usage, ask)
    points = board.points
    if not ask.free:
        points = np.where(undisturbed(node_usage, ask), points, -np.inf)
    if only is not None:
        points = np.where(np.arange(len(node_usage)) == only, points, -np.inf)
    best = _best(node_usage, points, ask.limits, run)
    return scores(node_usage, board, best, ask.shape.constraints) if best else ()


def _some_fit(node_usage: NodeUsage, ask: Ask) -> bool:
    """Return whether any node has room. With few nodes this is quicker than to score them."""
    room = fits(node_usage.free, vector(ask.shape.resources))
    return bool((room & matching(node_usage.node_table, ask)).any())


def nominate(
    node_usage: NodeUsage, ask: Ask, run: ExecutionId, present: NodeName | None, left: NodeUsage | None = None
) -> NodeName | None:
    """Return the node to keep free for a run that fits nowhere now; None if it would not even fit an empty one.

    The one it has stays: a choice that moved about would let no node drain. Else the one that lacks least. `left` is
    what is kept for nobody yet, whatever runs there (None: all): a node that is kept twice drains for one of the two.
    Nodes that other runs close to it by anti-affinity or spread are left out: their draining would not help.
    """
    request = vector(ask.shape.resources)
    open_to = able(node_usage.node_table, ask) & undisturbed(node_usage, ask)
    if left is not None:
        open_to &= fits(left.free, request)
    column = node_usage.place.get(present) if present is not None else None
    if column is not None and open_to[column]:
        return present
    columns = np.flatnonzero(open_to)
    if not len(columns):
        return None
    points = np.full(len(node_usage), -np.inf)
    points[columns] = -lacking(node_usage, ask, columns)
    return node_usage.nodes[_best(node_usage, points, ask.limits, run)[0]].name


def lacking(node_usage: NodeUsage, ask: Ask, columns: Columns) -> Numbers:
    """Return what part of each of these nodes would have to be given back before it has room; 0 where it has."""
    request = vector(ask.shape.resources)[:, None]
    short = np.clip(request - node_usage.free[:, columns], 0, None) / np.maximum(node_usage.capacity[:, columns], 1)
    return np.asarray(short.max(axis=0).round(6))


def undisturbed(node_usage: NodeUsage, ask: Ask) -> Mask:
    """Return which nodes other runs leave to one by its rules about them."""
    if ask.free:
        return np.ones(len(node_usage), dtype=np.bool_)
    return left_by_others(node_usage, ask.seeker, matching(node_usage.node_table, ask))


def _board(node_usage: NodeUsage, ask: Ask) -> Board:
    """Return the scores of all nodes for a shape as they are now; remembered for all copies of the node usage."""
    shape, limits = ask.shape, ask.limits
    key = (shape, limits.profile, limits.target_utilisation, limits.default_selector, limits.spot)
    request = vector(shape.resources)
    how = Weighing(profile=limits.profile, target=limits.target_utilisation, constraints=shape.constraints)
    known = node_usage.node_table.boards.get(key)
    if known is None:
        open_to = able(node_usage.node_table, ask) if shape.constraints.avoid else matching(node_usage.node_table, ask)
        return node_usage.node_table.remember(key, fresh(node_usage, request, how, open_to))
    board = renewed(node_usage, request, how, known)
    return board if board is known else node_usage.node_table.boards.keep(key, board)


def _best(node_usage: NodeUsage, points: Numbers, limits: PoolSettings, run: ExecutionId) -> list[int]:
    """Return the columns of the best few, best first; none where all are minus infinity."""
    worst = _threshold(points, limits.candidates)
    if worst == -np.inf:
        return []
    near = (points >= worst).nonzero()[0]
    if len(near) == 1:
        return [int(near[0])]
    ties = _ties(node_usage.hashes[near], run, limits.seed)
    if len(near) > MANY:
        lowest = np.partition(ties, limits.candidates - 1)[limits.candidates - 1]
        among = (points[near] > worst) | (ties <= lowest)
        near, ties = near[among], ties[among]
    order = np.lexsort((near, ties, -points[near]))[: limits.candidates]
    return [int(column) for column in near[order]]


def _threshold(points: Numbers, most: int) -> float:
    """Return the points of the worst of the best few. A few looks for the largest are cheaper than a partition."""
    left = points.copy()
    worst = -np.inf
    for _ in range(min(most, len(left))):
        column = left.argmax()
        if left[column] == -np.inf:
            break
        worst = float(left[column])
        left[column] = -np.inf
    return worst


def _ties(nodes: NDArray[np.uint64], run: ExecutionId, seed: int) -> NDArray[np.uint64]:
    """Return a hash of run, node and seed for each node. Source: the finaliser of SplitMix64."""
    salt = np.uint64((run.int ^ run.int >> 64 ^ seed * 0x9E3779B97F4A7C15) & (2**64 - 1))
    mixed = (nodes ^ salt) * _GOLDEN
    mixed = (mixed ^ (mixed >> _S30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _S27)) * _MIX_2
    return mixed ^ (mixed >> _S31)
