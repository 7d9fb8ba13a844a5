"""The classes as arrays, one row a class, and what is remembered of them from pass to pass.

A row is `settled` when a pass found no node for its first run. After that only a node with more room than it had then
(`grown`) can change this, and all settled rows are compared with such nodes at once. What is remembered never changes
a decision, only what it costs.
"""

from collections.abc import Hashable
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from scheduler.admission.equivalence_classes import RunClass
from scheduler.placement.node_filter import matching
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.node_arrays import KINDS, Amounts, Mask, Numbers, vector
from scheduler.values.order import rank_number
from scheduler.values.pool import PoolSettings

NEVER = np.iinfo(np.int64).max
_ANY = np.iinfo(np.int64).min
"""Less than any node has: what is not asked for is not looked at."""


class OwnerNumbers:
    """Numbers for owners, by which arrays are indexed; number 0 is nobody."""

    def __init__(self) -> None:
        self.number: dict[UUID | None, int] = {None: 0}
        self.all: list[UUID | None] = [None]
        """By number."""
        self.full: Mask = np.zeros(64, dtype=np.bool_)
        """Who may start nothing more, whatever it asks for."""

    def of(self, owner: UUID | None) -> int:
        """Return the number of an owner, a new one if it has none."""
        number = self.number.get(owner)
        if number is None:
            number = self.number[owner] = len(self.all)
            self.all.append(owner)
            if number >= len(self.full):
                self.full = np.concatenate((self.full, np.zeros_like(self.full)))
        return number


class ClassArrays:
    """What the classes ask for. Only the first `size` of each array are in use, and of these those that are `live`."""

    def __init__(self, node_usage: NodeUsage, limits: PoolSettings) -> None:
        self.node_usage = node_usage
        self.limits = limits
        self.owners = OwnerNumbers()
        self.classes: list[RunClass | None] = []
        self.size = 0
        self._spare: list[int] = []
        self._kinds: dict[Hashable, int] = {}
        self._largest = [_ANY] * len(KINDS)
        """The largest amount that any row has asked for, by kind."""
        self.accepts: Mask = np.zeros((8, len(node_usage)), dtype=np.bool_)
        """Which nodes take runs of a kind (labels, taints) by everything but amounts. Shape: (kinds, nodes)."""
        self._all_accepted: Mask = np.ones(len(node_usage), dtype=np.bool_)
        """Which nodes take runs of every kind."""
        self._allocate(64)

    def _allocate(self, room: int) -> None:
        self.need: Amounts = np.full((len(KINDS), room), _ANY, dtype=np.int64)
        self.key: Amounts = np.full(room, NEVER, dtype=np.int64)
        self.soft: Numbers = np.zeros(room)
        self.hard: Numbers = np.zeros(room)
        self.kind: NDArray[np.intp] = np.zeros(room, dtype=np.intp)
        self.user: NDArray[np.intp] = np.zeros(room, dtype=np.intp)
        self.team: NDArray[np.intp] = np.zeros(room, dtype=np.intp)
        self.payer: NDArray[np.intp] = np.zeros(room, dtype=np.intp)
        self.live: Mask = np.zeros(room, dtype=np.bool_)
        self.settled: Mask = np.zeros(room, dtype=np.bool_)
        self.hopeless: Mask = np.zeros(room, dtype=np.bool_)
        self.aged: Mask = np.zeros(room, dtype=np.bool_)
        self.plain: Mask = np.zeros(room, dtype=np.bool_)
        self.named: Mask = np.zeros(room, dtype=np.bool_)
        """Whose runs ask for exclusive names."""

    def update(self, run_class: RunClass) -> None:
        """Take note of a class that is new, has another first run, or is empty."""
        if not run_class.runs:
            self._drop(run_class)
            return
        if run_class.row < 0:
            self._give_row(run_class)
        row, run = run_class.row, run_class.first
        self.key[row] = rank_number(run, self.limits, is_aged=run_class.aged)
        self.hard[row] = run.limit.total_seconds()
        self.soft[row] = (run.expected or run.limit).total_seconds()
        self.settled[row] = False

    def hits(self, column: int, node_usage: NodeUsage) -> Mask:
        """Return which rows would fit a node. A kind is not looked at of which the node has enough for every row."""
        size, free = self.size, node_usage.free[:, column].tolist()
        fit = self.need[0, :size] <= free[0]
        for kind in range(1, len(KINDS)):
            if self._largest[kind] > free[kind]:
                fit &= self.need[kind, :size] <= free[kind]
        if not self._all_accepted[column]:
            fit &= self.accepts[self.kind[:size], column]
        return np.asarray(fit, dtype=np.bool_)

    def _give_row(self, run_class: RunClass) -> None:
        row = run_class.row = self._spare.pop() if self._spare else self._next()
        self.classes[row] = run_class
        request = vector(run_class.ask.shape.resources)
        self.need[:, row] = asked = np.where(request > 0, request, _ANY)
        self._largest = [max(pair) for pair in zip(self._largest, asked.tolist(), strict=True)]
        self.kind[row] = self._kind(run_class)
        user, *team = run_class.owners[1:]
        self.user[row], self.team[row] = self.owners.of(user), self.owners.of(team[0] if team else None)
        self.payer[row] = self.owners.of(run_class.payer)
        self.live[row], self.aged[row] = True, run_class.aged
        self.plain[row], self.hopeless[row] = run_class.plain, False
        self.named[row] = bool(run_class.first.exclusive)

    def _drop(self, run_class: RunClass) -> None:
        row = run_class.row
        if row < 0:
            return
        run_class.row = -1
        self.classes[row] = None
        self.live[row], self.key[row] = False, NEVER
        self.need[:, row] = NEVER
        self._spare.append(row)

    def _next(self) -> int:
        row = self.size
        self.size += 1
        self.classes.append(None)
        if row >= len(self.key):
            self._grow()
        return row

    def _grow(self) -> None:
        old = {name: getattr(self, name) for name in _ARRAYS}
        room = len(self.key)
        self._allocate(2 * room)
        for name, array in old.items():
            getattr(self, name)[..., :room] = array

    def _kind(self, run_class: RunClass) -> int:
        constraints = run_class.ask.shape.constraints
        key = (constraints.node_selector, constraints.tolerations, constraints.affinity.required, constraints.backend)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = len(self._kinds)
            if kind >= len(self.accepts):
                self.accepts = np.concatenate((self.accepts, np.zeros_like(self.accepts)))
            self.accepts[kind] = matching(self.node_usage.node_table, run_class.ask)
            self._all_accepted = np.asarray(self.accepts[: kind + 1].all(axis=0), dtype=np.bool_)
        return kind


_ARRAYS = (
    "need",
    "key",
    "soft",
    "hard",
    "kind",
    "user",
    "team",
    "payer",
    "live",
    "settled",
    "hopeless",
    "aged",
    "plain",
    "named",
)
