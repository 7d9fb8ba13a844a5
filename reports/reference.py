"""Write the reference of the keys of suite and test files as Markdown, from their JSON Schemas."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.file_schema import kind_path, schema_of_suite, schema_of_test
from model.json_values import JsonObject, json_list, json_object

_HEAD = """# Keys of suite and test files

This page is made from the code by `make reference`. `assay schema suite` and `assay schema test` print the same as a
JSON Schema. An editor with the YAML language server completes and checks a file that begins with this line, with the
path of the schema as seen from the file:

```yaml
# yaml-language-server: $schema=../docs/schema/suite.json
```

A file with the key `tests` is a suite; any other file is one test. `[]` stands for each entry of a list. A value in
`defaults` of a suite holds for each of its tests, unless the test has its own. `assay validate FILE` also checks the
rules between keys.
"""
_MORE = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}


_KIND = re.compile(r"`(\w+):(\w+)\.([^`]+)`")
"""A key of one of several kinds of a value, as in the paths of examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the reference shows it, each cell as Markdown."""

    path: str
    type: str
    default: str
    description: str
    example: str


def reference() -> str:
    """Return the page."""
    suite, test = schema_of_suite(), schema_of_test()
    in_suite = json_object(json_object(json_object(suite["definitions"])["test"])["properties"])
    during = _key("suite.tests[].during", json_object(in_suite["during"]), required=False)
    suite_keys, test_keys = [*keys(suite, "suite"), during], list(keys(test, "test"))
    parts = [_HEAD, "## A suite\n", _table(suite_keys), "## A test\n", _table(test_keys)]
    return "\n".join(parts)


def keys(node: JsonObject, path: str) -> Iterator[Key]:
    """Yield the keys below a node of a schema, each before its own keys."""
    required = {str(name) for name in json_list(node.get("required", []))}
    for name, value in json_object(node.get("properties", {})).items():
        field = json_object(value)
        own = f"{path}.{name}"
        yield _key(own, field, required=name in required)
        yield from _below(own, field)


def _below(path: str, field: JsonObject) -> Iterator[Key]:
    yield from keys(field, path)
    for kind in map(json_object, json_list(field.get("anyOf", []))):
        yield from keys(kind, kind_path(path, kind))
    if isinstance(field.get("items"), dict):
        yield from keys(json_object(field["items"]), f"{path}[]")


def _key(path: str, field: JsonObject, *, required: bool) -> Key:
    own_keys = "properties" in field  # their defaults are in the rows below
    default = "required" if required else "" if own_keys else _code(field.get("default"))
    return Key(
        path=_KIND.sub(r"`\1.\3` (\2)", f"`{path.partition('.')[2]}`", count=1),
        type=_type(field),
        default=default,
        description=str(field.get("description", "")).partition("\n")[0],
        example=_code(json_list(field.get("examples", [None]))[0]),
    )


def _type(field: JsonObject) -> str:
    """Return the type of a value in words, with its limits."""
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in json_list(field["enum"]))
    kinds = [json_object(kind) for kind in json_list(field.get("anyOf", [])) if kind != {"type": "null"}]
    if kinds:
        return " or ".join(dict.fromkeys(_type(kind) for kind in kinds))
    if field.get("type") == "array":
        return f"list of {_type(json_object(field.get('items', {'type': 'object'})))}"
    if isinstance(field.get("type"), list):
        return " or ".join(map(str, json_list(field["type"])))
    limits = [f"{words} {field[limit]:,}" for limit, words in _MORE.items() if isinstance(field.get(limit), int)]
    return ", ".join([str(field.get("type", "object")), *limits])


def _code(value: object) -> str:
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _table(rows: Sequence[Key]) -> str:
    lines = ["| key | type | default | meaning | example |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.path} | {row.type} | {row.default} | {_cell(row.description)} | {_cell(row.example)} |" for row in rows
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
