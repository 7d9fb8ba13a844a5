"""The event: one record of a topic, decoded once, and where and when it was seen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NewType, TypeAlias

from pydantic import JsonValue

Topic = NewType("Topic", str)
PartitionNumber = NewType("PartitionNumber", int)
Offset = NewType("Offset", int)
Milliseconds: TypeAlias = float
"""A moment or a duration on the clock of a test, which is 0 when its trigger fires."""

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]
"""Kafka allows a key more than once, and a value that is null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a broker delivers, as bytes. `timestamp_ms` is that of the broker, since the epoch."""

    topic: Topic
    partition: PartitionNumber = PartitionNumber(0)
    offset: Offset = Offset(0)
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Event:
    """A decoded record. It is identified by its place, not by what it says.

    `at` is the time of arrival on the clock of the test. It never decreases from event to event, so rules over time use
    it. `attributes` are those of CloudEvents. `poison` says why the payload could not be decoded; `payload` is then the
    text as far as it could be read.
    """

    topic: Topic
    type: str
    partition: PartitionNumber = PartitionNumber(0)
    offset: Offset = Offset(0)
    key: str | None = None
    payload: JsonValue = None
    headers: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    timestamp_ms: int | None = None
    at: Milliseconds = 0.0
    poison: str | None = None
    schema_id: int | None = None
    """The id of the registered schema that the payload was read by, if it has one."""

    @property
    def place(self) -> tuple[Topic, PartitionNumber, Offset]:
        """Return the topic, partition and offset, which no other event has."""
        return self.topic, self.partition, self.offset

    @property
    def aggregate_id(self) -> str | None:
        """Return what the event is about: the CloudEvents subject, else the key."""
        return self.attributes.get("subject", self.key)


def describe(event: Event) -> str:
    """Return one line that names an event for a person, such as `OrderPaid orders[0]@17 at 120 ms`."""
    return f"{event.type or '(no type)'} {event.topic}[{event.partition}]@{event.offset} at {event.at:.0f} ms"


def in_arrival_order(events: Iterable[Event]) -> Sequence[Event]:
    """Return events by time of arrival, then by place."""
    return sorted(events, key=lambda event: (event.at, event.place))
