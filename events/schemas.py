"""JSON Schema on every event: the fast check, and the errors in words."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import jsonschema_rs
from pydantic import JsonValue

_MOST_ERRORS = 5


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

    def __init__(self, schema: Mapping[str, JsonValue] | bool) -> None:  # noqa: FBT001  true and false are schemas
        whole = schema if isinstance(schema, bool) else dict(schema)
        try:
            self._validator = jsonschema_rs.validator_for(whole, retriever=_refuse)
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


def compile_schema(schema: Mapping[str, JsonValue] | bool) -> Schema:  # noqa: FBT001
    """Return a schema that is ready. Raises: ValueError if it is no schema, or refers to what it does not contain."""
    return _JsonSchema(schema)


def _refuse(address: str) -> JsonValue:
    """Refuse to fetch anything: a schema must contain what it refers to."""
    raise ValueError(f"{address} is not part of the schema; write it into the schema itself")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
