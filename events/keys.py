"""Keys: the value of an expression by which events belong together, such as the number of an order."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from pydantic import JsonValue

from events.event import Event
from events.paths import compile_path

KeyOf: TypeAlias = Callable[[Event], JsonValue]

MOST_EXPRESSIONS = 100


@lru_cache(maxsize=MOST_EXPRESSIONS)
def compile_key(expression: str) -> KeyOf:
    """Return what gives the key of an event, or None if it has none. A list or an object becomes its JSON text.

    All rules share it, and it remembers the last event: the rules of a test mostly ask for the same key.
    """
    path = compile_path(expression)
    last: tuple[Event | None, JsonValue] = None, None

    def key_of(event: Event) -> JsonValue:
        nonlocal last
        known, key = last
        if known is event:
            return key
        value = path(event)
        if isinstance(value, dict | list):
            value = json.dumps(value, sort_keys=True)
        last = event, value
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
