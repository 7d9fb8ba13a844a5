"""Read the schemas of messages from an AsyncAPI document, version 2.6 or 3, for the assertion `conforms`.

Only references within the document are followed. The schema of a message gets the components of the document, so that
its own references work. The name of a message is the type of its events.

Source: AsyncAPI 2.6.0 and 3.0.0, "Message Object" and "Operation Object".
"""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from model.json_values import JsonObject

VERSIONS = ("2.", "3.")
_JSON_SCHEMA = "application/schema+json"
_ASYNCAPI = "application/vnd.aai.asyncapi"
_MOST_STEPS = 20


def message_schemas(document: JsonValue) -> Mapping[str, JsonObject]:
    """Return the payload schema of each message, by its name. Raises: ValueError that says what is wrong."""
    if not isinstance(document, dict) or not str(document.get("asyncapi", "")).startswith(VERSIONS):
        raise ValueError("not an AsyncAPI document of version 2 or 3")
    found: dict[str, JsonObject] = {}
    for name, raw in _messages(document):
        message = _resolved(raw, document)
        title = message.get("name", name)
        found[str(title)] = _schema(message, document, str(title))
    if not found:
        raise ValueError("the AsyncAPI document has no messages")
    return found


def _messages(document: JsonObject) -> Iterator[tuple[str, JsonValue]]:
    """Return the messages of all channels and components, each with the key under which it stands."""
    yield from _mapping(_mapping(document.get("components")).get("messages")).items()
    for raw in _mapping(document.get("channels")).values():
        channel = _resolved(raw, document)
        yield from _mapping(channel.get("messages")).items()  # version 3
        for word in ("publish", "subscribe"):  # version 2
            message = _mapping(channel.get(word)).get("message")
            options = _mapping(message).get("oneOf", [message] if message is not None else [])
            for option in options if isinstance(options, list) else []:
                yield _last_part(option), option


def _schema(message: JsonObject, document: JsonObject, name: str) -> JsonObject:
    """Return the schema of a payload, with what it may refer to. Raises: ValueError if it is of another language."""
    payload = message.get("payload", True)
    language = message.get("schemaFormat")
    if isinstance(payload, dict) and "schemaFormat" in payload:  # version 3: a multi-format schema
        language, payload = payload["schemaFormat"], payload.get("schema", True)
    if language is not None and not str(language).startswith((_JSON_SCHEMA, _ASYNCAPI)):
        raise ValueError(f"the message {name!r} has a schema in {language}, not in JSON Schema")
    components: JsonObject = {"components": document["components"]} if "components" in document else {}
    return {"allOf": [payload], **components}


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
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or key not in value:
            raise ValueError(f"{reference} is not in the AsyncAPI document")
        value = value[key]
    return value


def _last_part(value: JsonValue) -> str:
    """Return the name at the end of a reference, for a message that has none of its own."""
    return str(_mapping(value).get("$ref", "")).rpartition("/")[2]


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
