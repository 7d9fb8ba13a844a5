"""docs/reference.md and docs/schema are what the code makes, and the schemas agree with the checks."""

import copy
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from cli import main
from model.document import read_yaml
from model.file_examples import EXAMPLES
from model.file_schema import schema_of_suite, schema_of_test
from model.json_values import json_object
from orchestrator.checking import check_file
from reports.reference import keys

ROOT = Path(__file__).parents[3]
FILES = sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "examples" / "suites").glob("*.yaml")])
TEST = {"name": "cart", "type": "pytest", "content": {"type": "inline", "files": {"test_a.py": "def test_a(): pass"}}}
SUITE = {"name": "nightly", "tests": [TEST]}


def made() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.files()  # type: ignore[no-any-return]


def errors(document: object, schema: Any) -> list[str]:
    return [error.message for error in Draft7Validator(schema).iter_errors(document)]


@pytest.mark.parametrize("path", ["reference.md", "schema/suite.json", "schema/test.json"])
def test_the_files_are_what_the_code_makes(path: str) -> None:
    """If this fails: `make reference`."""
    assert (ROOT / "docs" / path).read_text() == made()[ROOT / "docs" / path]


@pytest.mark.parametrize(("kind", "schema"), [("suite", schema_of_suite), ("test", schema_of_test)])
def test_the_command_writes_the_schema(kind: str, schema: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["schema", kind]) == 0

    assert json.loads(capsys.readouterr().out) == schema()
    Draft7Validator.check_schema(schema())


def test_every_key_has_a_meaning_and_an_example() -> None:
    rows = [*keys(schema_of_suite(), "suite"), *keys(schema_of_test(), "test")]

    assert [row.path for row in rows if not row.description] == []
    assert [row.path for row in rows if not row.example] == []
    assert len(rows) > 80


def fields(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each value that has an example or a default, with its schema."""
    for name, field in node.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
        for kind in (*field.get("anyOf", []), field.get("items", {})):
            yield from fields(kind, f"{path}.{name}")


def test_every_example_and_every_default_is_right_by_the_schema() -> None:
    found = [*fields(schema_of_suite(), "suite"), *fields(schema_of_test(), "test")]
    definitions = {"definitions": schema_of_suite()["definitions"]}
    wrong = [
        (path, value, told)
        for path, field in found
        for value in (*field.get("examples", []), *([field["default"]] if "default" in field else []))
        if (told := errors(value, {**field, **definitions}))
    ]

    assert wrong == []


def test_every_example_belongs_to_a_key() -> None:
    """Else a key that was renamed would leave its example behind."""
    schemas = json.dumps([schema_of_suite(), schema_of_test()])

    assert [path for path, example in EXAMPLES.items() if json.dumps([example]) not in schemas] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_schema_accepts_every_example_file_and_editors_find_it(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")

    assert errors(read_yaml(file.read_text()), schema_of_suite()) == []
    assert (file.parent / named).resolve() == ROOT / "docs" / "schema" / "suite.json"


@pytest.mark.parametrize(
    "document",
    [
        SUITE,
        SUITE | {"defaults": {"type": "pytest"}, "tests": [{k: v for k, v in TEST.items() if k != "type"}]},
        SUITE | {"defaults": {"content": TEST["content"]}, "tests": [{"name": "a", "type": "pytest"}]},
        SUITE
        | {
            "defaults": {"content": {"type": "git", "repository": "https://example.com/shop.git"}},
            "tests": [{"name": "a", "type": "pytest", "content": {"path": "tests"}}],
        },
        SUITE | {"tests": [TEST | {"resources": {"cpuRequest": 0.5, "memoryLimit": 1073741824}}]},
        SUITE | {"tests": [TEST | {"content": {"type": "local", "path": "../shop"}}]},
    ],
)
def test_the_schema_accepts_what_the_check_accepts(document: dict[str, Any]) -> None:
    check_file(copy.deepcopy(document))

    assert errors(document, schema_of_suite()) == []


@pytest.mark.parametrize(
    "document",
    [
        SUITE | {"overlap": "wait"},
        SUITE | {"test": []},
        SUITE | {"tests": [{"name": "a"}]},
        SUITE | {"tests": [TEST | {"priority": 10}]},
        SUITE | {"tests": [TEST | {"config": {"timeuot": 5}}]},
        SUITE | {"tests": [TEST | {"content": {"type": "git", "files": {}}}]},
        SUITE | {"defaults": {"kind": "pytest"}},
        {"name": "nightly"},
    ],
)
def test_the_schema_finds_what_the_check_finds(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_file(copy.deepcopy(document))

    assert errors(document, schema_of_suite()) != []


def test_the_schema_of_a_test_finds_a_missing_key() -> None:
    assert errors(TEST, schema_of_test()) == []
    assert errors({"name": "a", "type": "pytest"}, schema_of_test()) != []
    assert json_object(schema_of_test())["required"] == ["name", "type", "content"]
