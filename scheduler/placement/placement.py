"""Which node a run gets: filter, score, and 2 to 5 candidates; or which node is kept free for it.

Equal scores are decided by a seeded hash of run and node, so that admitters do not all herd onto the first node. The
scores of a shape are remembered: for the next run of that shape only the nodes are looked at whose use changed since.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.ids import ExecutionId, NodeName
from scheduler.placement.ask import Ask
from scheduler.placement.node_usage import Amounts, Mask, NodeUsage, vector
from scheduler.placement.score import Score, Weighing, fresh, renewed, scores
from scheduler.placement.selectors import any_term, has_labels, intolerable, keys_of
from scheduler.placement.topology_rules import left_by_others
from scheduler.values.node import Node
from scheduler.values.node_arrays import Columns, Numbers
from scheduler.values.node_table import Board
from scheduler.values.pool import PoolSettings
from scheduler.values.run import Constraints

Placed: TypeAlias = tuple[Score, ...]
MANY = 64
"""Where more nodes than these are equal, as in an empty pool, the best few are picked before they are sorted."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


def choose(node_usage: NodeUsage, ask: Ask, run: ExecutionId, only: int | None = None) -> Placed:
    """Return the best nodes for a run, best first; none where none will do. `only`: look at the node of that column."""
    board = _board(node_usage, ask)
    points = board.points
    if not ask.seeker.free:
        points = np.where(undisturbed(node_usage, ask), points, -np.inf)
    if only is not None:
        points = np.where(np.arange(len(node_usage)) == only, points, -np.inf)
    best = _best(node_usage, points, ask.limits, run)
    return scores(node_usage, board, best, ask.shape.constraints) if best else ()


def nominate(
    node_usage: NodeUsage, ask: Ask, run: ExecutionId, present: NodeName | None, left: NodeUsage | None = None
) -> NodeName | None:
    """Return the node to keep free for a run that fits nowhere now; None if it would not even fit an empty one.

    The one it has stays: a choice that moved about would let no node drain. Else the one that lacks least. `left` is
    what is kept for nobody yet, whatever runs there (None: all): a node that is kept twice drains for one of the two.
    Nodes that other runs close to it by anti-affinity or spread are left out: their draining would not help.
    """
    request = vector(ask.shape.resources)
    open_to = _able(node_usage, ask, request) & undisturbed(node_usage, ask)
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
    if ask.seeker.free:
        return np.ones(len(node_usage), dtype=np.bool_)
    return left_by_others(node_usage, ask.seeker, matching(node_usage, ask))


def fits(free: Amounts, request: Amounts) -> Mask:
    """Return which nodes have room. What is not asked for is not looked at: a node may be overdrawn in it."""
    needed = request > 0
    return np.asarray((free[needed] >= request[needed, None]).all(axis=0), dtype=np.bool_)


def able(node_usage: NodeUsage, ask: Ask) -> Mask:
    """Return which nodes a run would be placed on if they were empty, other runs aside."""
    return _able(node_usage, ask, vector(ask.shape.resources))


def matching(node_usage: NodeUsage, ask: Ask) -> Mask:
    """Return which nodes a run accepts, and accept it, by everything but amounts and other runs.

    A live worker serves each of them.
    """
    accepted = accepting(node_usage, ask)
    return accepted if node_usage.node_table.all_served else accepted & node_usage.node_table.served


def accepting(node_usage: NodeUsage, ask: Ask) -> Mask:
    """Return the same, with the nodes that no live worker serves.

    Nodes that no rule of the run can tell apart are looked at once.
    """
    wants, limits, node_table = ask.shape.constraints, ask.limits, node_usage.node_table
    rules = (wants.node_selector, wants.tolerations, wants.affinity.required, wants.backend)
    key = (*rules, limits.default_selector, limits.spot)
    known = node_table.masks.get(key)
    if known is not None:
        return known
    wanted = tuple(ask.selector.items())
    groups = node_table.groups(keys_of(wants.affinity.required) | {key for key, _ in wanted})
    accepted = [_accepts(node_table.nodes[int(column)], ask, wanted) for column in groups.first]
    return node_table.masks.keep(key, np.array(accepted, dtype=np.bool_)[groups.of])


def _accepts(node: Node, ask: Ask, wanted: tuple[tuple[str, str], ...]) -> bool:
    constraints = ask.shape.constraints
    if node.virtual or constraints.backend is not None:
        return node.virtual and node.backend == constraints.backend
    return (
        node.ready
        and (ask.limits.spot or not node.spot)
        and has_labels(node, wanted)
        and any_term(node, constraints.affinity.required)
        and intolerable(node, constraints.tolerations) is None
    )


def _able(node_usage: NodeUsage, ask: Ask, request: Amounts) -> Mask:
    """Return which nodes could hold a run if they were empty, without those to avoid where another one is left."""
    large_enough = matching(node_usage, ask) & fits(node_usage.capacity, request)
    preferred = large_enough & ~_avoided(node_usage, ask.shape.constraints)
    return preferred if preferred.any() else large_enough


def _avoided(node_usage: NodeUsage, constraints: Constraints) -> Mask:
    avoided = np.zeros(len(node_usage), dtype=np.bool_)
    avoided[[node_usage.place[name] for name in constraints.avoid if name in node_usage.place]] = True
    return avoided


def _board(node_usage: NodeUsage, ask: Ask) -> Board:
    """Return the scores of all nodes for a shape as they are now; remembered for all copies of the node usage."""
    shape, limits = ask.shape, ask.limits
    key = (shape, limits.profile, limits.target_utilisation, limits.default_selector, limits.spot)
    request = vector(shape.resources)
    how = Weighing(profile=limits.profile, target=limits.target_utilisation, constraints=shape.constraints)
    known = node_usage.node_table.boards.get(key)
    if known is None:
        open_to = _able(node_usage, ask, request) if shape.constraints.avoid else matching(node_usage, ask)
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
