"""Read the schemas of messages from an AsyncAPI document, version 2.6 or 3, for the assertion `asyncapi`.

Only references within the document are followed; `events.documents` brings other files into it. The schema of a message
gets the components and channels of the document, so that its own references work. The name of a message is the type of
its events. An event without a type is a message of the channel whose address is its topic.

Source: AsyncAPI 2.6.0 and 3.0.0, "Message Object", "Channel Object" and "Operation Object"; the binding of channels to
Kafka 0.5.0. Schemas without another version are of JSON Schema draft 7.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import JsonValue

from model.json_values import JsonObject

VERSIONS = ("2.", "3.")
_JSON_SCHEMA = ("application/schema+json", "application/schema+yaml")
_DRAFTS: Mapping[str, str] = {
    "draft-04": "http://json-schema.org/draft-04/schema#",
    "draft-06": "http://json-schema.org/draft-06/schema#",
    "draft-07": "http://json-schema.org/draft-07/schema#",
    "draft/2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
}
_DRAFT = _DRAFTS["draft-07"]
_ASYNCAPI = "application/vnd.aai.asyncapi"
_MOST_STEPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSchemas:
    """The schemas of payloads: by the name of the message, and by the glob of the topics of a channel."""

    types: Mapping[str, JsonObject]
    topics: Mapping[str, JsonObject]


def message_schemas(document: JsonValue) -> MessageSchemas:
    """Return the schemas of all messages. Raises: ValueError that says what is wrong."""
    if not isinstance(document, dict) or not str(document.get("asyncapi", "")).startswith(VERSIONS):
        raise ValueError("not an AsyncAPI document of version 2 or 3")
    types: dict[str, JsonObject] = {}
    for name, raw in _mapping(_mapping(document.get("components")).get("messages")).items():
        _add(types, name, raw, document)
    topics: dict[str, JsonObject] = {}
    for key, raw in _mapping(document.get("channels")).items():
        channel = _resolved(raw, document)
        schemas: list[JsonValue] = [_add(types, name, message, document) for name, message in _messages(channel)]
        if schemas and (topic := _topic(key, channel, document)):
            topics[topic] = {"anyOf": schemas}
    if not types and not topics:
        raise ValueError("the AsyncAPI document has no messages")
    return MessageSchemas(
        types={name: _whole(schema, document) for name, schema in types.items()},
        topics={glob: _whole(schema, document) for glob, schema in topics.items()},
    )


def _add(types: dict[str, JsonObject], name: str, raw: JsonValue, document: JsonObject) -> JsonObject:
    """Return the schema of a message, and note it under the name of the message, if it has one."""
    message = _resolved(raw, document)
    title = str(message.get("name") or message.get("messageId") or name)
    schema = _schema(message, title)
    if title:
        types[title] = schema
    return schema


def _messages(channel: JsonObject) -> Iterator[tuple[str, JsonValue]]:
    """Return the messages of a channel, each with the key under which it stands."""
    yield from _mapping(channel.get("messages")).items()  # version 3
    for word in ("publish", "subscribe"):  # version 2
        message = _mapping(channel.get(word)).get("message")
        options = _mapping(message).get("oneOf", [message] if message is not None else [])
        for option in options if isinstance(options, list) else []:
            yield _last_part(option), option


def _topic(key: str, channel: JsonObject, document: JsonObject) -> str:
    """Return the glob of the topics of a channel, empty if it has no address. A parameter stands for any text."""
    address: JsonValue = key if str(document["asyncapi"]).startswith("2.") else channel.get("address", key)
    named = _mapping(_mapping(channel.get("bindings")).get("kafka")).get("topic")
    address = named if isinstance(named, str) else address
    return re.sub(r"\{[^}]*\}", "*", address) if isinstance(address, str) else ""


def _schema(message: JsonObject, name: str) -> JsonObject:
    """Return the schema of a payload. Raises: ValueError if it is in another language than JSON Schema."""
    payload = message.get("payload", True)
    language = message.get("schemaFormat")
    if isinstance(payload, dict) and "schemaFormat" in payload:  # version 3: a multi-format schema
        language, payload = payload["schemaFormat"], payload.get("schema", True)
    if language is not None and not str(language).startswith((*_JSON_SCHEMA, _ASYNCAPI)):
        raise ValueError(f"the message {name!r} has a schema in {language}, not in JSON Schema")
    draft = next((uri for version, uri in _DRAFTS.items() if version in str(language)), None)
    said = payload.get("$schema") if isinstance(payload, dict) else None
    return {"$schema": said or draft or _DRAFT, "allOf": [payload]}


def _whole(schema: JsonObject, document: JsonObject) -> JsonObject:
    """Return a schema with what it may refer to."""
    around: JsonObject = {key: document[key] for key in ("components", "channels") if key in document}
    return {"$schema": _DRAFT, **schema, **around}


def _resolved(value: JsonValue, document: JsonObject) -> JsonObject:
    """Return the object that a value is or refers to. Raises: ValueError."""
    for _ in range(_MOST_STEPS):
        if not isinstance(value, dict):
            raise ValueError("a message or channel of the AsyncAPI document is no object")  # noqa: TRY004  it is input
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return value
        value = _referenced(reference, document)
    raise ValueError("a reference of the AsyncAPI document leads back to itself")


def _referenced(reference: str, document: JsonObject) -> JsonValue:
    if not reference.startswith("#/"):
        raise ValueError(f"{reference} is not part of the AsyncAPI document")
    value: JsonValue = document
    for part in reference[2:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or key not in value:
            raise ValueError(f"{reference} is not in the AsyncAPI document")
        value = value[key]
    return value


def _last_part(value: JsonValue) -> str:
    """Return the name at the end of a reference, for a message that has none of its own."""
    return str(_mapping(value).get("$ref", "")).rpartition("/")[2]


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
