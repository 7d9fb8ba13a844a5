"""What a pool's nodes are, however they are used: worked out once, shared by all fleets of the same nodes."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from typing import Generic, TypeVar

import numpy as np

from model.ids import BackendName
from scheduler.values.node import Node
from scheduler.values.node_arrays import KINDS, Amounts, Columns, Domains, Mask, Numbers

HOSTNAME = "kubernetes.io/hostname"
NO_KEYS: frozenset[str] = frozenset()
NONE_UNSERVED: frozenset[BackendName] = frozenset()
MEMORY = 2**25
"""Bytes that each memo of a pool may take."""

Kept = TypeVar("Kept")

np.empty(2**24, dtype=np.uint8)
# A C library gives large blocks back when they are freed, and asks for them anew page by page: 150 us for a copy of
# 5,000 nodes instead of 11. glibc keeps blocks up to the size of the largest that was ever freed: now that is 16 MB.


class Memo(Generic[Kept]):
    """Remembers so many entries. The oldest half goes when it is full; safe to share, an entry is never changed."""

    def __init__(self, most: int) -> None:
        self.most = max(16, most)
        self._entries: dict[Hashable, Kept] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Kept | None:
        """Return what was kept under a key."""
        return self._entries.get(key)

    def keep(self, key: Hashable, value: Kept) -> Kept:
        """Remember `value`, and return it."""
        if len(self._entries) >= self.most:
            for old in list(self._entries)[: self.most // 2]:
                self._entries.pop(old, None)
        self._entries[key] = value
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Nodes that are alike: one of each group, and to which group each node belongs."""

    first: Columns
    of: Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The scores of all nodes for one shape, as they were at `stamps`: points, and by how much the terms fall short.

    `able` are the nodes that may take it by everything but use, `bonus` are the points that do not change with use.
    """

    points: Numbers
    losses: Numbers
    stamps: Amounts
    able: Mask
    bonus: Numbers


class NodeTable:
    """Nodes by name, with their capacity. `inverse` is 1 / capacity, 0 of a kind that a node does not have.

    `unserved` are the backends without a live worker: nothing can be started on their nodes now.
    """

    def __init__(self, nodes: Iterable[Node], unserved: frozenset[BackendName] = NONE_UNSERVED) -> None:
        self.nodes = tuple(sorted(nodes, key=lambda node: node.name))
        self.place = {node.name: column for column, node in enumerate(self.nodes)}
        rows = np.array([_capacity(node) for node in self.nodes], dtype=np.int64)
        self.capacity: Amounts = np.ascontiguousarray(rows.T).reshape(len(KINDS), len(self.nodes))
        self.inverse: Numbers = np.where(self.capacity > 0, 1.0 / np.maximum(self.capacity, 1), 0.0)
        self.hashes = np.array([_hash(node.name) for node in self.nodes], dtype=np.uint64)
        self.spot: Mask = np.array([node.spot for node in self.nodes], dtype=np.bool_)
        self.real: Mask = np.array([not node.virtual for node in self.nodes], dtype=np.bool_)
        self.backends = frozenset(node.backend for node in self.nodes)
        self.served: Mask = np.array([node.backend not in unserved for node in self.nodes], dtype=np.bool_)
        self.all_served = bool(self.served.all())
        self.stamps = count(1)
        """Numbers of all changes of use, in all fleets of these nodes."""
        size = max(1, len(self.nodes))
        self.masks: Memo[Mask] = Memo(MEMORY // size)
        self.vectors: Memo[Numbers] = Memo(MEMORY // (8 * size))
        self.boards: Memo[Board] = Memo(MEMORY // (40 * size))
        self._asked: Memo[bool] = Memo(4096)
        self._groups: Memo[Groups] = Memo(256)
        self._domains: Memo[Domains] = Memo(64)

    def remember(self, key: Hashable, board: Board) -> Board:
        """Keep the scores of a shape from the second time on, so that shapes seen once push none out; return them."""
        if self._asked.get(key):
            return self.boards.keep(key, board)
        self._asked.keep(key, value=True)
        return board

    def groups(self, keys: frozenset[str]) -> Groups:
        """Return groups of nodes that no rule over these label keys, taints, readiness and spot can tell apart."""
        known = self._groups.get(keys)
        if known is not None:
            return known
        of = self.groups(NO_KEYS).of if keys else self._standing()
        for key in sorted(keys):
            values = _numbered([node.labels.get(key) for node in self.nodes])
            of = np.unique(of * (len(self.nodes) + 1) + values, return_inverse=True)[1]
        _, first, of = np.unique(of, return_index=True, return_inverse=True)
        return self._groups.keep(keys, Groups(first=first, of=of))

    def _standing(self) -> Columns:
        spot = self.spot.tolist()
        virtual = [node.backend if node.virtual else None for node in self.nodes]
        return _numbered(
            [(node.taints, node.ready, spot[column], virtual[column]) for column, node in enumerate(self.nodes)]
        )

    def domains(self, topology: str) -> Domains:
        """Return the domains of a node label. The host's name is each node's own, whether it has the label or not."""
        known = self._domains.get(topology)
        if known is not None:
            return known
        if topology == HOSTNAME:
            made = Domains(names=tuple(self.place), of=np.arange(len(self.nodes)))
        else:
            labels = [node.labels.get(topology) for node in self.nodes]
            names = tuple(sorted({label for label in labels if label is not None}))
            number: dict[str | None, int] = {name: index for index, name in enumerate(names)}
            made = Domains(names=names, of=np.array([number.get(label, -1) for label in labels], dtype=np.intp))
        return self._domains.keep(topology, made)


def _capacity(node: Node) -> tuple[int, int, int, int, int]:
    total = node.capacity
    return (total.cpu_milli, total.memory_bytes, total.ephemeral_bytes, total.gpu, node.pods)


def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest())


def _numbered(values: Iterable[Hashable]) -> Columns:
    """Return a number for each value, the same for equal ones."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.intp)
