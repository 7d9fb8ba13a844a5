"""JSON schemas for people and forms: whole in one piece, with every default written out."""

import re
from collections.abc import Collection, Mapping
from typing import Any

_KEPT_ON_TOP = ("name", "type", "content")


def friendly(schema: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return `schema` without references and discriminators, defaults filled in, what must be given first."""
    whole: dict[str, Any] = _inlined(schema, schema)
    whole.pop("$defs", None)
    properties = whole["properties"]
    order = [key for key in _KEPT_ON_TOP if key in properties] + [key for key in properties if key not in _KEPT_ON_TOP]
    whole["description"] = whole["description"].splitlines()[0]
    whole["properties"] = {key: _with_default(properties[key], key, whole, defaults) for key in order}
    return whole


def not_null(schema: Mapping[str, Any], nullable: Collection[str]) -> dict[str, Any]:
    """Return the schema of a change: what is left out stays, and null is a value for the `nullable` ones only."""
    properties = {
        name: node if name in nullable else _not_null(node) for name, node in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _not_null(node: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in node.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {key: value for key, value in node.items() if key != "default" or value is not None}
    if len(kinds) == 1:
        return {**{key: value for key, value in rest.items() if key != "anyOf"}, **kinds[0]}
    return {**rest, "anyOf": kinds} if kinds else rest


def _inlined(node: Any, root: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, root) for item in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        target = root["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        return _inlined({**target, **{key: value for key, value in node.items() if key != "$ref"}}, root)
    whole = {key: _inlined(value, root) for key, value in node.items() if key not in {"$defs", "discriminator"}}
    for name, item in whole.get("properties", {}).items():
        if isinstance(item, dict):
            item["title"] = _title(name)
        if "const" in item:
            whole["required"] = sorted({*whole.get("required", []), name})
    return whole


def _title(name: str) -> str:
    """Return a field's name as words: cpuRequest -> CPU request."""
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


def _with_default(node: dict[str, Any], key: str, owner: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    if key in owner.get("required", []) or key not in defaults:
        return node
    filled = {**node, "default": defaults[key]}
    inner = defaults[key]
    if isinstance(inner, Mapping) and "properties" in node:
        properties = node["properties"]
        filled["properties"] = {name: _with_default(item, name, node, inner) for name, item in properties.items()}
    return filled
