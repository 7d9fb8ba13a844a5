"""Confluent's wire format: a byte 0, the id of the schema in four bytes, and the value in its schema's format.

Before a Protobuf message stand the indexes of its type: their number, then each, as zigzag varints. A single 0 stands
for the first type of the file.
Source: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

import json
from dataclasses import dataclass

from pydantic import JsonValue

from events.json_text import read_json
from events.registry.avro import AvroReader, zigzag_varint
from events.registry.protobuf import ProtobufReader
from events.registry.schema_registry import (
    RegisteredSchema,
    SchemaId,
    SchemaKind,
    SchemaRegistry,
    SchemaUnknownError,
)
from events.schemas import Schema, compile_schema

MAGIC = 0
HEAD = 5
"""Bytes before the value."""
_MOST_INDEXES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredValue:
    """A value that was read. `type` is the name of its record or message, empty if its schema has none."""

    schema_id: SchemaId
    type: str
    payload: JsonValue


@dataclass(frozen=True, slots=True)
class _JsonReader:
    """Reads JSON, and checks it against its schema."""

    schema: Schema
    name: str

    def read(self, body: bytes) -> JsonValue:
        payload = read_json(body.decode("utf-8"))
        if not self.schema.fits(payload):
            raise ValueError(f"it does not fit its schema: {'; '.join(self.schema.errors(payload))}")
        return payload


_Reader = AvroReader | ProtobufReader | _JsonReader


class WireFormat:
    """Reads values by the schemas of a registry. Each is fetched once; what is wrong with one is remembered, too."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._readers: dict[SchemaId, _Reader | str] = {}

    def prepare(self, values: list[bytes]) -> None:
        """Fetch the schemas of values that are not known yet. Raises: RegistryAwayError."""
        for value in values:
            schema_id = _schema_id(value)
            if schema_id is not None and schema_id not in self._readers:
                self._readers[schema_id] = self._made(schema_id)

    def read(self, value: bytes) -> RegisteredValue:
        """Return a value whose schema was fetched. Raises: ValueError with the reason why it cannot be read."""
        schema_id = _schema_id(value)
        if schema_id is None:
            raise ValueError(f"a registered value has at least {HEAD} bytes, this one {len(value)}")
        reader = self._readers.get(schema_id, "it was not fetched")
        if isinstance(reader, str):
            raise ValueError(f"schema {schema_id} cannot be used: {reader}")  # noqa: TRY004  a text is the reason
        try:
            kind, payload = _read(reader, value[HEAD:])
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the value has schema {schema_id}, but {error}") from error
        return RegisteredValue(schema_id=schema_id, type=kind, payload=payload)

    def close(self) -> None:
        """Close the registry."""
        self._registry.close()

    def _made(self, schema_id: SchemaId) -> _Reader | str:
        try:
            return _reader(self._registry.schema(schema_id))
        except (SchemaUnknownError, ValueError, RecursionError) as error:
            return str(error)


def _schema_id(value: bytes) -> SchemaId | None:
    if len(value) < HEAD or value[0] != MAGIC:
        return None
    return SchemaId(int.from_bytes(value[1:HEAD], "big"))


def _reader(schema: RegisteredSchema) -> _Reader:
    if schema.kind is SchemaKind.AVRO:
        return AvroReader(schema)
    if schema.kind is SchemaKind.PROTOBUF:
        return ProtobufReader(schema)
    whole: JsonValue = json.loads(schema.text)
    if not isinstance(whole, dict | bool):
        raise SchemaUnknownError("it is no JSON Schema")
    title = whole.get("title", "") if isinstance(whole, dict) else ""
    others = {name: _of_draft_7(json.loads(text)) for name, text in schema.references.items()}
    known = _of_draft_7(whole)
    return _JsonReader(compile_schema(known if isinstance(known, dict) else whole, others), str(title))


def _of_draft_7(schema: JsonValue) -> JsonValue:
    """Return a schema with the draft that registries take it to be of, unless it names another one."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema} if isinstance(schema, dict) else schema


def _read(reader: _Reader, body: bytes) -> tuple[str, JsonValue]:
    if isinstance(reader, ProtobufReader):
        indexes, begin = _indexes(body)
        return reader.read(body[begin:], indexes)
    if isinstance(reader, AvroReader):
        return reader.read(body)
    return reader.name, reader.read(body)


def _indexes(body: bytes) -> tuple[list[int], int]:
    """Return the indexes of a message type, and where the message begins."""
    count, place = zigzag_varint(body, 0)
    if count == 0:
        return [0], place
    if not 0 < count <= _MOST_INDEXES:
        raise ValueError(f"it names its message type by {count} indexes")
    indexes = []
    for _ in range(count):
        index, place = zigzag_varint(body, place)
        indexes.append(index)
    return indexes, place
