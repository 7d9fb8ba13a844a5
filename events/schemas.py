"""JSON Schema on every event: the fast check, and the errors in words."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol
from urllib.parse import unquote

import jsonschema_rs
from pydantic import JsonValue

from model.json_values import JsonObject

_MOST_ERRORS = 5
_BASE = "json-schema:///"
"""What addresses that name no place are relative to."""


class Schema(Protocol):
    """A schema that is ready to check payloads."""

    def fits(self, payload: JsonValue) -> bool:
        """Say whether a payload fulfils the schema."""
        ...

    def errors(self, payload: JsonValue) -> Sequence[str]:
        """Return the first errors of a payload, each with its path."""
        ...


class _JsonSchema:
    """A schema by jsonschema-rs, which checks a million small payloads a second."""

    def __init__(self, schema: JsonObject | bool, others: Mapping[str, JsonValue]) -> None:  # noqa: FBT001  as below
        _check_circles(schema)

        def retrieve(address: str) -> JsonValue:
            name = address.removeprefix(_BASE)
            if name not in others:
                raise ValueError(f"{name} is not part of the schema; write it into the schema itself")
            return others[name]

        try:
            self._validator = jsonschema_rs.validator_for(schema, retriever=retrieve, base_uri=_BASE)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            raise ValueError(f"the JSON Schema is wrong: {_first_line(error)}") from error
        self.fits = self._validator.is_valid

    def errors(self, payload: JsonValue) -> Sequence[str]:
        found = []
        for error in self._validator.iter_errors(payload):
            path = ".".join(str(part) for part in error.instance_path)
            found.append(f"{'payload.' + path if path else 'payload'}: {error.message}")
            if len(found) == _MOST_ERRORS:
                break
        return found


def compile_schema(
    schema: Mapping[str, JsonValue] | bool,  # noqa: FBT001  true and false are schemas
    others: Mapping[str, JsonValue] = MappingProxyType({}),
) -> Schema:
    """Return a schema that is ready. `others` are the schemas outside of it that it refers to, by their addresses.

    Raises: ValueError if it is no schema, or refers to what neither it contains nor `others`.
    """
    return _JsonSchema(schema if isinstance(schema, bool) else dict(schema), others)


def _check_circles(schema: JsonValue) -> None:
    """Raise: ValueError if a schema refers to itself for the same value: it would say nothing, and fit everything."""
    done: set[int] = set()
    for begin in _objects(schema):
        path: list[int] = []
        ahead = [(begin, iter(_same_value(begin, schema)))]
        while ahead:
            node, rest = ahead[-1]
            if len(path) < len(ahead):
                path.append(id(node))
            following = next((one for one in rest if id(one) not in done), None)
            if following is None:
                done.add(path.pop())
                ahead.pop()
            elif id(following) in path:
                raise ValueError(f"the JSON Schema refers to itself in a circle at {following.get('$ref', '#')}")
            else:
                ahead.append((following, iter(_same_value(following, schema))))


def _objects(value: JsonValue) -> Iterator[JsonObject]:
    """Yield all objects inside of a value."""
    ahead = [value]
    while ahead:
        one = ahead.pop()
        if isinstance(one, dict):
            yield one
        ahead += one.values() if isinstance(one, dict) else one if isinstance(one, list) else []


def _same_value(schema: JsonObject, whole: JsonValue) -> Iterator[JsonObject]:
    """Yield the schemas that a schema applies to the same value."""
    applied = [schema.get(key) for key in ("not", "if", "then", "else")]
    for key in ("allOf", "anyOf", "oneOf"):
        several = schema.get(key)
        applied += several if isinstance(several, list) else []
    if isinstance(reference := schema.get("$ref"), str):
        applied.append(_pointed(reference, whole))
    yield from (one for one in applied if isinstance(one, dict))


def _pointed(reference: str, whole: JsonValue) -> JsonValue:
    """Return what a reference within the schema points to, None if that is nothing or somewhere else."""
    if not reference.startswith("#"):
        return None
    value = whole
    for part in reference[1:].split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
