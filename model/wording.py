"""Pydantic's errors in plain words, at the places where the sender wrote."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic_core import ErrorDetails

from model.fields import PATTERNS_IN_WORDS
from model.lenient import at
from model.problems import Finding, Location

Schema: TypeAlias = Mapping[str, Any]

UNKNOWN_KEY = "unexpected_keyword_argument"
_KEY_MARK = "[key]"
_MOST_KEYS_SHOWN = 15
_SHORTEST_START = 3
_LONGEST_NEAR = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What one field is wrong in. `meant` is the known key that an unknown one resembles."""

    finding: Finding
    meant: str | None = None


def fault(error: ErrorDetails, raw: object, schema: Schema) -> Fault:
    """Return what `error` of `raw` means to its sender."""
    if error["type"] == UNKNOWN_KEY:
        return _unknown_key(error, schema)
    location = _location(error["loc"], raw, schema)
    if error["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        location = (*location, "type")
    return Fault(finding=Finding(location=location, message=_words(error)))


def only_follows(error: ErrorDetails, raw: object, schema: Schema) -> bool:
    """Say whether a list is called too short only because pydantic left out its wrong entries, which are told."""
    if error["type"] != "too_short":
        return False
    entries = at(raw, _location(error["loc"], raw, schema))
    return isinstance(entries, list) and len(entries) >= error.get("ctx", {})["min_length"]


def _unknown_key(error: ErrorDetails, schema: Schema) -> Fault:
    *inner, key = error["loc"]
    known = sorted(_known_keys(schema, inner))
    near = _nearest(str(key), known)
    if near:
        message = f"is an unknown key; did you mean {near!r}?"
    else:
        message = f"is an unknown key; known are {', '.join(known[:_MOST_KEYS_SHOWN])}"
    finding = Finding(location=(*_without_tag(inner, schema), key), message=message)
    return Fault(finding=finding, meant=near)


def _nearest(key: str, known: list[str]) -> str | None:
    if len(key) > _LONGEST_NEAR:
        return None
    alike = difflib.get_close_matches(key, known, n=1)
    longer = [name for name in known if len(key) >= _SHORTEST_START and name.startswith(key)]
    return next(iter(alike + longer), None)


def _location(loc: Location, raw: object, schema: Schema) -> Location:
    """Drop what pydantic adds: the tag of a union, and the mark of a wrong key."""
    location = _without_tag(loc, schema)
    if location and location[-1] == _KEY_MARK and not isinstance(at(raw, location[:-1]), dict):
        return location[:-1]
    return location


def _without_tag(loc: Location | list[str | int], schema: Schema) -> Location:
    tagged = loc[:1] and "discriminator" in schema.get("properties", {}).get(loc[0], {})
    return (*loc[:1], *loc[2:]) if tagged else tuple(loc)


def _known_keys(schema: Schema, loc: list[str | int]) -> set[str]:
    """Walk the schema along `loc` and return the keys known there."""
    places = [_resolved(schema, schema)]
    for part in loc:
        places = [inner for place in places for inner in _inside(schema, place, part)]
    return {key for place in places for key in place.get("properties", {})}


def _inside(root: Schema, place: Schema, part: str | int) -> Iterator[Schema]:
    if isinstance(part, int):
        candidates = [place["items"]] if "items" in place else []
    elif "discriminator" in place:
        candidates = [{"$ref": place["discriminator"]["mapping"][part]}]
    else:
        candidates = [place["properties"][part]] if part in place.get("properties", {}) else []
    for candidate in candidates:
        for alternative in candidate.get("anyOf", [candidate]):
            yield _resolved(root, alternative)


def _resolved(root: Schema, place: Schema) -> Schema:
    while "$ref" in place:
        place = root["$defs"][place["$ref"].rsplit("/", 1)[-1]]
    return place


def _words(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    write = _WORDS.get(error["type"])
    return write(context) if write else error["msg"]


def _number(bound: float) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _listed(context: Mapping[str, Any], key: str = "expected") -> str:
    return f"must be one of {context[key].replace(chr(39), '').replace(' or ', ', ')}"


def _tag(context: Mapping[str, Any]) -> str:
    if context["tag"] == "local":
        return "a local folder stands only in a suite file: `assay run FILE` packs and sends it"
    return _listed(context, "expected_tags")


def _shortest(context: Mapping[str, Any]) -> str:
    return "must not be empty" if context["min_length"] == 1 else f"must have at least {context['min_length']}"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is required",
    "dataclass_type": lambda _: "must be an object",
    "dict_type": lambda _: "must be an object",
    "tuple_type": lambda _: "must be a list",
    "string_type": lambda _: "must be text; a number, a yes or a no needs quotes",
    "int_type": lambda _: "must be a whole number",
    "bool_type": lambda _: "must be true or false",
    "float_type": lambda _: "must be a number",
    "enum": _listed,
    "literal_error": _listed,
    "union_tag_not_found": lambda _: "is required",
    "union_tag_invalid": _tag,
    "greater_than": lambda context: f"must be above {_number(context['gt'])}",
    "greater_than_equal": lambda context: f"must be {_number(context['ge'])} or more",
    "less_than_equal": lambda context: f"must be {_number(context['le'])} or less",
    "too_short": _shortest,
    "string_too_short": _shortest,
    "too_long": lambda context: f"must have at most {context['max_length']} entries",
    "string_too_long": lambda context: f"must have at most {context['max_length']} characters",
    "string_pattern_mismatch": lambda context: PATTERNS_IN_WORDS[context["pattern"]],
    "value_error": lambda context: str(context["error"]),
}
