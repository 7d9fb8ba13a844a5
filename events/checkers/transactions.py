"""Find the anomalies of transactions: reads of what was aborted or not committed yet, and cycles of writes."""

from collections.abc import Iterator
from itertools import pairwise

import networkx as nx

from events.checkers.history import EXCUSED, Anomaly, Kind, Log, Partition, Status, Value


def aborted_reads(log: Log) -> Iterator[Anomaly]:
    """Find reads of values whose operation failed (G1a)."""
    for operation in log.operations:
        if operation.status is not Status.FAIL:
            continue
        for send in operation.sends:
            reader = log.read[send.partition].get(send.value)
            if reader is not None:
                message = f"{send.value!r} was read, although its transaction was aborted"
                numbers = (operation.number, reader)
                yield Anomaly(kind=Kind.ABORTED_READ, partition=send.partition, message=message, operations=numbers)


def precommitted_reads(log: Log) -> Iterator[Anomaly]:
    """Find transactions that read what they themselves have sent, before they committed it."""
    for operation in log.operations:
        sent = {(send.partition, send.value) for send in operation.sends}
        read = [
            (partition, value)
            for poll in operation.polls
            for partition, records in poll.records.items()
            for _offset, value in records
        ]
        for partition, value in read:
            if (partition, value) in sent:
                message = f"the transaction read its own {value!r}"
                numbers = (operation.number,)
                yield Anomaly(kind=Kind.PRECOMMITTED_READ, partition=partition, message=message, operations=numbers)


def write_cycles(log: Log) -> Iterator[Anomaly]:
    """Find transactions whose writes follow each other in a circle (G0): one is first here, the other one there."""
    writers: dict[tuple[Partition, Value], int] = {
        (send.partition, send.value): operation.number
        for operation in log.operations
        if operation.status is not Status.FAIL
        for send in operation.sends
    }
    graph = nx.DiGraph()
    for partition, offsets in log.values.items():
        order = [writers.get((partition, min(values, key=str))) for _, values in sorted(offsets.items())]
        known = [number for number in order if number is not None]
        graph.add_edges_from((a, b) for a, b in pairwise(known) if a != b)
    for circle in nx.strongly_connected_components(graph):
        if len(circle) > 1:
            numbers = tuple(sorted(circle))
            message = f"the writes of {len(numbers)} transactions follow each other in a circle"
            excuse = EXCUSED[Kind.WRITE_CYCLE]
            yield Anomaly(kind=Kind.WRITE_CYCLE, partition="", message=message, operations=numbers, excuse=excuse)
