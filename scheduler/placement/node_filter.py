"""Filter: which nodes accept a run by everything but their use, as in the filter phase of kube-scheduler."""

import numpy as np

from scheduler.placement.ask import Ask
from scheduler.placement.selectors import any_term, has_labels, intolerable, keys_of
from scheduler.values.node import Node
from scheduler.values.node_arrays import Amounts, Mask, vector
from scheduler.values.node_table import NodeTable
from scheduler.values.run import Constraints


def matching(node_table: NodeTable, ask: Ask) -> Mask:
    """Return which nodes a run accepts, and accept it, by everything but amounts and other runs.

    A live worker serves each of them.
    """
    accepted = accepting(node_table, ask)
    return accepted if node_table.all_served else accepted & node_table.served


def accepting(node_table: NodeTable, ask: Ask) -> Mask:
    """Return the same, with the nodes that no live worker serves.

    Nodes that no rule of the run can tell apart are looked at once.
    """
    wants, limits = ask.shape.constraints, ask.limits
    rules = (wants.node_selector, wants.tolerations, wants.affinity.required, wants.backend)
    key = (*rules, limits.default_selector, limits.spot)
    known = node_table.masks.get(key)
    if known is not None:
        return known
    wanted = tuple(ask.selector.items())
    groups = node_table.groups(keys_of(wants.affinity.required) | {key for key, _ in wanted})
    accepted = [_accepts(node_table.nodes[int(column)], ask, wanted) for column in groups.first]
    return node_table.masks.keep(key, np.array(accepted, dtype=np.bool_)[groups.of])


def able(node_table: NodeTable, ask: Ask) -> Mask:
    """Return which nodes a run would be placed on if they were empty, other runs aside.

    Nodes that it had better avoid are left out where another one is left.
    """
    large_enough = matching(node_table, ask) & fits(node_table.capacity, vector(ask.shape.resources))
    preferred = large_enough & ~_avoided(node_table, ask.shape.constraints)
    return preferred if preferred.any() else large_enough


def fits(free: Amounts, request: Amounts) -> Mask:
    """Return which nodes have room. What is not asked for is not looked at: a node may be overdrawn in it."""
    fitting = np.ones(free.shape[1], dtype=np.bool_)
    for kind, amount in enumerate(request.tolist()):
        if amount > 0:
            fitting &= free[kind] >= amount
    return fitting


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


def _avoided(node_table: NodeTable, constraints: Constraints) -> Mask:
    avoided = np.zeros(len(node_table.nodes), dtype=np.bool_)
    avoided[[node_table.place[name] for name in constraints.avoid if name in node_table.place]] = True
    return avoided
