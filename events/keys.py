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


class JsonKey(str):
    """A key that is no text, as its JSON: a list, an object, true or false. It equals no text, and true is not 1."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Say whether the other one is such a key too, with the same JSON."""
        return isinstance(other, JsonKey) and str.__eq__(self, other)

    def __hash__(self) -> int:
        """Return the hash of the text."""
        return str.__hash__(self)


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
        if isinstance(value, dict | list | bool):
            value = JsonKey(json.dumps(value, sort_keys=True))
        last = event, value
        return value

    return key_of


def compile_keys(expressions: tuple[str, ...]) -> KeyOf:
    """Return what gives one key of several expressions, or None if one of them has no value."""
    if len(expressions) == 1:
        return compile_key(expressions[0])
    parts = [compile_path(expression) for expression in expressions]

    def key_of(event: Event) -> JsonValue:
        values = [part(event) for part in parts]
        return None if any(value is None for value in values) else JsonKey(json.dumps(values, sort_keys=True))

    return key_of


def show_key(key: JsonValue) -> str:
    """Return a key for the end of a sentence: ` for 'o-1'`. Empty without a key."""
    return "" if key is None else f" for {key!r}"
