"""Find the anomalies of logs: lost, duplicate and misordered messages.

Offsets are never expected to be contiguous; everything is judged by values. Polls and sends of one process are compared
with their predecessors. After a rebalance a poll may begin anywhere, which is excused and told.

Source: the Kafka workload of Jepsen, whose definitions these are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from events.checkers.history import (
    EXCUSED,
    Anomaly,
    Entry,
    Kind,
    Log,
    Operation,
    Partition,
    Process,
    Rebalance,
    Status,
)
from events.checkers.transactions import aborted_reads, precommitted_reads, write_cycles

REBALANCED = "the process had been given other partitions"
_POLLS = (Kind.POLL_SKIP, Kind.NONMONOTONIC_POLL)
_POLLS_WITHIN = (Kind.INT_POLL_SKIP, Kind.INT_NONMONOTONIC_POLL)
_SENDS_WITHIN = (Kind.INT_SEND_SKIP, Kind.INT_NONMONOTONIC_SEND)
_NEXT = 1


def check_history(history: Iterable[Entry]) -> list[Anomaly]:
    """Return all anomalies of a history, also those that are excused, in order of kind and partition."""
    log = Log(history)
    checkers: list[Callable[[Log], Iterator[Anomaly]]] = [
        lost_and_unseen,
        duplicates,
        inconsistent_offsets,
        polls_of_processes,
        polls_within,
        sends_of_processes,
        sends_within,
        aborted_reads,
        precommitted_reads,
        write_cycles,
    ]
    return sorted(anomaly for checker in checkers for anomaly in checker(log))


def broken(anomalies: Iterable[Anomaly]) -> list[Anomaly]:
    """Return the anomalies that are not excused."""
    return [anomaly for anomaly in anomalies if not anomaly.excuse]


def lost_and_unseen(log: Log) -> Iterator[Anomaly]:
    """Find committed messages that nobody read.

    Lost: a later message of the partition was read. Unseen: it was acknowledged, and none of the messages behind it was
    read, so the readers may only have stopped too early.
    """
    bounds = {partition: log.read_up_to(partition) for partition in log.values}
    for operation in log.operations:
        if not log.committed(operation):
            continue
        for send in operation.sends:
            if send.value in log.read[send.partition]:
                continue
            offsets = log.offsets.get(send.partition, {}).get(send.value, [])
            lost = bool(offsets) and offsets[-1] <= bounds[send.partition]
            if lost or operation.status is Status.OK:
                reason = "was written and passed over" if lost else "was acknowledged and not read yet"
                where = f" at offset {offsets[-1]}" if offsets else ""
                yield Anomaly(
                    kind=Kind.LOST_WRITE if lost else Kind.UNSEEN,
                    partition=send.partition,
                    message=f"{send.value!r}{where} {reason}",
                    operations=(operation.number,),
                )


def duplicates(log: Log) -> Iterator[Anomaly]:
    """Find values at more than one offset."""
    for partition, places in log.offsets.items():
        for value, found in places.items():
            if len(found) > 1:
                message = f"{value!r} is at the offsets {', '.join(map(str, found))}"
                yield Anomaly(kind=Kind.DUPLICATE, partition=partition, message=message)


def inconsistent_offsets(log: Log) -> Iterator[Anomaly]:
    """Find offsets with more than one value."""
    for partition, offsets in log.values.items():
        for offset, values in offsets.items():
            if len(values) > 1:
                message = f"the offset {offset} has {' and '.join(sorted(map(repr, values)))}"
                yield Anomaly(kind=Kind.INCONSISTENT_OFFSETS, partition=partition, message=message)


def polls_of_processes(log: Log) -> Iterator[Anomaly]:
    """Compare each poll with the last one of its process in the same partition that ended well.

    After an operation that did not, a process reads again what it has read there.
    """
    last: dict[tuple[Process, Partition], tuple[int, int]] = {}
    moved: set[tuple[Process, Partition]] = set()
    for entry in log.entries:
        if isinstance(entry, Rebalance):
            moved |= {key for key in last if key[0] == entry.process}
            continue
        for partition, offsets in _read_by(entry).items():
            key = entry.process, partition
            if key in last:
                excuse = REBALANCED if key in moved else ""
                yield from _step(log, partition, (last[key], (offsets[0], entry.number)), (_POLLS, excuse))
            if entry.status is Status.OK:
                moved.discard(key)
                last[key] = offsets[-1], entry.number


def polls_within(log: Log) -> Iterator[Anomaly]:
    """Compare the records that one operation read with each other."""
    for operation in log.operations:
        for partition, offsets in _read_by(operation).items():
            for before, after in pairwise(offsets):
                step = (before, operation.number), (after, operation.number)
                excuse = REBALANCED if partition in operation.rebalanced else ""
                yield from _step(log, partition, step, (_POLLS_WITHIN, excuse))


def sends_of_processes(log: Log) -> Iterator[Anomaly]:
    """Compare each send with the last one of its process in the same partition. What failed is left out."""
    last: dict[tuple[Process, Partition], tuple[int | None, int]] = {}
    for operation in log.operations:
        if operation.status is Status.FAIL:
            continue
        for partition, offsets in _sent_by(operation, log).items():
            before, earlier = last.get((operation.process, partition), (None, 0))
            after = offsets[0]
            if before is not None and after is not None and log.rank(partition, after) <= log.rank(partition, before):
                message = f"after offset {before}, a message was sent to offset {after}"
                numbers = (earlier, operation.number)
                yield Anomaly(kind=Kind.NONMONOTONIC_SEND, partition=partition, message=message, operations=numbers)
            last[operation.process, partition] = offsets[-1], operation.number


def sends_within(log: Log) -> Iterator[Anomaly]:
    """Compare the sends of one operation with each other."""
    for operation in log.operations:
        for partition, offsets in _sent_by(operation, log).items():
            for before, after in pairwise(offsets):
                if before is not None and after is not None:
                    step = (before, operation.number), (after, operation.number)
                    yield from _step(log, partition, step, (_SENDS_WITHIN, ""))


def _step(
    log: Log,
    partition: Partition,
    step: tuple[tuple[int, int], tuple[int, int]],
    judged: tuple[tuple[Kind, Kind], str],
) -> Iterator[Anomaly]:
    """Return the anomaly of going from one offset to another: back, or past a known one. Each with its operation."""
    (before, earlier), (after, later) = step
    (skip, back), excuse = judged
    delta = log.rank(partition, after) - log.rank(partition, before)
    if delta == _NEXT:
        return
    kind = skip if delta > _NEXT else back
    way = f"passed over {delta - 1} messages" if delta > _NEXT else "went back"
    yield Anomaly(
        kind=kind,
        partition=partition,
        message=f"from offset {before} to {after} it {way}",
        operations=tuple(sorted({earlier, later})),
        excuse=excuse or EXCUSED.get(kind, ""),
    )


def _read_by(operation: Operation) -> dict[Partition, list[int]]:
    """Return the offsets that an operation read, in its order."""
    found: dict[Partition, list[int]] = defaultdict(list)
    for poll in operation.polls:
        for partition, records in poll.records.items():
            found[partition] += [offset for offset, _ in records]
    return {partition: offsets for partition, offsets in found.items() if offsets}


def _sent_by(operation: Operation, log: Log) -> dict[Partition, list[int | None]]:
    """Return the offsets of what an operation sent, in its order; None for those that are not known."""
    found: dict[Partition, list[int | None]] = defaultdict(list)
    for send in operation.sends:
        found[send.partition].append(log.place(send))
    return found
