"""Read Avro values with fastavro, and turn them into JSON."""

import json
from base64 import b64encode
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from uuid import UUID

import fastavro
from fastavro.schema import SchemaParseException, UnknownType
from pydantic import JsonValue

from events.json_text import read_written
from events.registry.schema_registry import RegisteredSchema, SchemaUnknownError


class AvroReader:
    """Reads the values of one schema. `name` is that of its record."""

    def __init__(self, schema: RegisteredSchema) -> None:
        known: dict[str, dict[str, object]] = {}
        try:
            for text in schema.references.values():
                fastavro.parse_schema(json.loads(text), named_schemas=known)
            self._schema = fastavro.parse_schema(json.loads(schema.text), named_schemas=known)
        except (SchemaParseException, UnknownType, ValueError, TypeError, KeyError, RecursionError) as error:
            raise SchemaUnknownError(f"it is no Avro schema: {error!r}") from error
        full = self._schema.get("name", "") if isinstance(self._schema, dict) else ""
        self.name = str(full).rpartition(".")[2]

    def read(self, body: bytes) -> JsonValue:
        """Return a value. Raises: ValueError if it does not fit the schema, or is cut."""
        stream = BytesIO(body)
        try:
            value = fastavro.schemaless_reader(stream, self._schema, None)
        except Exception as error:
            raise ValueError(f"it is cut, or no Avro of its schema: {error!r}") from error
        if left := len(body) - stream.tell():
            raise ValueError(f"{left} bytes are left over after the Avro value")
        return read_written(json.dumps(value, default=_plain))


def _plain(value: object) -> JsonValue:
    """Return what JSON has no form for: bytes in base64, numbers of any precision and moments as text."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
