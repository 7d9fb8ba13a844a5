"""Decode records into events: JSON or registered schemas, and CloudEvents in binary and structured form.

A record that cannot be decoded is an event too, a *poison* event. It is never dropped: an assertion can speak about it.

Source: CloudEvents 1.0.2, and its Kafka protocol binding (headers `ce_*`, content type `application/cloudevents+json`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import JsonValue

from events.event import Event, Milliseconds, Record
from events.json_text import read_json

if TYPE_CHECKING:
    from events.registry.wire_format import WireFormat

LARGEST_PAYLOAD = 5 * 1024 * 1024
"""A larger value is not decoded. Its event is poison; decoding it would stop all other assertions for seconds."""
_MAGIC = b"\0"
"""The first byte of a value with a registered schema. No JSON begins with it."""
_PREFIX = "ce_"
_STRUCTURED = "application/cloudevents"
_BATCH = "application/cloudevents-batch"
_SPECVERSION = "1.0"
_REQUIRED = ("id", "source", "type")
_PAYLOAD_KEYS = frozenset({"data", "data_base64"})
_TYPE_KEYS = ("type", "eventType", "event_type")
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class _Value:
    payload: JsonValue
    poison: str | None = None
    type: str = ""
    schema_id: int | None = None


def decode(record: Record, at: Milliseconds, wire: "WireFormat | None" = None) -> Event:
    """Return the event of a record that arrived at `at`. It never raises.

    `wire` reads values with a registered schema; it has fetched the schemas before.
    """
    headers = {key: _text(value) for key, value in record.headers if value is not None}
    value = _decode_value(record.value, wire)
    attributes, value = _cloudevent(headers, value)
    return Event(
        topic=record.topic,
        type=_type(attributes, headers, value.payload) or value.type,
        partition=record.partition,
        offset=record.offset,
        key=None if record.key is None else _text(record.key),
        payload=value.payload,
        headers=headers,
        attributes=attributes,
        timestamp_ms=record.timestamp_ms,
        at=at,
        poison=value.poison,
        schema_id=value.schema_id,
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _decode_value(value: bytes | None, wire: "WireFormat | None") -> _Value:
    """Return the payload of a value, or its beginning and why it cannot be read. A null value is a payload, null."""
    if value is None:
        return _Value(None)
    if len(value) > LARGEST_PAYLOAD:
        return _Value(_text(value[:_SHOWN]), f"the value has {len(value)} bytes, more than {LARGEST_PAYLOAD}")
    return _registered(value, wire) if value[:1] == _MAGIC else _json(value, wire)


def _json(value: bytes, wire: "WireFormat | None") -> _Value:
    try:
        return _Value(read_json(value.decode("utf-8")))
    except UnicodeDecodeError as error:
        reason = f"the value is not UTF-8: {error.reason} at byte {error.start}{_no_magic(value, wire)}"
        return _Value(_text(value[:_SHOWN]), reason)
    except ValueError as error:
        return _Value(_text(value[:_SHOWN]), f"the value is not JSON: {error}{_no_magic(value, wire)}")


def _registered(value: bytes, wire: "WireFormat | None") -> _Value:
    """Return the payload of a value that begins like one with a registered schema."""
    if wire is None:
        reason = "the value is not JSON; it begins with 0, as with a registered schema, and the test names no registry"
        return _Value(_text(value[:_SHOWN]), reason)
    try:
        found = wire.read(value)
    except ValueError as error:
        return _Value(_text(value[:_SHOWN]), str(error))
    return _Value(found.payload, type=found.type, schema_id=found.schema_id)


def _no_magic(value: bytes, wire: "WireFormat | None") -> str:
    """Return, as the end of a sentence, that a value has no registered schema either. Empty if none is expected."""
    return "" if wire is None else f"; nor has it a registered schema: it begins with 0x{value[:1].hex()}, not with 0"


def _cloudevent(headers: Mapping[str, str], value: _Value) -> tuple[Mapping[str, str], _Value]:
    """Return attributes and data of a CloudEvent. Of any other record, no attributes and its value."""
    content_type = (headers.get("content-type") or headers.get("Content-Type") or "").lower()
    structured = content_type.startswith(_STRUCTURED)
    if structured and isinstance(value.payload, dict) and value.poison is None:
        attributes, value = _unfold(value.payload)
    else:
        attributes = {key.removeprefix(_PREFIX): text for key, text in headers.items() if key.startswith(_PREFIX)}
    if value.poison is not None:
        return attributes, value
    wrong = ""
    if content_type.startswith(_BATCH):
        wrong = "it is a batch, which Kafka does not have: each event must be a message of its own"
    elif structured or "specversion" in attributes:
        wrong = _broken_attributes(attributes)
    return attributes, replace(value, poison=f"this is no CloudEvent: {wrong}") if wrong else value


def _broken_attributes(attributes: Mapping[str, str]) -> str:
    """Return what is wrong with the attributes that each CloudEvent has, empty if nothing is."""
    missing = [name for name in ("specversion", *_REQUIRED) if not attributes.get(name)]
    if missing:
        return f"{', '.join(missing)} is missing"
    version = attributes["specversion"]
    return "" if version == _SPECVERSION else f"its specversion is {version!r}, {_SPECVERSION!r} is wanted"


def _unfold(envelope: Mapping[str, JsonValue]) -> tuple[Mapping[str, str], _Value]:
    """Return attributes and data of a CloudEvent in structured form."""
    attributes = {key: _said(it) for key, it in envelope.items() if key not in _PAYLOAD_KEYS and it is not None}
    if "data_base64" in envelope:
        return attributes, _Value(envelope["data_base64"], "the data are binary (data_base64)")
    return attributes, _Value(envelope.get("data"))


def _said(value: JsonValue) -> str:
    """Return the value of an attribute in its canonical form."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _type(attributes: Mapping[str, str], headers: Mapping[str, str], payload: JsonValue) -> str:
    """Return the type: the CloudEvents attribute, else a header, else a key of the payload, else an empty string."""
    if "type" in attributes:
        return attributes["type"]
    for key in _TYPE_KEYS:
        if key in headers:
            return headers[key]
    if isinstance(payload, dict):
        for key in _TYPE_KEYS:
            if isinstance(said := payload.get(key), str):
                return said
    return ""
