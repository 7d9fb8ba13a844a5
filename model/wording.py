"""Translate the errors of pydantic into messages for the sender, at the locations that the sender knows."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic_core import ErrorDetails

from model.fields import PATTERNS_IN_WORDS
from model.json_values import JsonObject, json_list, json_object
from model.lenient import at, mapping
from model.problems import Finding, Location
from model.refused_keys import REFUSED_KEYS
from model.schema import referenced

Context: TypeAlias = Mapping[str, object]
"""What pydantic says about an error besides its type, such as the bound that was broken."""

UNKNOWN_KEY = "unexpected_keyword_argument"
_KEY_MARK = "[key]"
_MOST_KEYS_SHOWN = 15
_SHORTEST_START = 3
_LONGEST_NEAR = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One error of one field. `meant` is the known key that an unknown key resembles."""

    finding: Finding
    meant: str | None = None


def field_error(error: ErrorDetails, raw: object, schema: JsonObject) -> FieldError:
    """Return pydantic's `error` about `raw` in words for its sender."""
    if error["type"] == UNKNOWN_KEY:
        return _unknown_key(error, schema)
    location = _location(error["loc"], raw, schema)
    if error["type"] == "union_tag_not_found" and (key := _meant_as_tag(location, raw, schema)):
        return _misspelt((*location, key), "type")
    if error["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        location = (*location, "type")
    return FieldError(finding=Finding(location=location, message=in_words(error)))


def is_consequence(error: ErrorDetails, raw: object, schema: JsonObject) -> bool:
    """Say whether an error only follows from others that are reported too.

    Pydantic leaves wrong entries out of a list, and then reports the list as too short.
    """
    if error["type"] != "too_short":
        return False
    entries = at(raw, _location(error["loc"], raw, schema))
    return isinstance(entries, list) and len(entries) >= error.get("ctx", {})["min_length"]


def _unknown_key(error: ErrorDetails, schema: JsonObject) -> FieldError:
    *inner, key = error["loc"]
    known = sorted(_known_keys(schema, inner))
    location = (*_without_tag(inner, schema), key)
    if refused := REFUSED_KEYS.get(str(key)):
        return FieldError(finding=Finding(location=location, message=f"is refused: {refused}"))
    if near := nearest(str(key), known):
        return _misspelt(location, near)
    message = f"is an unknown key; known are {', '.join(known[:_MOST_KEYS_SHOWN])}"
    return FieldError(finding=Finding(location=location, message=message))


def _misspelt(location: Location, meant: str) -> FieldError:
    message = f"is an unknown key; did you mean {meant!r}?"
    return FieldError(finding=Finding(location=location, message=message), meant=meant)


def _meant_as_tag(location: Location, raw: object, schema: JsonObject) -> str | None:
    """Return the key that was meant as the `type` of a union whose type is missing."""
    field = json_object(json_object(schema.get("properties", {})).get(str(location[0]), {}))
    variants = json_object(json_object(field.get("discriminator", {})).get("mapping", {})).values()
    known = sorted({key for ref in variants for key in json_object(referenced(str(ref), schema)["properties"])})
    keys = [key for key in mapping(at(raw, location)) if key not in known]
    return next((key for key in keys if nearest(key, known) == "type"), None)


def nearest(key: str, known: list[str]) -> str | None:
    """Return the known key that `key` resembles, if there is one."""
    if len(key) > _LONGEST_NEAR:
        return None
    alike = difflib.get_close_matches(key, known, n=1)
    longer = [name for name in known if len(key) >= _SHORTEST_START and name.startswith(key)]
    return next(iter(alike + longer), None)


def _location(loc: Location, raw: object, schema: JsonObject) -> Location:
    """Return `loc` without what pydantic adds to it: the tag of a union, and the mark of a wrong key."""
    location = _without_tag(loc, schema)
    if location and location[-1] == _KEY_MARK and not isinstance(at(raw, location[:-1]), dict):
        return location[:-1]
    return location


def _without_tag(loc: Location | list[str | int], schema: JsonObject) -> Location:
    if not loc:
        return ()
    field = json_object(json_object(schema.get("properties", {})).get(str(loc[0]), {}))
    return (*loc[:1], *loc[2:]) if "discriminator" in field else tuple(loc)


def _known_keys(schema: JsonObject, loc: list[str | int]) -> set[str]:
    """Return the keys that the schema knows at `loc`."""
    nodes = [_resolved(schema, schema)]
    for part in loc:
        nodes = [inner for node in nodes for inner in _inside(schema, node, part)]
    return {key for node in nodes for key in json_object(node.get("properties", {}))}


def _inside(root: JsonObject, node: JsonObject, part: str | int) -> Iterator[JsonObject]:
    for candidate in _candidates(node, part):
        for alternative in json_list(candidate.get("anyOf", [candidate])):
            yield _resolved(root, json_object(alternative))


def _candidates(node: JsonObject, part: str | int) -> Iterator[JsonObject]:
    if isinstance(part, int):
        if "items" in node:
            yield json_object(node["items"])
    elif "discriminator" in node:
        mapping = json_object(json_object(node["discriminator"])["mapping"])
        yield {"$ref": mapping[part]}
    elif part in (properties := json_object(node.get("properties", {}))):
        yield json_object(properties[part])


def _resolved(root: JsonObject, node: JsonObject) -> JsonObject:
    while "$ref" in node:
        node = referenced(str(node["$ref"]), root)
    return node


def in_words(error: ErrorDetails) -> str:
    """Return what an error of Pydantic means, as we word it."""
    context = error.get("ctx", {})
    write = _WORDS.get(error["type"])
    return write(context) if write else error["msg"]


def _number(bound: object) -> str:
    return str(int(bound)) if isinstance(bound, float) and bound.is_integer() else str(bound)


def _listed(context: Context, key: str = "expected") -> str:
    return f"must be one of {str(context[key]).replace(chr(39), '').replace(' or ', ', ')}"


def _tag(context: Context) -> str:
    if context["tag"] == "local":
        return "a local folder is allowed only in a suite file: `assay run FILE` packs and sends it"
    return _listed(context, "expected_tags")


def _shortest(context: Context) -> str:
    return "must not be empty" if context["min_length"] == 1 else f"must have at least {context['min_length']}"


_WORDS: dict[str, Callable[[Context], str]] = {
    "missing": lambda _: "is required",
    "dataclass_type": lambda _: "must be an object",
    "model_type": lambda _: "must be an object",
    "model_attributes_type": lambda _: "must be an object",
    "dict_type": lambda _: "must be an object",
    "tuple_type": lambda _: "must be a list",
    "list_type": lambda _: "must be a list",
    "invalid_key": lambda _: "must be text; put the key in quotes",
    "string_type": lambda _: "must be text; put numbers, yes and no in quotes",
    "int_type": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "int_from_float": lambda _: "must be a whole number",
    "float_parsing": lambda _: "must be a number",
    "finite_number": lambda _: "must be a number",
    "bool_type": lambda _: "must be true or false",
    "float_type": lambda _: "must be a number",
    "enum": _listed,
    "literal_error": _listed,
    "union_tag_not_found": lambda _: "is required",
    "union_tag_invalid": _tag,
    "greater_than": lambda context: f"must be above {_number(context['gt'])}",
    "less_than": lambda context: f"must be below {_number(context['lt'])}",
    "greater_than_equal": lambda context: f"must be {_number(context['ge'])} or more",
    "less_than_equal": lambda context: f"must be {_number(context['le'])} or less",
    "too_short": _shortest,
    "string_too_short": _shortest,
    "too_long": lambda context: f"must have at most {context['max_length']} entries",
    "string_too_long": lambda context: f"must have at most {context['max_length']} characters",
    "string_pattern_mismatch": lambda context: PATTERNS_IN_WORDS[str(context["pattern"])],
    "value_error": lambda context: str(context["error"]),
}
