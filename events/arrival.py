"""The order of records that arrive together.

A client hands out what several partitions hold one partition after the other, which says nothing about their order.
"""

from collections.abc import Iterator, Sequence
from heapq import merge

from events.event import PartitionNumber, Record, Topic


def in_order(records: Sequence[Record]) -> Sequence[Record]:
    """Return the records of one batch by their timestamps. Those of one partition keep their order, that of offsets."""
    partitions: dict[tuple[Topic, PartitionNumber], list[Record]] = {}
    for record in records:
        partitions.setdefault((record.topic, record.partition), []).append(record)
    if len(partitions) < 2:  # noqa: PLR2004  one partition is in order
        return records
    timed = (_rising(partitions[place]) for place in sorted(partitions))
    return [record for _, record in merge(*timed, key=lambda pair: pair[0])]


def _rising(records: Sequence[Record]) -> Iterator[tuple[int, Record]]:
    """Yield each record with its timestamp, or that of an earlier one if it is later: clocks of producers differ."""
    latest = 0
    for record in records:
        latest = max(latest, record.timestamp_ms or 0)
        yield latest, record
