"""Place a run, or say why that is not possible."""

from model.ids import ExecutionId
from scheduler.placement.ask import Ask
from scheduler.placement.filter_reasons import why_nowhere
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.placement import Placed, choose
from scheduler.values.reasons import Reason


def place(node_usage: NodeUsage, ask: Ask, run: ExecutionId) -> Placed | Reason:
    """Return the best nodes for a run, best first, or why none will do."""
    return choose(node_usage, ask, run) or why_nowhere(node_usage, ask)
