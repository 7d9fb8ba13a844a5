"""Short ways to write events in tests."""

from pydantic import JsonValue

from events.event import Event, Offset, PartitionNumber, Topic


def event(kind: str, at: float = 0, *, offset: int = 0, partition: int = 0, **payload: JsonValue) -> Event:
    return Event(
        topic=Topic("orders"),
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
