"""Records that arrive together: by time between partitions, by offset within one."""

from events.arrival import in_order
from events.event import Offset, PartitionNumber, Record, Topic


def record(partition: int, offset: int, timestamp_ms: int | None) -> Record:
    return Record(
        topic=Topic("orders"), partition=PartitionNumber(partition), offset=Offset(offset), timestamp_ms=timestamp_ms
    )


def test_partitions_are_merged_by_time() -> None:
    batch = [record(1, 0, 20), record(1, 1, 40), record(0, 0, 10), record(0, 1, 30)]

    assert [(one.partition, one.timestamp_ms) for one in in_order(batch)] == [(0, 10), (1, 20), (0, 30), (1, 40)]


def test_offsets_count_more_than_the_clocks_of_producers() -> None:
    batch = [record(0, 0, 50), record(0, 1, 10), record(0, 2, None), record(1, 0, 20)]

    assert [(one.partition, one.offset) for one in in_order(batch)] == [(1, 0), (0, 0), (0, 1), (0, 2)]


def test_nothing_and_one_partition_stay_as_they_are() -> None:
    batch = [record(0, 0, 50), record(0, 1, 10)]

    assert (list(in_order([])), list(in_order(batch))) == ([], batch)
