"""Could the nodes hold what is asked for at all, if nothing else ran on them? Asked when it is submitted.

That they are busy, or shut to it by other runs, is no matter here: that passes.
"""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from model.ids import ExecutionId
from model.resources import Resources
from scheduler.placement.ask import Ask
from scheduler.placement.filter_reasons import filter_reason
from scheduler.placement.node_filter import fits
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.placement import choose
from scheduler.values.node_arrays import KINDS, vector
from scheduler.values.pool import PoolSettings
from scheduler.values.quota_limits import QuotaLimit, excess, most, oversize, pool_bound
from scheduler.values.reasons import Code, Reason, amount
from scheduler.values.run import Shape
from scheduler.values.usage_totals import need


def too_large(node_usage: NodeUsage, ask: Ask) -> dict[str, Reason]:
    """Return in which amounts (fields of `Resources`) a run is larger than every node, whatever its rules.

    Under the empty name: no amount alone is too large, but no single node has them all. Nodes that are not ready count.
    """
    resources = ask.shape.resources
    if not len(node_usage) or fits(node_usage.capacity, vector(resources)).any():
        return {}
    parts = {f.name: replace(Resources(), **{f.name: getattr(resources, f.name)}) for f in fields(Resources)}
    found = {name: _oversize(node_usage, replace(ask, shape=Shape(part))) for name, part in parts.items()}
    alone = {name: reason for name, reason in found.items() if reason is not None}
    whole = _oversize(node_usage, ask)
    return alone or ({"": whole} if whole else {})


def beyond_pool(limits: PoolSettings, ask: Ask) -> dict[str, Reason]:
    """Return in which amounts (fields of `Resources`) a run is larger than all that the pool may ever use at once."""
    pool, asked = pool_bound(most(limits.ceiling)), need(ask.shape.resources, ask.shape.constraints.slots)
    names = ("runs", *(f.name for f in fields(Resources)))
    too_much = [kind for kind in excess(pool, asked) if kind]  # a pool that runs none is only shut for now
    return {names[kind]: Reason(code=Code.TOO_LARGE, text=oversize(pool, kind, asked)) for kind in too_much}


def group_beyond_pool(limits: PoolSettings, asks: Sequence[Ask]) -> list[Reason]:
    """Return in which amounts runs that shall start together are beyond what the pool may ever have at once."""
    return group_beyond(pool_bound(most(limits.ceiling)), asks)


def group_beyond(bound: QuotaLimit, asks: Sequence[Ask]) -> list[Reason]:
    """Return in which amounts runs that shall start together are beyond what their owner may ever have at once."""
    needed = [need(ask.shape.resources, ask.shape.constraints.slots) for ask in asks]
    wanted = tuple(sum(amounts) for amounts in zip(*needed, strict=True))
    found = []
    for kind in excess(bound, wanted):
        text = oversize(bound, kind, wanted) if kind else f"start together; {bound.what} runs {bound.most[0]} at once"
        found.append(Reason(code=Code.TOO_LARGE, text=f"the {len(asks)} tests {text.replace('needs', 'need')}"))
    return found


def group_too_large(node_usage: NodeUsage, asks: Sequence[Ask]) -> Reason | None:
    """Return in which amount runs that shall start together exceed all nodes of the pool together; None if in none."""
    if not len(node_usage):
        return None
    wanted = sum((vector(ask.shape.resources) for ask in asks), np.zeros(len(KINDS), dtype=np.int64))
    for kind, asked, have in zip(KINDS, wanted.tolist(), node_usage.capacity.sum(axis=1).tolist(), strict=True):
        if asked > have:
            text = f"the {len(asks)} tests need {amount(kind, asked)} together; all nodes have {amount(kind, have)}"
            return Reason(code=Code.TOO_LARGE, text=text)
    return None


def group_impossible(node_usage: NodeUsage, members: Sequence[tuple[ExecutionId, Ask]]) -> Reason | None:
    """Return that not all runs of a group find room at once on empty nodes, as a pass would place them, one by one."""
    room = node_usage.copy()
    for number, (run, ask) in enumerate(members):
        placed = choose(room, ask, run)
        if not placed:
            text = f"on empty nodes only {number} of the {len(members)} tests find room at the same time"
            return Reason(code=Code.GROUP, text=text)
        room.take(placed[0].node, ask.shape.resources, labels=ask.labels or ())
    return None


def _oversize(node_usage: NodeUsage, ask: Ask) -> Reason | None:
    everywhere = np.ones(len(node_usage), dtype=np.bool_)
    reason = filter_reason(node_usage, everywhere, ask.shape, {}, ask.seeker)
    return reason if reason.code is Code.TOO_LARGE else None
