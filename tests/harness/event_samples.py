"""Short ways to write events in tests."""

import json

from pydantic import JsonValue

from events.assertions.occurrences import EventAssertion
from events.brokers.broker import Broker, Message
from events.event import Event, Offset, PartitionNumber, Topic
from events.pattern import EventPattern

ORDERS = Topic("orders")


def event(kind: str, at: float = 0, *, offset: int = 0, partition: int = 0, **payload: JsonValue) -> Event:
    return Event(
        topic=ORDERS,
        type=kind,
        at=at,
        partition=PartitionNumber(partition),
        offset=Offset(offset),
        payload=payload,
    )


def stream(text: str, **payload: JsonValue) -> list[Event]:
    """Return events from text such as `Created@0 Paid@20`."""
    words = [word.split("@") for word in text.split()]
    return [event(kind, float(at), offset=number, **payload) for number, (kind, at) in enumerate(words)]


def message(kind: str, **payload: object) -> Message:
    return Message(topic=ORDERS, key=b"k", value=json.dumps({"type": kind, **payload}).encode())


def send(broker: Broker, *kinds: str) -> None:
    for kind in kinds:
        broker.produce(message(kind))


def expect(kind: str, **more: object) -> EventAssertion:
    return EventAssertion(name=kind, pattern=EventPattern(type=kind), **more)  # type: ignore[arg-type]
