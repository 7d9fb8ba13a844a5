"""Decode records into events: JSON payloads, and CloudEvents in binary and structured form.

A record that cannot be decoded is an event too, a *poison* event. It is never dropped: an assertion can speak about it.

Source: CloudEvents 1.0.2, and its Kafka protocol binding (headers `ce_*`, content type `application/cloudevents+json`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from events.event import Event, Milliseconds, Record

LARGEST_PAYLOAD = 5 * 1024 * 1024
"""A larger value is not decoded. Its event is poison; decoding it would stop all other assertions for seconds."""
_PREFIX = "ce_"
_STRUCTURED = "application/cloudevents"
_PAYLOAD_KEYS = frozenset({"data", "data_base64"})
_TYPE_KEYS = ("type", "eventType", "event_type")
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class _Value:
    payload: JsonValue
    poison: str | None = None


def decode(record: Record, at: Milliseconds) -> Event:
    """Return the event of a record that arrived at `at`. It never raises."""
    headers = {key: _text(value) for key, value in record.headers if value is not None}
    value = _decode_value(record.value)
    content_type = headers.get("content-type", "")
    if content_type.startswith(_STRUCTURED) and isinstance(value.payload, dict):
        attributes, value = _unfold(value.payload)
    else:
        attributes = {key.removeprefix(_PREFIX): text for key, text in headers.items() if key.startswith(_PREFIX)}
    return Event(
        topic=record.topic,
        type=_type(attributes, headers, value.payload),
        partition=record.partition,
        offset=record.offset,
        key=None if record.key is None else _text(record.key),
        payload=value.payload,
        headers=headers,
        attributes=attributes,
        timestamp_ms=record.timestamp_ms,
        at=at,
        poison=value.poison,
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _decode_value(value: bytes | None) -> _Value:
    """Return the payload of a value, or its beginning and why it is not JSON. A null value is a payload, null."""
    if value is None:
        return _Value(None)
    if len(value) > LARGEST_PAYLOAD:
        return _Value(_text(value[:_SHOWN]), f"the value has {len(value)} bytes, more than {LARGEST_PAYLOAD}")
    try:
        return _Value(json.loads(value.decode("utf-8")))
    except UnicodeDecodeError as error:
        return _Value(_text(value[:_SHOWN]), f"the value is not UTF-8: {error.reason} at byte {error.start}")
    except ValueError as error:
        return _Value(_text(value[:_SHOWN]), f"the value is not JSON: {error}")
    except RecursionError:
        return _Value(_text(value[:_SHOWN]), "the value is nested too deeply")


def _unfold(envelope: Mapping[str, JsonValue]) -> tuple[Mapping[str, str], _Value]:
    """Return attributes and data of a CloudEvent in structured form."""
    attributes = {key: str(text) for key, text in envelope.items() if key not in _PAYLOAD_KEYS and text is not None}
    if "data_base64" in envelope:
        return attributes, _Value(envelope["data_base64"], "the data are binary (data_base64)")
    return attributes, _Value(envelope.get("data"))


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
