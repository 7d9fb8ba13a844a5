"""Which nodes the other runs leave to a run: kept apart from some of them, spread evenly among others.

As in Kubernetes a rule looks from the run that has it only: a later run that has no rule may come near. For a spread
the domains are those of the nodes that the run accepts, and runs count wherever in those domains they are.
"""

import numpy as np

from scheduler.placement.ask import Seeker
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.node_arrays import Amounts, Domains, Mask
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Apart, Labels, Spread


def left_by_others(node_usage: NodeUsage, seeker: Seeker, matching: Mask) -> Mask:
    """Return which nodes the rules leave; `matching` are those that accept the run by everything else but amounts."""
    left = np.ones(len(node_usage), dtype=np.bool_)
    for rule in seeker.constraints.apart:
        left &= ~_shared(node_usage, rule)
    for spread in seeker.constraints.spread:
        left &= _Balance(node_usage, spread, seeker.labels, matching).open
    return left


def closed(node_usage: NodeUsage, seeker: Seeker, matching: Mask, column: int) -> Reason:
    """Return which rule closes a node that would have room."""
    node = node_usage.nodes[column].name
    for rule in seeker.constraints.apart:
        if _shared(node_usage, rule)[column]:
            domains = node_usage.node_table.domains(rule.topology)
            number = int(_counts(node_usage, rule.topology, domains, rule.labels)[domains.of[column]])
            where = f"{rule.topology} {domains.names[domains.of[column]]}"
            text = f"node {node} has room, but {where} has {_runs(number, rule.labels)} to keep apart from"
            return Reason(code=Code.APART, text=text)
    balances = (_Balance(node_usage, spread, seeker.labels, matching) for spread in seeker.constraints.spread)
    text = next(balance.why(column) for balance in balances if not balance.open[column])
    return Reason(code=Code.SPREAD, text=f"node {node} has room, but {text}")


class _Balance:
    """How the runs of a spread stand in each domain, and which nodes may have one more."""

    def __init__(self, node_usage: NodeUsage, spread: Spread, labels: Labels | None, matching: Mask) -> None:
        self.spread = spread
        self.domains = domains = node_usage.node_table.domains(spread.topology)
        self.counts = _counts(node_usage, spread.topology, domains, spread.labels)
        reached = np.zeros(len(domains.names) + 1, dtype=np.bool_)
        reached[domains.of[matching]] = True  # nodes without the label: the last
        usable = reached[:-1].nonzero()[0]
        self.least = int(usable[self.counts[usable].argmin()]) if len(usable) else None
        self.lowest = 0 if self.least is None else int(self.counts[self.least])
        itself = labels is None or set(spread.labels).issubset(labels)
        fair = self.counts + itself - self.lowest <= spread.max_skew
        self.open: Mask = _nodes_of(domains, fair)

    def why(self, column: int) -> str:
        """Return why a node may not have one more."""
        domain = int(self.domains.of[column])
        if domain < 0 or self.least is None:
            return f"no label {self.spread.topology}, by which runs with {_named(self.spread.labels)} are spread"
        here = f"{self.spread.topology} {self.domains.names[domain]}"
        there = f"{self.domains.names[self.least]} only {self.lowest}"
        most = f"they may differ by {self.spread.max_skew} at most"
        return f"{here} has {_runs(int(self.counts[domain]), self.spread.labels)}, {there}; {most}"


def _shared(node_usage: NodeUsage, rule: Apart) -> Mask:
    """Return which nodes are in a domain with a run to keep apart from; without the label a node is in none."""
    domains = node_usage.node_table.domains(rule.topology)
    return _nodes_of(domains, _counts(node_usage, rule.topology, domains, rule.labels) > 0)


def _nodes_of(domains: Domains, chosen: Mask) -> Mask:
    """Return which nodes are in one of the chosen domains; what has no label is in none."""
    return np.append(chosen, np.False_)[domains.of]  # no label is -1, which is the last


def _counts(node_usage: NodeUsage, topology: str, domains: Domains, labels: Labels) -> Amounts:
    """Return how many runs with these labels each domain has."""
    return node_usage.label_counts.by_domain(topology, domains, labels)


def _runs(number: int, labels: Labels) -> str:
    return f"{number} {'run' if number == 1 else 'runs'} with {_named(labels)}"


def _named(labels: Labels) -> str:
    return ",".join(f"{key}={value}" for key, value in labels)
