"""Check that each rule in the code has a case in the data of wrong input, which all entries are tested with."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TypeAlias

import pytest
from harness.bad_requests import REQUESTS, SUITES, Cases

from executors import custom_tool, event_tool, pytest_tool
from executors.registry import TOOLS
from model import cron, forms, placement_rules, plain, pod_rules, quantity, rules, secret, suite_rules
from model.examine import REQUEST
from model.fields import PATTERNS_IN_WORDS
from model.problems import InvalidError
from model.suite import FORM
from orchestrator.checking import check, check_suite

Schema: TypeAlias = dict[str, Any]
Bound: TypeAlias = tuple[str, str]

CHECKS: list[tuple[Callable[[Any], object], Cases]] = [(check, REQUESTS), (check_suite, SUITES)]
MAPS = ("propertyNames", "additionalProperties")
TOOL_MODULES = (custom_tool, event_tool, pytest_tool)
"""The modules of the tools. Of these only the function `problems` is a rule."""
RULES: tuple[ModuleType, ...] = (
    rules, placement_rules, pod_rules, suite_rules, plain, forms, quantity, cron, secret, *TOOL_MODULES,
)  # fmt: skip
"""The modules whose problems are not bounds of single fields."""
TOLD = [problem for _, cases in CHECKS for case in cases.cases for problem in case["problems"]]
BOUNDS: dict[str, Callable[[Any], str]] = {
    "minimum": lambda bound: f"must be {bound} or more",
    "maximum": lambda bound: f"must be {bound} or less",
    "minLength": lambda _: "must not be empty",
    "maxLength": lambda bound: f"must have at most {bound} characters",
    "minItems": lambda _: "must not be empty",
    "maxItems": lambda bound: f"must have at most {bound} entries",
    "minProperties": lambda _: "must not be empty",
    "maxProperties": lambda bound: f"must have at most {bound} entries",
    "pattern": lambda bound: PATTERNS_IN_WORDS[bound],
    "enum": lambda bound: f"must be one of {', '.join(bound)}",
    "const": lambda bound: f"must be one of {bound}",
}
"""The keywords of a JSON schema that restrict a value, and their messages."""


@pytest.fixture(scope="module")
def reached() -> dict[str, set[int]]:
    """Return the lines of each module of rules that are executed while all cases are checked."""
    lines: dict[str, set[int]] = {str(module.__file__): set() for module in RULES}

    def inside(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            lines[frame.f_code.co_filename].add(frame.f_lineno)
        return inside

    def entered(frame: FrameType, _event: str, _: object) -> Any:
        return inside if frame.f_code.co_filename in lines else None

    former = sys.gettrace()
    sys.settrace(entered)
    try:
        for look, cases in CHECKS:
            for case in cases.cases:
                with pytest.raises(InvalidError):
                    look(cases.wrong(case))
    finally:
        sys.settrace(former)
    return lines


@pytest.mark.parametrize("module", RULES, ids=lambda module: module.__name__)
def test_each_line_that_finds_a_problem_has_a_case(reached: dict[str, set[int]], module: ModuleType) -> None:
    tree = rules_of(module)
    finding = {node.lineno: ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.stmt) and finds(node)}

    assert finding
    assert {text for line, text in finding.items() if line not in reached[str(module.__file__)]} == set()


@pytest.mark.parametrize("module", RULES, ids=lambda module: module.__name__)
def test_each_message_of_a_rule_has_a_case(module: ModuleType) -> None:
    """Every piece of a message in the code is part of the message of a case, also for messages on one line."""
    pieces = set(messages(rules_of(module)))

    assert pieces
    assert {piece for piece in pieces if not any(piece in problem["message"] for problem in TOLD)} == set()


@pytest.mark.parametrize(("schema", "cases"), [(REQUEST.schema, REQUESTS), (FORM.schema, SUITES)])
def test_each_bound_of_a_field_has_a_case(schema: Schema, cases: Cases) -> None:
    """The case must be about the same field."""
    wanted = set(bounds(schema, schema, ""))
    maps = {path.removesuffix(".*") for path, _ in wanted if path.endswith(".*")}

    told = {(field(problem["path"], maps), problem["message"]) for case in cases.cases for problem in case["problems"]}

    assert len(wanted) > 10
    assert wanted - told == set()


def test_each_tool_is_looked_at() -> None:
    assert {type(tool).__module__ for tool in TOOLS.values()} == {module.__name__ for module in TOOL_MODULES}


def rules_of(module: ModuleType) -> ast.AST:
    """Return the code of a module that finds problems."""
    tree = ast.parse(Path(str(module.__file__)).read_text())
    if module not in TOOL_MODULES:
        return tree
    return next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "problems")


def field(path: str, maps: set[str]) -> str:
    """Return the path of a problem in the form of `bounds`."""
    path = re.sub(r"\[\d+\]", "[*]", path)
    owner = next((one for one in maps if path.startswith((f"{one}.", f'{one}["'))), None)
    return f"{owner}.*" if owner else path


def finds(node: ast.stmt) -> bool:
    """Say whether a statement reports a problem: it yields or adds a finding, raises, or returns a message."""
    match node:
        case ast.Raise() | ast.Expr(value=ast.Yield(value=ast.Call(func=ast.Name(id="Finding")))):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="refuse" | "append"))):
            return True
        case ast.Return(value=ast.Constant() | ast.JoinedStr()):
            return bool(list(words_in(node)))
    return False


def messages(tree: ast.AST) -> Iterator[str]:
    """Yield the texts in functions that contain words, without docstrings."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            for statement in body:
                yield from words_in(statement)


def words_in(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and re.search("[a-z] [a-z]", inner.value):
            yield inner.value


def bounds(root: Schema, node: Schema, path: str) -> Iterator[Bound]:
    """Yield every bound below `node` with its field. `[*]` is any entry, `.*` is any key or value."""
    if "$ref" in node:
        node = {**root["$defs"][node["$ref"].rsplit("/", 1)[-1]], **node}
    yield from ((path, words(node[word])) for word, words in BOUNDS.items() if word in node)
    yield from ((f"{path}.{name}".lstrip("."), "is required") for name in node.get("required", []))
    for place, inner in below(node, path):
        yield from bounds(root, inner, place)


def below(node: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Yield the nodes inside `node`. The constant that distinguishes types of content is not a bound."""
    for name, inner in node.get("properties", {}).items():
        if "const" not in inner or path != "content":
            yield f"{path}.{name}".lstrip("."), inner
    yield from ((path, one) for word in ("anyOf", "oneOf") for one in node.get(word, []))
    yield from ((f"{path}.*", node[word]) for word in MAPS if isinstance(node.get(word), dict))
    if "items" in node:
        yield f"{path}[*]", node["items"]
