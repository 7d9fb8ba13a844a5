"""The types of JSON data, for documents that have no type of their own: schemas, and requests in their written form.

The functions read documents that our own code wrote, so a value of another kind is a bug and raises TypeError. For
input from outside, `model.lenient` has the functions that never raise.
"""

from typing import TypeAlias

from pydantic import JsonValue

JsonObject: TypeAlias = dict[str, JsonValue]


def json_object(value: JsonValue) -> JsonObject:
    """Return `value`, which must be an object. Raises: TypeError."""
    if not isinstance(value, dict):
        msg = f"an object was expected, not {type(value).__name__}"
        raise TypeError(msg)
    return value


def json_list(value: JsonValue) -> list[JsonValue]:
    """Return `value`, which must be a list. Raises: TypeError."""
    if not isinstance(value, list):
        msg = f"a list was expected, not {type(value).__name__}"
        raise TypeError(msg)
    return value
