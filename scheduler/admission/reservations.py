"""What a pass keeps free for runs that have waited for long, and until when others may use it.

A reservation binds a later run, unless that one ends before the run of the reservation could start at all (its shadow
time). For the first that is blocked this goes by what runs are expected to take (p90). What is kept for an aged run
binds all: those that run may end at any moment.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from model.claims import conflicting
from model.ids import ExecutionId, NodeName
from scheduler.admission.reservation import NO_TIME, Reservation, length
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.node_arrays import Amounts
from scheduler.values.run import Queued, Running
from scheduler.values.usage_totals import UsageTotals

MOST_RESERVED = 20
"""The bound of rule 6: nodes are reserved for so many runs or groups in one cycle, the first in order. A group counts
as one, since it is reserved for whole or not at all."""


class Reservations:
    """All reservations of a cycle so far; `room` is what the nodes have besides them.

    `room` is brought up to date when somebody asks for it: of many passes nobody does. Without any limit in the pool
    nobody asks for the sums either; then they are not `counted`.
    """

    def __init__(self, node_usage: NodeUsage, *, counted: bool = True) -> None:
        self.counted = counted
        self.all: list[Reservation] = []
        self.sums = UsageTotals()
        self.node_usage = node_usage
        self._room = node_usage
        self._behind: list[Reservation] = []
        """Those that are not taken off the room yet."""
        self._left: NodeUsage | None = None
        self._behind_left: list[Reservation] = []
        """Those that are not taken off what is left yet."""
        self.turns = 0
        """Runs and groups for which a node was sought to be kept free, whether one was found or not."""
        self.names: dict[str, ExecutionId] = {}
        self.pooled = False
        """Whether any of those waits for the pool's limit, not only for its node."""
        self._longest = {True: NO_TIME, False: NO_TIME}
        """For how long anything kept gives way at most; by firmness of the reservations."""

    def add(self, reservation: Reservation) -> None:
        """Keep something free."""
        if reservation.column >= 0:
            self._behind.append(reservation)
            self._behind_left.append(reservation)
        self.all.append(reservation)
        if self.counted:
            self.sums.add(reservation.owners, reservation.need)
        self._keep_claims(reservation.run)

    def add_all(self, again: Sequence[Reservation]) -> None:
        """Keep nodes free that another cycle kept free before, where no limit counts."""
        self._behind.extend(again)
        self._behind_left.extend(again)
        self.all.extend(again)
        for reservation in again:
            self._keep_claims(reservation.run)

    def _keep_claims(self, run: Queued) -> None:
        for entry in run.exclusive:
            self.names.setdefault(entry, run.execution_id)

    @property
    def left(self) -> NodeUsage | None:
        """What nodes that nothing runs on would have besides what is kept; None: all of it."""
        if self._behind_left:
            self._left = self.node_usage.emptied() if self._left is None else self._left
            _take_all(self._left, self._behind_left)
            self._behind_left = []
        return self._left

    def rivals(self, entry: str) -> Iterator[ExecutionId]:
        """Yield for which runs something is reserved that conflicts with an entry: the first of each other entry."""
        return (self.names[other] for other in conflicting(entry) if other in self.names)

    def has_all(self, entries: Iterable[str]) -> bool:
        """Return whether all these entries are reserved already, so that one more reservation adds nothing."""
        return all(entry in self.names for entry in entries)

    @property
    def exhausted(self) -> bool:
        """Whether nodes are sought for no more runs or groups in this cycle (rule 6)."""
        return self.turns >= MOST_RESERVED

    @property
    def room(self) -> NodeUsage:
        """What the nodes have besides all that is kept."""
        if self._behind:
            if self._room is self.node_usage:
                self._room = self.node_usage.copy()
            _take_all(self._room, self._behind)
            self._behind = []
        return self._room

    def take(self, node: NodeName, run: Queued, *, shared: bool) -> None:
        """Count a run that starts on a node; node usage that is `shared` is copied first."""
        single = self._room is self.node_usage
        if shared:
            self.node_usage = self.node_usage.copy()
        if single:
            self._room = self.node_usage
        for node_usage in (self.node_usage,) if single else (self.node_usage, self._room):
            node_usage.take(node, run.shape.resources, 1, run.labels)

    def give_way(self, reservation: Reservation, time: timedelta) -> None:
        """Let runs that take no longer than that use what is kept."""
        reservation.gives_way = time
        self._longest[reservation.firm] = max(self._longest[reservation.firm], time)

    def fork(self) -> "Reservations":
        """Return the same reservations, to be tried on without changing these."""
        room = self.room
        twin = Reservations(self.node_usage.copy(), counted=self.counted)
        twin._room = twin.node_usage if room is self.node_usage else room.copy()
        twin.all, twin.sums, twin.names = list(self.all), UsageTotals(self.sums), dict(self.names)
        twin._longest, twin.pooled = dict(self._longest), self.pooled
        twin._left, twin.turns = self.left, self.turns
        return twin

    def not_binding(self, run: Queued) -> list[Reservation]:
        """Return what is kept that a run may use, since it is gone in time."""
        if all(gap <= NO_TIME or gap < length(run, firm=firm) for firm, gap in self._longest.items()):
            return []
        return [reservation for reservation in self.all if not reservation.binds(run)]

    def sums_without(self, some: Sequence[Reservation]) -> UsageTotals:
        """Return what is kept of the sums, without some of it."""
        if not some or not self.counted:
            return self.sums
        sums = UsageTotals(self.sums)
        for reservation in some:
            sums.add(reservation.owners, reservation.need, -1)
        return sums

    def room_without(self, some: Sequence[Reservation]) -> NodeUsage:
        """Return what the nodes have besides what is kept, without some of that."""
        if not some:
            return self.room
        room = self.room.copy()
        for reservation in some:
            if reservation.column >= 0:
                self._take(room, reservation, -1)
        return room

    def seen_by(self, run: Queued) -> tuple[UsageTotals, NodeUsage]:
        """Return what is kept of the sums, and what nodes have, as far as it matters to a run."""
        some = self.not_binding(run)
        return self.sums_without(some), self.room_without(some)

    def on(self, column: int) -> list[Reservation]:
        """Return the reservations on a node."""
        return [reservation for reservation in self.all if reservation.column == column]

    @property
    def any_gives_way(self) -> bool:
        """Whether anything that is kept may be used by others for a time."""
        return self._longest[True] > NO_TIME or self._longest[False] > NO_TIME

    def longest(self, *, firm: bool) -> float:
        """Return for how many seconds a run may use something kept at most; below zero: nothing is."""
        return self._longest[firm].total_seconds() if self._longest[firm] > NO_TIME else -1.0

    def _take(self, room: NodeUsage, reservation: Reservation, times: int) -> None:
        room.take(room.nodes[reservation.column].name, reservation.run.shape.resources, times)


def _take_all(room: NodeUsage, some: Sequence[Reservation]) -> None:
    room.take_all([reservation.column for reservation in some], [reservation.need for reservation in some])


def remaining(run: Running, now: datetime, *, firm: bool) -> timedelta:
    """Return how long a run still counts for; nothing when that is over, or when nobody knows when it began."""
    if run.started_at is None:
        return NO_TIME
    return max(NO_TIME, run.started_at + length(run.queued, firm=firm) - now)


def shadow(free: Amounts, asked: Amounts, going: Iterable[tuple[timedelta, Amounts]]) -> timedelta | None:
    """Return when enough is free, as those go that hold it; None if it never is."""
    short = enumerate(zip(asked.tolist(), free.tolist(), strict=True))
    lacking = {kind: amount - have for kind, (amount, have) in short if amount > max(have, 0)}
    if not lacking:
        return NO_TIME
    for after, amounts in sorted(going, key=itemgetter(0)):
        lacking = {kind: lacks - amounts[kind] for kind, lacks in lacking.items()}
        if max(lacking.values()) <= 0:
            return after
    return None
