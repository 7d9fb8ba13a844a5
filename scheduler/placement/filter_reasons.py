"""Why no node takes a run, with the numbers that its owner needs to change something."""

from collections.abc import Mapping

import numpy as np

from model.ids import EXPERIMENTS
from scheduler.placement.ask import Ask, Seeker
from scheduler.placement.node_filter import accepting, fits, matching
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.selectors import any_term, has_labels, intolerable, keys_of
from scheduler.placement.topology_rules import closed, left_by_others
from scheduler.values.node import Node
from scheduler.values.node_arrays import KINDS, Amounts, Mask, vector
from scheduler.values.reasons import Code, Reason, amount
from scheduler.values.run import Shape

LASTING = frozenset({Code.NO_MATCH, Code.TOO_LARGE})
"""What does not pass by itself. A pool without a node, or with none ready or served, only has to be waited for."""
NAMED = 3
"""Nodes that a reason names at most."""


def filter_reason(
    node_usage: NodeUsage, accepting: Mask, shape: Shape, selector: Mapping[str, str], seeker: Seeker
) -> Reason:
    """Return why none of the nodes takes a run now.

    `accepting` are the nodes that accept it by everything but amounts, other runs, and whether a live worker serves
    them. Where a node has room, but a rule about other runs closes it, that rule is the reason.
    """
    needs_none = shape.constraints.backend is not None
    if (reason := _experiments(node_usage, accepting, shape) if needs_none else _no_node(node_usage)) is not None:
        return reason
    if not accepting.any():
        return Reason(code=Code.NO_MATCH, text=_mismatch(node_usage, shape, selector))
    request = vector(shape.resources)
    large_enough = accepting & _room(node_usage.capacity, request)
    if not large_enough.any():
        return Reason(code=Code.TOO_LARGE, text=_too_large(node_usage.capacity[:, accepting], request))
    matching = accepting & node_usage.node_table.served
    able = np.flatnonzero(large_enough & matching)
    if not len(able):
        return Reason(code=Code.NOT_SERVED, text=_unserved(node_usage, large_enough))
    if not seeker.free:
        shut = matching & _room(node_usage.free, request) & ~left_by_others(node_usage, seeker, matching)
        if shut.any():
            return closed(node_usage, seeker, matching, int(shut.argmax()))
    return Reason(code=Code.BUSY, text=_busy(node_usage, able, request))


def why_nowhere(node_usage: NodeUsage, ask: Ask) -> Reason:
    """Return why none of the nodes takes a run now."""
    return filter_reason(node_usage, accepting(node_usage.node_table, ask), ask.shape, ask.selector, ask.seeker)


def lasting(node_usage: NodeUsage, ask: Ask) -> Reason | None:
    """Return why no node will ever take a run, as the nodes are; None if one would, or there is none yet."""
    reason = impossible(node_usage, ask)
    return reason if reason is not None and reason.code in LASTING else None


def impossible(node_usage: NodeUsage, ask: Ask) -> Reason | None:
    """Return why no node would take a run if all were empty, None if one would."""
    if (matching(node_usage.node_table, ask) & fits(node_usage.capacity, vector(ask.shape.resources))).any():
        return None
    return why_nowhere(node_usage, ask)


def _experiments(node_usage: NodeUsage, accepting: Mask, shape: Shape) -> Reason | None:
    """Return that the pool runs as many experiments as it may (rule 13)."""
    if shape.constraints.backend != EXPERIMENTS or not (accepting & node_usage.node_table.served).any():
        return None
    column = int(accepting.argmax())
    most, left = int(node_usage.capacity[-1, column]), int(node_usage.free[-1, column])
    text = f"the pool runs {most - left} of {most} experiments"
    if most:
        return Reason(code=Code.BUSY, text=text)
    return Reason(code=Code.TOO_LARGE, text=f"{text}: `assay pool set POOL --max-experiments N` lets it run some")


def _no_node(node_usage: NodeUsage) -> Reason | None:
    nodes = [node for node in node_usage.nodes if not node.virtual]
    if not nodes:
        return Reason(code=Code.NO_NODE, text="the pool has no node")
    if not any(node.ready for node in nodes):
        which = "the pool's only node is not" if len(nodes) == 1 else f"none of the pool's {len(nodes)} nodes is"
        return Reason(code=Code.NO_NODE, text=f"{which} ready")
    return None


def _room(amounts: Amounts, request: Amounts) -> Mask:
    needed = request > 0
    return np.asarray((amounts[needed] >= request[needed, None]).all(axis=0), dtype=np.bool_)


def _mismatch(node_usage: NodeUsage, shape: Shape, selector: Mapping[str, str]) -> str:
    """Count the nodes by the first rule that each of them breaks; of those that are alike one is looked at."""
    groups = node_usage.node_table.groups(keys_of(shape.constraints.affinity.required) | frozenset(selector))
    counts: dict[str, int] = {}
    for column, number in sorted(zip(groups.first.tolist(), np.bincount(groups.of).tolist(), strict=True)):
        if node_usage.nodes[column].virtual:
            continue
        rule = _broken_rule(node_usage.nodes[column], shape, selector)
        counts[rule] = counts.get(rule, 0) + number
    return f"no node matches: of {sum(counts.values())}, " + ", ".join(
        f"{number} {rule}" for rule, number in counts.items()
    )


def _broken_rule(node: Node, shape: Shape, selector: Mapping[str, str]) -> str:
    if not node.ready:
        return "not ready"
    missing = [f"{key}={value}" for key, value in selector.items() if not has_labels(node, [(key, value)])]
    if missing:
        return f"without label {missing[0]}"
    if not any_term(node, shape.constraints.affinity.required):
        return "outside the required node affinity"
    taint = intolerable(node, shape.constraints.tolerations)
    return f"with taint {taint}" if taint else "on spot, which the pool does not use"


def _unserved(node_usage: NodeUsage, nodes: Mask) -> str:
    """Name nodes that would take the run if a live worker served them."""
    names = [node_usage.nodes[column].name for column in np.flatnonzero(nodes).tolist()]
    if len(names) == 1:
        what = "backend" if node_usage.nodes[int(nodes.argmax())].virtual else "node"
        return f"no live worker serves {what} {names[0]}"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"no live worker serves the nodes {', '.join(names[:NAMED])}{more}"


def _too_large(capacity: Amounts, request: Amounts) -> str:
    largest = capacity.max(axis=1)
    for kind, need, most in zip(KINDS, request.tolist(), largest.tolist(), strict=True):
        if need > most:
            return f"needs {amount(kind, need)}; the largest node has {amount(kind, most)}"
    return f"needs {_asked(request)} on one node; no single node has all of it"


def _busy(node_usage: NodeUsage, able: np.ndarray[tuple[int], np.dtype[np.intp]], request: Amounts) -> str:
    free = node_usage.free[:, able]
    lacking = (np.clip(request[:, None] - free, 0, None) / np.maximum(node_usage.capacity[:, able], 1)).max(axis=0)
    nearest = int(lacking.argmin())
    short = [
        (kind, need, have)
        for kind, need, have in zip(KINDS, request.tolist(), free[:, nearest].tolist(), strict=True)
        if need > have
    ]
    needs = " and ".join(amount(kind, need) for kind, need, _ in short)
    has = " and ".join(amount(kind, have) for kind, _, have in short)
    return f"needs {needs}; node {node_usage.nodes[int(able[nearest])].name} has {has} free"


def _asked(request: Amounts) -> str:
    asked = [amount(kind, need) for kind, need in zip(KINDS[:-1], request.tolist()[:-1], strict=True) if need]
    return " and ".join(asked)
