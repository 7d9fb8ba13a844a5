"""Read Protobuf messages by descriptors, and turn them into JSON. Field names stay as the schema has them."""

import base64
from collections.abc import Sequence
from importlib import import_module

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, SerializeToJsonError
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from pydantic import JsonValue

from events.json_text import check_depth
from events.registry.schema_registry import RegisteredSchema, SchemaUnknownError

_WELL_KNOWN = "google/protobuf/"


class ProtobufReader:
    """Reads the messages of one file. `indexes` lead to the type: its place in the file, then in the type around it."""

    def __init__(self, schema: RegisteredSchema) -> None:
        self._pool = DescriptorPool()
        self._added: set[str] = set()
        try:
            for name, text in schema.references.items():
                self._add(_file(text), name)
            self._file = self._add(_file(schema.text))
        except (DecodeError, TypeError, ValueError, ImportError, KeyError) as error:
            raise SchemaUnknownError(f"it is no Protobuf descriptor: {error}") from error

    def read(self, body: bytes, indexes: Sequence[int]) -> tuple[str, JsonValue]:
        """Return the name of the type, and the message. Raises: ValueError if it does not fit, or is cut."""
        descriptor = self._type(indexes)
        try:
            message = GetMessageClass(descriptor).FromString(body)
            value: JsonValue = MessageToDict(
                message,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
                descriptor_pool=self._pool,
            )
        except (DecodeError, SerializeToJsonError, TypeError) as error:
            raise ValueError(f"it is cut, or no Protobuf of its schema: {error}") from error
        check_depth(value)
        return descriptor.name, value

    def _add(self, file: FileDescriptorProto, name: str = "") -> FileDescriptorProto:
        """Add a file after those of Google that it imports. Imports know it by `name`, which it may not say itself."""
        file.name = name or file.name or "schema.proto"
        for imported in file.dependency:
            if imported.startswith(_WELL_KNOWN) and imported not in self._added:
                module = import_module(imported.removesuffix(".proto").replace("/", ".") + "_pb2")
                self._add(FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
        if file.name not in self._added:
            self._added.add(file.name)
            self._pool.Add(file)
            self._pool.FindFileByName(file.name)
        return file

    def _type(self, indexes: Sequence[int]) -> Descriptor:
        """Return the descriptor of the type that indexes lead to."""
        level: Sequence[DescriptorProto] = self._file.message_type
        names = [self._file.package] if self._file.package else []
        for index in indexes:
            if not 0 <= index < len(level):
                raise ValueError(f"its schema has no message type {list(indexes)}")
            names.append(level[index].name)
            level = level[index].nested_type
        return self._pool.FindMessageTypeByName(".".join(names))


def _file(text: str) -> FileDescriptorProto:
    return FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
