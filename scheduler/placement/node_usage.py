"""The nodes of a pool and how they are used, as arrays: one comparison looks at all nodes at once."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from model.ids import BackendName, NodeName
from model.resources import Resources
from scheduler.placement.label_counts import LabelCounts
from scheduler.values.node import Node
from scheduler.values.node_arrays import Amounts, Numbers, vector
from scheduler.values.node_table import NONE_UNSERVED, NodeTable
from scheduler.values.run import Labels
from scheduler.values.usage_totals import Demand

FEW = 10
"""Of so many nodes for each that changed, it is as quick to work out the load of all."""
_KINDS_OF_DEMAND = [1, 2, 3, 4, 0]
"""Where in a `Demand` the kinds of a node's amounts are: a run takes one place."""


class NodeUsage:
    """What is left of each node, and which labels the runs on it carry. Shape of the arrays: (kinds, nodes).

    `free` is below zero where more is promised than there is. `load` is the share of the capacity that is used, 1 at
    most, 0 of a kind that a node does not have. Equal `stamps` of a node mean equal use, in all copies: what was
    worked out for one is true of the others.
    """

    def __init__(self, nodes: Iterable[Node] = (), unserved: frozenset[BackendName] = NONE_UNSERVED) -> None:
        self.node_table = NodeTable(nodes, unserved)
        self.free: Amounts = self.node_table.capacity.copy()
        self.load: Numbers = np.zeros(self.free.shape)
        self.stamps: Amounts = np.zeros(len(self.node_table.nodes), dtype=np.int64)
        self.label_counts = LabelCounts()

    def __len__(self) -> int:
        return len(self.node_table.nodes)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, by name."""
        return self.node_table.nodes

    @property
    def place(self) -> dict[NodeName, int]:
        """In which column a node is."""
        return self.node_table.place

    @property
    def backends(self) -> frozenset[BackendName]:
        """The backends of all nodes."""
        return self.node_table.backends

    @property
    def capacity(self) -> Amounts:
        """What the nodes have."""
        return self.node_table.capacity

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """A number for each name, by which equal nodes are distinguished."""
        return self.node_table.hashes

    @property
    def used(self) -> Amounts:
        """What is in use of each node."""
        return self.node_table.capacity - self.free

    def backend_of(self, name: NodeName) -> BackendName:
        """Return the backend of a node."""
        return self.node_table.nodes[self.node_table.place[name]].backend

    def take(self, name: NodeName | None, resources: Resources, times: int = 1, labels: Labels = ()) -> None:
        """Count a run on a node, or off it with -1. A node that is gone holds nothing."""
        column = self.node_table.place.get(name) if name is not None else None
        if column is None:
            return
        node_table, free = self.node_table, self.free[:, column]
        free -= vector(resources) if times == 1 else times * vector(resources)
        self.load[:, column] = np.minimum((node_table.capacity[:, column] - free) * node_table.inverse[:, column], 1.0)
        self.stamps[column] = next(node_table.stamps)
        if labels:
            self.label_counts.count(labels, column, times)

    def take_all(self, columns: Sequence[int], demands: Sequence[Demand]) -> None:
        """Count many runs without labels at once, each on the node of its column."""
        at, table = list(columns), self.node_table
        np.subtract.at(self.free.T, at, np.array(demands, dtype=np.int64)[:, _KINDS_OF_DEMAND])
        if len(table.nodes) <= len(at) * FEW:
            np.minimum((table.capacity - self.free) * table.inverse, 1.0, out=self.load)
        else:
            used = table.capacity[:, at] - self.free[:, at]
            self.load[:, at] = np.minimum(used * table.inverse[:, at], 1.0)
        self.stamps[at] = list(islice(table.stamps, len(at)))

    def has_room(self, column: int, request: Amounts) -> bool:
        """Return whether one node has room. What is not asked for is not looked at."""
        return not bool(((request > self.free[:, column]) & (request > 0)).any())

    def emptied(self) -> "NodeUsage":
        """Return the same nodes with nothing on them."""
        twin = object.__new__(NodeUsage)
        twin.node_table, twin.stamps = self.node_table, np.zeros_like(self.stamps)
        twin.free, twin.load = self.node_table.capacity.copy(), np.zeros_like(self.load)
        twin.label_counts = LabelCounts()
        return twin

    def copy(self) -> "NodeUsage":
        """Return a copy whose use can be changed without changing this one's."""
        twin = object.__new__(NodeUsage)
        twin.node_table, twin.stamps = self.node_table, self.stamps.copy()
        twin.free, twin.load = self.free.copy(), self.load.copy()
        twin.label_counts = self.label_counts.copy()
        return twin
