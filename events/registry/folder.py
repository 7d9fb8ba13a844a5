"""A registry in a folder: a file for each schema, named by its id.

`7.avsc` is an Avro schema, `7.json` a JSON Schema, `7.pb` a Protobuf descriptor set, as
`protoc --include_imports -o 7.pb` writes it: its last file is the schema, the others are its references.
"""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from events.registry.schema_registry import RegisteredSchema, SchemaId, SchemaKind, SchemaUnknownError


class FolderRegistry:
    """The schemas in a folder."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ValueError(f"registry: there is no folder {folder.name!r}")
        self._folder = folder

    def schema(self, schema_id: SchemaId) -> RegisteredSchema:
        """Return the schema of a file."""
        for ending, read in _READERS.items():
            path = self._folder / f"{schema_id}.{ending}"
            if path.is_file():
                return read(path)
        names = ", ".join(f"{schema_id}.{ending}" for ending in _READERS)
        raise SchemaUnknownError(f"the registry has no schema {schema_id} (none of {names})")

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _text(kind: SchemaKind) -> Callable[[Path], RegisteredSchema]:
    def read(path: Path) -> RegisteredSchema:
        try:
            return RegisteredSchema(kind=kind, text=path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SchemaUnknownError(f"{path.name} cannot be read: {error}") from error

    return read


def _descriptors(path: Path) -> RegisteredSchema:
    try:
        files = FileDescriptorSet.FromString(path.read_bytes()).file
    except (OSError, DecodeError) as error:
        raise SchemaUnknownError(f"{path.name} is no descriptor set: {error}") from error
    if not files:
        raise SchemaUnknownError(f"{path.name} has no file in it; write it with protoc --include_imports -o")
    *others, last = files
    return RegisteredSchema(
        kind=SchemaKind.PROTOBUF, text=_base64(last), references={one.name: _base64(one) for one in others}
    )


def _base64(file: FileDescriptorProto) -> str:
    return base64.b64encode(file.SerializeToString()).decode()


_READERS: Mapping[str, Callable[[Path], RegisteredSchema]] = {
    "avsc": _text(SchemaKind.AVRO),
    "json": _text(SchemaKind.JSON),
    "pb": _descriptors,
}
