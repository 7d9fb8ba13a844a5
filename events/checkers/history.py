"""The history of a log: what each client sent and read, in the order in which the operations ended.

An operation with several actions is a transaction. A value stands for one message, so values must be unique.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, TypeAlias

Process = NewType("Process", int)
Value: TypeAlias = int | str
Partition: TypeAlias = str
"""A topic and a number, such as `orders/0`."""


class Status(StrEnum):
    """How an operation ended."""

    OK = "ok"
    FAIL = "fail"
    """It certainly had no effect: an aborted transaction."""
    UNKNOWN = "unknown"
    """It may or may not have had an effect: no answer came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One message sent. `offset` is None if it was not told."""

    partition: Partition
    value: Value
    offset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What one poll returned, for each partition in its order: offsets and values."""

    records: Mapping[Partition, Sequence[tuple[int, Value]]] = field(default_factory=dict)


Action: TypeAlias = Send | Poll


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a process did at once. `number` is its place in the history.

    `rebalanced` are the partitions that were taken or given to the process while it did so.
    """

    number: int
    process: Process
    actions: tuple[Action, ...]
    status: Status = Status.OK
    rebalanced: frozenset[Partition] = frozenset()

    @property
    def sends(self) -> list[Send]:
        """Return what it sent."""
        return [action for action in self.actions if isinstance(action, Send)]

    @property
    def polls(self) -> list[Poll]:
        """Return what it read."""
        return [action for action in self.actions if isinstance(action, Poll)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebalance:
    """A process was given other partitions, so its position may have changed."""

    number: int
    process: Process


Entry: TypeAlias = Operation | Rebalance


class Kind(StrEnum):
    """The anomalies, by the names of the Kafka workload of Jepsen."""

    LOST_WRITE = "lost-write"
    DUPLICATE = "duplicate"
    UNSEEN = "unseen"
    INCONSISTENT_OFFSETS = "inconsistent-offsets"
    POLL_SKIP = "poll-skip"
    NONMONOTONIC_POLL = "nonmonotonic-poll"
    INT_POLL_SKIP = "int-poll-skip"
    INT_NONMONOTONIC_POLL = "int-nonmonotonic-poll"
    NONMONOTONIC_SEND = "nonmonotonic-send"
    INT_NONMONOTONIC_SEND = "int-nonmonotonic-send"
    INT_SEND_SKIP = "int-send-skip"
    ABORTED_READ = "G1a"
    PRECOMMITTED_READ = "precommitted-read"
    WRITE_CYCLE = "G0"


EXCUSED: Mapping[Kind, str] = {
    Kind.INT_SEND_SKIP: "Kafka interleaves the messages of transactions in a partition",
    Kind.WRITE_CYCLE: "Kafka orders the writes of transactions in each partition on its own",
}
"""Anomalies that Kafka's own model allows. They are told, and fail no check."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Anomaly:
    """One anomaly. `operations` are the numbers of those that show it; `excuse` says why it may be so."""

    kind: Kind
    partition: Partition
    message: str
    operations: tuple[int, ...] = ()
    excuse: str = ""


class Log:
    """What the whole history tells about each partition.

    `values` come from sends that must have been committed, and from all polls: also a transaction that fails is given
    only what is committed. `read` is what operations that ended well have read, with the number of the first one.
    `ranks` are the places of the known offsets. Offsets need not be contiguous: markers of transactions take some.
    """

    def __init__(self, history: Iterable[Entry]) -> None:
        self.entries = sorted(history, key=lambda entry: entry.number)
        self.operations = [entry for entry in self.entries if isinstance(entry, Operation)]
        self.values: dict[Partition, dict[int, set[Value]]] = defaultdict(lambda: defaultdict(set))
        self.read: dict[Partition, dict[Value, int]] = defaultdict(dict)
        for operation in self.operations:
            self._learn_reads(operation)
        for operation in self.operations:
            self._learn_sends(operation)
        self.offsets = {partition: _offsets(known) for partition, known in self.values.items()}
        self.ranks = {
            partition: {offset: rank for rank, offset in enumerate(sorted(offsets))}
            for partition, offsets in self.values.items()
        }

    def _learn_reads(self, operation: Operation) -> None:
        for poll in operation.polls:
            for partition, records in poll.records.items():
                for offset, value in records:
                    self.values[partition][offset].add(value)
                    if operation.status is Status.OK:
                        self.read[partition].setdefault(value, operation.number)

    def _learn_sends(self, operation: Operation) -> None:
        for send in operation.sends:
            if send.offset is not None and self.committed(operation):
                self.values[send.partition][send.offset].add(send.value)

    def committed(self, operation: Operation) -> bool:
        """Say whether what an operation sent must be there: it ended well, or one of its messages was read."""
        if operation.status is not Status.UNKNOWN:
            return operation.status is Status.OK
        return any(send.value in self.read[send.partition] for send in operation.sends)

    def place(self, send: Send) -> int | None:
        """Return the offset at which a message is in its partition, None if that is not known."""
        known = self.offsets.get(send.partition, {}).get(send.value, [])
        return send.offset if send.offset in known else next(iter(known), None)

    def read_up_to(self, partition: Partition) -> int:
        """Return the offset up to which everything should have been read, -1 if nothing was.

        It is the highest of the first offsets of the values that were read: a duplicate counts where it stands first.
        """
        known = self.offsets.get(partition, {})
        return max((known[value][0] for value in self.read[partition]), default=-1)

    def rank(self, partition: Partition, offset: int) -> int:
        """Return the place of a known offset among the known ones."""
        return self.ranks[partition][offset]


def _offsets(values: Mapping[int, set[Value]]) -> dict[Value, list[int]]:
    """Return the offsets of each value of a partition, in their order."""
    found: dict[Value, list[int]] = defaultdict(list)
    for offset in sorted(values):
        for value in values[offset]:
            found[value].append(offset)
    return found
