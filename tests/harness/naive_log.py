"""The anomalies of the Kafka workload of Jepsen, a second time, as its source defines them: by values, not by offsets.

Source: jepsen/src/jepsen/tests/kafka.clj. Names in comments are those of its functions.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from events.checkers.history import Kind, Operation, Partition, Status, Value

Found = tuple[Kind, Partition]


class Jepsen:
    """The analysis of a history without rebalances."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations
        self.ok_reads: dict[Partition, set[Value]] = defaultdict(set)
        for one in operations:
            for partition, value in reads(one) if one.status is Status.OK else ():
                self.ok_reads[partition].add(value)
        self.logs: dict[Partition, dict[int, set[Value]]] = defaultdict(lambda: defaultdict(set))
        for one in operations:  # version-orders
            for partition, offset, value in [*self.committed_sends(one), *polled(one)]:
                self.logs[partition][offset].add(value)
        self.dense = {partition: [log[offset] for offset in sorted(log)] for partition, log in self.logs.items()}

    def committed_sends(self, one: Operation) -> list[tuple[Partition, int, Value]]:
        sends = one.sends if self.must_have_committed(one) else []
        return [(send.partition, send.offset, send.value) for send in sends if send.offset is not None]

    def must_have_committed(self, one: Operation) -> bool:
        return one.status is Status.OK or (
            one.status is Status.UNKNOWN and any(send.value in self.ok_reads[send.partition] for send in one.sends)
        )

    def indexes(self, partition: Partition, value: Value) -> list[int]:
        return [at for at, values in enumerate(self.dense.get(partition, [])) if value in values]

    def found(self) -> set[Found]:
        checks = (self.lost_writes, self.unseen, self.duplicates, self.inconsistent, self.g1a, self.precommitted)
        return {one for check in (*checks, self.polls, self.int_polls, self.sends, self.int_sends) for one in check()}

    def lost_writes(self) -> Iterator[Found]:
        for partition, values in self.ok_reads.items():
            bound = max((found[0] for value in values if (found := self.indexes(partition, value))), default=-1)
            for one in filter(self.must_have_committed, self.operations):
                for send in one.sends:
                    places = self.indexes(partition, send.value) if send.partition == partition else []
                    if places and places[-1] <= bound and send.value not in values:
                        yield Kind.LOST_WRITE, partition

    def unseen(self) -> Iterator[Found]:
        lost = set(self.lost_writes())
        for one in self.operations:
            for send in one.sends if one.status is Status.OK else ():
                if send.value not in self.ok_reads[send.partition] and (Kind.LOST_WRITE, send.partition) not in lost:
                    yield Kind.UNSEEN, send.partition

    def duplicates(self) -> Iterator[Found]:
        for partition, log in self.dense.items():
            values = [value for at in log for value in at]
            if len(values) != len(set(values)):
                yield Kind.DUPLICATE, partition

    def inconsistent(self) -> Iterator[Found]:
        for partition, log in self.dense.items():
            if any(len(values) > 1 for values in log):
                yield Kind.INCONSISTENT_OFFSETS, partition

    def g1a(self) -> Iterator[Found]:
        for one in self.operations:
            for send in one.sends if one.status is Status.FAIL else ():
                if send.value in self.ok_reads[send.partition]:
                    yield Kind.ABORTED_READ, send.partition

    def precommitted(self) -> Iterator[Found]:
        for one in self.operations:
            for send in one.sends:
                if (send.partition, send.value) in reads(one):
                    yield Kind.PRECOMMITTED_READ, send.partition

    def delta(self, partition: Partition, before: Value, after: Value) -> int:
        one, other = self.indexes(partition, before), self.indexes(partition, after)
        return other[0] - one[0] if one and other else 1

    def polls(self) -> Iterator[Found]:
        """poll-skip+nonmonotonic-cases-per-process: only what ended well moves the position."""
        last: dict[tuple[int, Partition], Value] = {}
        for one in self.operations:
            for partition, values in by_partition(reads(one)).items():
                key = one.process, partition
                if key in last:
                    step = self.delta(partition, last[key], values[0])
                    if step != 1:
                        yield Kind.POLL_SKIP if step > 1 else Kind.NONMONOTONIC_POLL, partition
                if one.status is Status.OK:
                    last[key] = values[-1]

    def int_polls(self) -> Iterator[Found]:
        for one in self.operations:
            yield from self.within(reads(one), Kind.INT_POLL_SKIP, Kind.INT_NONMONOTONIC_POLL)

    def sends(self) -> Iterator[Found]:
        last: dict[tuple[int, Partition], Value] = {}
        for one in self.operations:
            sent = [(send.partition, send.value) for send in one.sends if one.status is not Status.FAIL]
            for partition, values in by_partition(sent).items():
                key = one.process, partition
                if key in last and self.delta(partition, last[key], values[0]) < 1:
                    yield Kind.NONMONOTONIC_SEND, partition
                last[key] = values[-1]

    def int_sends(self) -> Iterator[Found]:
        for one in self.operations:
            sent = [(send.partition, send.value) for send in one.sends]
            yield from self.within(sent, Kind.INT_SEND_SKIP, Kind.INT_NONMONOTONIC_SEND)

    def within(self, pairs: list[tuple[Partition, Value]], skip: Kind, back: Kind) -> Iterator[Found]:
        for partition, values in by_partition(pairs).items():
            for before, after in pairwise(values):
                step = self.delta(partition, before, after)
                if step != 1:
                    yield skip if step > 1 else back, partition


def polled(one: Operation) -> list[tuple[Partition, int, Value]]:
    return [
        (partition, offset, value)
        for poll in one.polls
        for partition, pairs in poll.records.items()
        for offset, value in pairs
    ]


def reads(one: Operation) -> list[tuple[Partition, Value]]:
    return [(partition, value) for partition, _, value in polled(one)]


def by_partition(pairs: list[tuple[Partition, Value]]) -> dict[Partition, list[Value]]:
    found: dict[Partition, list[Value]] = defaultdict(list)
    for partition, value in pairs:
        found[partition].append(value)
    return found
