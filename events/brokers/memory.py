"""A broker in this process: for tests of code that uses the port, and for replays."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Condition
from zlib import crc32

from events.brokers.broker import BrokerError, Capability, Message, Place, TopicMissingError
from events.event import Offset, PartitionNumber, Record, Topic

LARGEST_MESSAGE = 1_048_576
"""In bytes: the limit that Kafka has by default."""
_Partition = tuple[Topic, PartitionNumber]


@dataclass(slots=True)
class _Group:
    """The offsets that a group has committed, and its members in the order in which they came."""

    committed: dict[_Partition, int] = field(default_factory=dict)
    members: list["MemorySubscription"] = field(default_factory=list)


class MemoryBroker:
    """Topics as lists. One condition guards everything; whoever changes something notifies all."""

    capabilities = frozenset({Capability.GROUPS, Capability.IDEMPOTENCE})
    servers = ""

    def __init__(self) -> None:
        self._changed = Condition()
        self._logs: dict[_Partition, list[Record]] = {}
        self._partitions: dict[Topic, int] = {}
        self._groups: dict[str, _Group] = {}
        self._sent = 0

    def create_topic(self, topic: Topic, partitions: int) -> None:
        """Make a topic with empty partitions, unless it exists."""
        if partitions < 1:
            raise BrokerError(f"the topic {topic!r} needs at least one partition")
        with self._changed:
            if topic not in self._partitions:
                self._partitions[topic] = partitions
                self._logs.update({(topic, PartitionNumber(n)): [] for n in range(partitions)})

    def subscribe(self, topics: Sequence[Topic], *, group_id: str | None = None) -> "MemorySubscription":
        """Return a reader that stands at the end of each partition, or at the offset that its group has committed."""
        with self._changed:
            for topic in topics:
                self._known(topic)
            partitions = [(topic, n) for topic, n in self._logs if topic in topics]
            group = None if group_id is None else self._groups.setdefault(group_id, _Group())
            reader = MemorySubscription(self, partitions, group)
            if group is not None:
                group.members.append(reader)
                self._rebalance(group)
            return reader

    def produce(self, message: Message) -> Place:
        """Append a message to its partition."""
        if len(message.value or b"") > LARGEST_MESSAGE:
            raise BrokerError(f"the message has {len(message.value or b'')} bytes, more than {LARGEST_MESSAGE}")
        with self._changed:
            place = message.topic, self._partition_of(message)
            if place not in self._logs:
                raise BrokerError(f"the topic {message.topic!r} has no partition {place[1]}")
            log = self._logs[place]
            log.append(
                Record(
                    topic=message.topic,
                    partition=place[1],
                    offset=Offset(len(log)),
                    key=message.key,
                    value=message.value,
                    headers=message.headers,
                    timestamp_ms=int(time.time_ns() // 1_000_000),
                )
            )
            self._changed.notify_all()
            return Place(topic=message.topic, partition=place[1], offset=Offset(len(log) - 1))

    def close(self) -> None:
        """Do nothing: there is nothing outside of this object."""

    def _known(self, topic: Topic) -> int:
        if topic not in self._partitions:
            raise TopicMissingError(topic)
        return self._partitions[topic]

    def _partition_of(self, message: Message) -> PartitionNumber:
        count = self._known(message.topic)
        if message.partition is not None:
            return message.partition
        if message.key is not None:
            return PartitionNumber(crc32(message.key) % count)
        self._sent += 1
        return PartitionNumber(self._sent % count)

    def _rebalance(self, group: _Group) -> None:
        """Deal the partitions of a group to its members in turn.

        Each begins at the committed offset, or where its reader has come to if that is later. Without either, at its
        end when its reader was made.
        """
        for number, member in enumerate(group.members):
            mine = [place for n, place in enumerate(sorted(member.wanted)) if n % len(group.members) == number]
            member.begin(mine, group.committed)
        self._changed.notify_all()


class MemorySubscription:
    """A reader of a broker in memory."""

    def __init__(self, broker: MemoryBroker, partitions: Sequence[_Partition], group: _Group | None) -> None:
        self.wanted = tuple(partitions)
        self.positions = {place: len(broker._logs[place]) for place in partitions}  # noqa: SLF001  its other half
        self._begun = dict(self.positions)
        self._before: dict[_Partition, int] = {}
        self._broker, self._group = broker, group
        self._changed = broker._changed  # noqa: SLF001
        self._taken_in = dict(self.positions)
        self._woken = self._closed = False

    def begin(self, places: Sequence[_Partition], committed: Mapping[_Partition, int]) -> None:
        """Read these partitions from now on."""
        own = self._before
        self.positions = {
            place: max(own[place], committed.get(place, 0))
            if place in own
            else committed.get(place, self._begun[place])
            for place in places
        }

    def poll(self, timeout: float) -> Sequence[Record]:
        """Return all records behind the position of each partition, waiting for the first one."""
        with self._changed:
            self._taken_in = dict(self.positions)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._woken or self._closed or self._waiting(), timeout)
            self._woken = False
            found: list[Record] = []
            for place, position in self.positions.items():
                log = self._broker._logs[place]  # noqa: SLF001
                found += log[position:]
                self.positions[place] = self._before[place] = len(log)
            return found

    def wake(self) -> None:
        """End a poll that waits."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def caught_up(self, timeout: float) -> bool:
        """Say whether all that is in the partitions now has been taken in."""
        with self._changed:
            if set(self.positions) != set(self.wanted):
                return False  # other members of the group read the rest
            ends = {place: len(self._broker._logs[place]) for place in self.positions}  # noqa: SLF001
            return self._changed.wait_for(
                lambda: all(self._taken_in.get(place, 0) >= end for place, end in ends.items()), timeout
            )

    def commit(self) -> None:
        """Note the positions for the group."""
        with self._changed:
            if self._group is not None:
                self._group.committed.update(self.positions)

    def close(self) -> None:
        """Leave the group, whose other members get the partitions."""
        with self._changed:
            if not self._closed and self._group is not None:
                self._group.members.remove(self)
                self._broker._rebalance(self._group)  # noqa: SLF001
            self._closed = True
            self.positions = {}
            self._changed.notify_all()

    def _waiting(self) -> bool:
        return any(len(self._broker._logs[place]) > position for place, position in self.positions.items())  # noqa: SLF001
