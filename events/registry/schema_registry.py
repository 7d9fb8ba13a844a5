"""The port of schema registries. `tests/contract/test_registries.py` is its suite."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, Protocol

from events.brokers.broker import BrokerError

SchemaId = NewType("SchemaId", int)


class SchemaKind(StrEnum):
    """The formats, under the names that registries use."""

    AVRO = "AVRO"
    PROTOBUF = "PROTOBUF"
    JSON = "JSON"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredSchema:
    """A schema. `text` is Avro's or JSON Schema's own JSON, for Protobuf a `FileDescriptorProto` in base64.

    `references` has the schemas that it refers to, by the name that it gives them, those that come first before others.
    """

    kind: SchemaKind
    text: str
    references: Mapping[str, str] = field(default_factory=dict)


class SchemaUnknownError(Exception):
    """The registry has no schema of this id, or none that can be used. The event is poison."""


class RegistryAwayError(BrokerError):
    """The registry cannot be reached, or refuses. Somebody must look at its address and its password."""


class SchemaRegistry(Protocol):
    """Knows schemas by their ids, which never change their meaning."""

    def schema(self, schema_id: SchemaId) -> RegisteredSchema:
        """Return a schema. Raises: SchemaUnknownError; RegistryAwayError."""
        ...

    def close(self) -> None:
        """Release everything. It may be called more than once."""
        ...
