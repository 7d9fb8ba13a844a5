"""The nodes of a pool as arrays, one row a kind of resource, so that one comparison looks at all nodes at once."""

from collections.abc import Hashable, Iterable
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.ids import NodeName
from model.resources import Resources
from scheduler.node import Node

Amounts = NDArray[np.int64]
Mask = NDArray[np.bool_]

KINDS = ("CPU", "memory", "ephemeral storage", "GPUs", "places for pods")


def vector(resources: Resources) -> Amounts:
    """Return what one run takes of a node, in the order of `KINDS`: its amounts and one place."""
    return np.array(
        (resources.cpu_milli, resources.memory_bytes, resources.ephemeral_bytes, resources.gpu, 1), dtype=np.int64
    )


class Fleet:
    """Capacity and use of each node. Shape of both: (kinds, nodes). `memo` remembers what labels and taints decide."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes = tuple(sorted(nodes, key=lambda node: node.name))
        self.place = {node.name: column for column, node in enumerate(self.nodes)}
        shape = (len(KINDS), len(self.nodes))
        rows = np.array([_capacity(node) for node in self.nodes], dtype=np.int64)
        self.capacity: Amounts = np.ascontiguousarray(rows.T).reshape(shape)
        self.used: Amounts = np.zeros(shape, dtype=np.int64)
        self.hashes = np.array([_hash(node.name) for node in self.nodes], dtype=np.uint64)
        self.memo: dict[Hashable, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def free(self) -> Amounts:
        """What is left of each node; below zero where more is promised than there is."""
        return self.capacity - self.used

    def take(self, name: NodeName | None, resources: Resources, times: int = 1) -> None:
        """Count a run on a node, or off it with -1. A node that is gone holds nothing."""
        column = self.place.get(name) if name is not None else None
        if column is not None:
            self.used[:, column] += times * vector(resources)

    def copy(self) -> "Fleet":
        """Return a fleet with the same nodes whose use can be changed without changing this one's."""
        twin = object.__new__(Fleet)
        twin.nodes, twin.place, twin.capacity, twin.hashes = self.nodes, self.place, self.capacity, self.hashes
        twin.memo = self.memo
        twin.used = self.used.copy()
        return twin


def _capacity(node: Node) -> tuple[int, int, int, int, int]:
    total = node.capacity
    return (total.cpu_milli, total.memory_bytes, total.ephemeral_bytes, total.gpu, node.pods)


def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
