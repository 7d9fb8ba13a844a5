"""Read Avro values with fastavro, and turn them into JSON."""

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from uuid import UUID

import fastavro
from fastavro._read_py import schemaless_reader as decode_in_python
from fastavro.schema import SchemaParseException, UnknownType
from pydantic import JsonValue

from events.json_text import read_written
from events.registry.schema_registry import RegisteredSchema, SchemaUnknownError

_MOST_VARINT_BITS = 35
_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class AvroReader:
    """Reads the values of one schema. The type of a value is its record; of a union, the record that was chosen."""

    def __init__(self, schema: RegisteredSchema) -> None:
        known: dict[str, dict[str, object]] = {}
        try:
            for text in schema.references.values():
                fastavro.parse_schema(json.loads(text), named_schemas=known)
            self._schema = fastavro.parse_schema(json.loads(schema.text), named_schemas=known)
        except (SchemaParseException, UnknownType, ValueError, TypeError, KeyError, RecursionError) as error:
            raise SchemaUnknownError(f"it is no Avro schema: {error!r}") from error
        self._decode = decode_in_python if _is_recursive(self._schema, known, ()) else fastavro.schemaless_reader
        branches = self._schema if isinstance(self._schema, list) else [self._schema]
        self._names = [_name(branch) for branch in branches]

    def read(self, body: bytes) -> tuple[str, JsonValue]:
        """Return the name of its record, and a value. Raises: ValueError if it does not fit the schema, or is cut."""
        stream = BytesIO(body)
        try:
            value = self._decode(stream, self._schema, None)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        except Exception as error:
            raise ValueError(f"it is cut, or no Avro of its schema: {error!r}") from error
        if left := len(body) - stream.tell():
            raise ValueError(f"{left} bytes are left over after the Avro value")
        branch = zigzag_varint(body, 0)[0] if isinstance(self._schema, list) else 0
        return self._names[branch], read_written(json.dumps(value, default=_plain))


def _name(schema: object) -> str:
    """Return the name of a record without its namespace, empty for what has none."""
    named = schema.get("name", "") if isinstance(schema, dict) else schema
    return "" if named in _PRIMITIVES else str(named).rpartition(".")[2]


def _is_recursive(schema: object, known: Mapping[str, object], inside: tuple[str, ...]) -> bool:
    """Say whether a record contains itself. The fast reader of such a one ends the process if it is nested deeply."""
    if isinstance(schema, str):
        return schema in inside or (schema in known and _is_recursive(known[schema], known, inside))
    if isinstance(schema, list):
        return any(_is_recursive(branch, known, inside) for branch in schema)
    if not isinstance(schema, dict):
        return False
    around = (*inside, str(schema["name"])) if "fields" in schema else inside
    parts = [field["type"] for field in schema.get("fields", ())]
    parts += [schema[key] for key in ("items", "values") if key in schema]
    return any(_is_recursive(part, known, around) for part in parts)


def zigzag_varint(body: bytes, place: int) -> tuple[int, int]:
    """Return a number as Avro and Confluent write it, and where the next one begins. Raises: ValueError if cut."""
    number = 0
    for shift in range(0, _MOST_VARINT_BITS, 7):
        if place >= len(body):
            break
        byte = body[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  the sign that more follows
            return (number >> 1) ^ -(number & 1), place
    raise ValueError("it is cut before the message")


def _plain(value: object) -> JsonValue:
    """Return what JSON has no form for: bytes in base64, numbers of any precision and moments as text."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
