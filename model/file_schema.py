"""The JSON Schemas of suite and test files, for editors and for the reference of all keys.

They accept each file that `assay validate` accepts. Rules between keys are only in the checks.
"""

from copy import deepcopy
from functools import cache

from pydantic import JsonValue

from model.check import describe_schema
from model.examine import LOCAL_TEST
from model.file_examples import EXAMPLES
from model.json_values import JsonObject, json_list, json_object
from model.schema import friendly
from model.suite import describe_suite_schema, with_during

DIALECT = "http://json-schema.org/draft-07/schema#"
_TEST = "#/definitions/test"
_QUANTITIES = frozenset({"cpuRequest", "cpuLimit", "memoryRequest", "memoryLimit", "ephemeralStorage"})
"""Keys whose values may be written as numbers too."""


@cache
def schema_of_test() -> JsonObject:
    """Return the schema of a file that holds one test."""
    return {"$schema": DIALECT, **_test(), "title": "Test"}


@cache
def schema_of_suite() -> JsonObject:
    """Return the schema of a file that holds a suite.

    A key that a test lacks may come from `defaults`, so no key of a test is required where a suite has them.
    """
    described = deepcopy(describe_suite_schema())
    json_object(json_object(described["properties"])["tests"]).pop("items")
    suite, test = _with_examples(described, "suite"), _with_examples(with_during(_test()), "test")
    properties = json_object(suite["properties"])
    properties["tests"] = {**json_object(properties["tests"]), "items": {"$ref": _TEST}}
    properties["defaults"] = {**json_object(properties["defaults"]), "anyOf": [{"$ref": _TEST}, {"type": "null"}]}
    strict: JsonObject = {"tests": {"items": {"required": test["required"]}}}
    return {
        "$schema": DIALECT,
        **suite,
        "title": "Suite",
        "if": {"required": ["defaults"]},
        "else": {"properties": strict},
        "definitions": {"test": _relaxed(test)},
    }


def schema_of(kind: str) -> JsonObject:
    """Return the schema of a kind of file, `suite` or `test`."""
    return schema_of_suite() if kind == "suite" else schema_of_test()


def _test() -> JsonObject:
    """Return the schema of a test as a file may write it: with local content, and quantities as numbers."""
    test = deepcopy(describe_schema())
    properties = json_object(test["properties"])
    local = json_object(json_object(friendly(LOCAL_TEST.schema, {})["properties"])["content"])
    content = json_object(properties["content"])
    content["anyOf"] = [local, *json_list(content.pop("oneOf"))]
    amounts = json_object(json_object(properties["resources"])["properties"])
    for name in _QUANTITIES & amounts.keys():
        amounts[name] = _or_number(json_object(amounts[name]))
    return _with_examples(test, "test")


def _or_number(node: JsonObject) -> JsonObject:
    if "anyOf" in node:
        return {**node, "anyOf": [*json_list(node["anyOf"]), {"type": "number"}]}
    return {**node, "type": ["string", "number"]}


def _relaxed(node: JsonValue) -> JsonValue:
    """Return a schema without required keys, at every depth of objects that are merged with defaults.

    The entries of a list are not merged: a list is one value.
    """
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key != "required"}
    if isinstance(node.get("properties"), dict):
        inner = json_object(node["properties"])
        kept["properties"] = {name: _relaxed(field) for name, field in inner.items()}
    if isinstance(node.get("anyOf"), list):
        kept["anyOf"] = [_relaxed(kind) for kind in json_list(node["anyOf"])]
    return kept


def _with_examples(node: JsonObject, path: str) -> JsonObject:
    """Return a schema with an example at each key that has one in `EXAMPLES`."""
    filled = {**node, "examples": [EXAMPLES[path]]} if path in EXAMPLES else dict(node)
    if "properties" in node:
        fields = json_object(node["properties"]).items()
        filled["properties"] = {name: _with_examples(json_object(field), f"{path}.{name}") for name, field in fields}
    if isinstance(node.get("items"), dict):
        filled["items"] = _with_examples(json_object(node["items"]), f"{path}[]")
    if "anyOf" in node:
        kinds = map(json_object, json_list(node["anyOf"]))
        filled["anyOf"] = [_kind_with_examples(kind, path) for kind in kinds]
    return filled


def _kind_with_examples(kind: JsonObject, path: str) -> JsonObject:
    """Return one of several kinds of a value, with examples at its keys. The example of the value is above it."""
    own = kind_path(path, kind)
    filled = _with_examples(kind, own)
    return {key: value for key, value in filled.items() if key != "examples"} if own == path else filled


def kind_path(path: str, kind: JsonObject) -> str:
    """Return the path of one of several kinds of a value, which its type tells: `test.content:git`."""
    type_of = json_object(json_object(kind.get("properties", {})).get("type", {}))
    return f"{path}:{type_of['const']}" if "const" in type_of else path
