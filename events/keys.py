"""Keys: the value of an expression by which events belong together, such as the number of an order."""

import json
from collections.abc import Callable
from typing import TypeAlias

from pydantic import JsonValue

from events.event import Event
from events.paths import compile_path

KeyOf: TypeAlias = Callable[[Event], JsonValue]


def compile_key(expression: str) -> KeyOf:
    """Return what gives the key of an event, or None if it has none. A list or an object becomes its JSON text."""
    path = compile_path(expression)

    def key_of(event: Event) -> JsonValue:
        value = path(event)
        if isinstance(value, dict | list):
            return json.dumps(value, sort_keys=True)
        return value

    return key_of


def compile_keys(expressions: tuple[str, ...]) -> KeyOf:
    """Return what gives one key of several expressions, or None if one of them has no value."""
    if len(expressions) == 1:
        return compile_key(expressions[0])
    parts = [compile_key(expression) for expression in expressions]

    def key_of(event: Event) -> JsonValue:
        values = [part(event) for part in parts]
        return None if None in values else json.dumps(values)

    return key_of


def show_key(key: JsonValue) -> str:
    """Return a key for the end of a sentence: ` for 'o-1'`. Empty without a key."""
    return "" if key is None else f" for {key!r}"
