"""JSON schemas for people and for forms: in one piece, with every default written out."""

import re
from collections.abc import Collection

from pydantic import JsonValue

from model.json_values import JsonObject, json_list, json_object

_FIRST = ("name", "type", "content")


def friendly(schema: JsonObject, defaults: JsonObject) -> JsonObject:
    """Return `schema` without references and discriminators, with its defaults, the required fields first."""
    whole = json_object(_inlined(schema, schema))
    whole.pop("$defs", None)
    properties = json_object(whole["properties"])
    order = [key for key in _FIRST if key in properties] + [key for key in properties if key not in _FIRST]
    whole["description"] = str(whole["description"]).splitlines()[0]
    whole["properties"] = {key: _with_default(properties[key], key, whole, defaults) for key in order}
    return whole


def not_null(schema: JsonObject, nullable: Collection[str]) -> JsonObject:
    """Return the schema of a change, in which only the fields named in `nullable` may be null.

    A field that a change leaves out keeps its value.
    """
    fields = json_object(schema.get("properties", {}))
    properties = {name: node if name in nullable else _not_null(json_object(node)) for name, node in fields.items()}
    return {**schema, "properties": properties}


def _not_null(node: JsonObject) -> JsonObject:
    kinds: list[JsonValue] = [kind for kind in json_list(node.get("anyOf", [])) if kind != {"type": "null"}]
    rest = {key: value for key, value in node.items() if key != "default" or value is not None}
    if len(kinds) == 1:
        return {**{key: value for key, value in rest.items() if key != "anyOf"}, **json_object(kinds[0])}
    return {**rest, "anyOf": kinds} if kinds else rest


def _inlined(node: JsonValue, root: JsonObject) -> JsonValue:
    if isinstance(node, list):
        return [_inlined(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        siblings = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined({**referenced(str(node["$ref"]), root), **siblings}, root)
    whole = {key: _inlined(value, root) for key, value in node.items() if key not in {"$defs", "discriminator"}}
    for name, item in json_object(whole.get("properties", {})).items():
        field = json_object(item)
        field["title"] = _title(name)
        if "const" in field:
            whole["required"] = [*sorted({*_required(whole), name})]
    return whole


def referenced(reference: str, root: JsonObject) -> JsonObject:
    """Return the definition in `root` that a `$ref` names."""
    return json_object(json_object(root["$defs"])[reference.rsplit("/", 1)[-1]])


def _required(node: JsonObject) -> set[str]:
    return {str(name) for name in json_list(node.get("required", []))}


def _title(name: str) -> str:
    """Return the name of a field in words: cpuRequest -> CPU request."""
    words = _TITLES.get(name) or _HUMP.sub(lambda match: f" {match[0].lower()}", name)
    return words[:1].upper() + words[1:]


_HUMP = re.compile(r"(?<=[a-z])[A-Z]")
_TITLES = {
    "cpuRequest": "CPU request",
    "cpuLimit": "CPU limit",
    "gpuRequest": "GPU request",
    "sha256": "SHA-256",
    "junit": "JUnit file",
    "env": "Environment",
}


def _with_default(node: JsonValue, key: str, owner: JsonObject, defaults: JsonObject) -> JsonValue:
    if key in _required(owner) or key not in defaults:
        return node
    field, default = json_object(node), defaults[key]
    filled: JsonObject = {**field, "default": default}
    if isinstance(default, dict) and "properties" in field:
        inner = json_object(field["properties"]).items()
        filled["properties"] = {name: _with_default(item, name, field, default) for name, item in inner}
    return filled
