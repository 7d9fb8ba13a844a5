"""Evaluate JMESPath expressions on events.

An expression starts in the payload. `event.` is the whole event, anywhere in it: `event.key`, `event.headers.tenant`,
`amount > `5` && event.topic == 'orders'`. A plain dotted path such as `order.id` is followed directly, which is many
times faster than the library and gives the same value.
"""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from pydantic import JsonValue

from events.event import Event

Path: TypeAlias = Callable[[Event], JsonValue]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_WHOLE = "event."
_NAMES_WHOLE = re.compile(r"""(?<![\w."'`])event\s*\.""")


def compile_path(expression: str) -> Path:
    """Return what evaluates an expression on an event. Raises: ValueError if it is not JMESPath."""
    if expression.startswith(_WHOLE) and _PLAIN.fullmatch(expression):
        whole = _compile(expression.removeprefix(_WHOLE))
        return lambda event: whole(as_json(event))
    inner = _compile(expression)
    if _NAMES_WHOLE.search(expression):
        return lambda event: inner(_with_whole(event))
    return lambda event: inner(event.payload)


def check_expression(expression: str) -> None:
    """Raise: ValueError if an expression on plain JSON is not JMESPath."""
    _compile(expression)


def as_json(event: Event) -> JsonValue:
    """Return an event as an object, for expressions and recordings."""
    return {
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
        "type": event.type,
        "key": event.key,
        "payload": event.payload,
        "headers": dict(event.headers),
        "attributes": dict(event.attributes),
        "timestamp_ms": event.timestamp_ms,
        "at": event.at,
        "poison": event.poison,
        "schema_id": event.schema_id,
    }


def _with_whole(event: Event) -> JsonValue:
    """Return the payload with the whole event under the key `event`."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    return {**payload, "event": as_json(event)}


def truth(value: JsonValue) -> bool:
    """Say whether a value counts as true in JMESPath: not null, false, empty text, list or object. Zero is true."""
    return value is not None and value is not False and value not in ("", [], {})


def _compile(expression: str) -> Callable[[JsonValue], Any]:
    if _PLAIN.fullmatch(expression):
        return _follow(expression.split("."))
    try:
        compiled = jmespath.compile(expression)
    except JMESPathError as error:
        raise ValueError(f"{expression!r} is not a JMESPath expression: {error}") from error
    _check_functions(compiled.parsed)

    def search(value: JsonValue) -> JsonValue:
        try:
            found: JsonValue = compiled.search(value)
        except Exception:  # noqa: BLE001  such as a function of numbers that meets a text: this event has no such value
            return None
        return found

    return search


def _check_functions(node: Any) -> None:
    """Raise: ValueError if an expression calls what is no function. The library would say so at each event only."""
    if node["type"] == "function_expression":
        known = Functions.FUNCTION_TABLE.get(node["value"])
        if known is None:
            raise ValueError(f"there is no function {node['value']!r}; there are {', '.join(Functions.FUNCTION_TABLE)}")
        wanted, given = known["signature"], len(node["children"])
        if given < len(wanted) or (given > len(wanted) and not wanted[-1].get("variadic")):
            raise ValueError(f"the function {node['value']!r} takes {len(wanted)} values, here are {given}")
    for child in node["children"]:
        if isinstance(child, dict):
            _check_functions(child)


def _follow(keys: list[str]) -> Callable[[JsonValue], JsonValue]:
    if len(keys) == 1:
        (only,) = keys
        return lambda value: value.get(only) if isinstance(value, dict) else None

    def follow(value: JsonValue) -> JsonValue:
        for key in keys:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    return follow
