"""The SQL of db/gate is built in one way, as the charter of the package says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

GATE = Path(__file__).parents[3] / "db" / "gate"


def other_ways(source: str) -> Iterator[str]:
    """Yield what builds SQL otherwise: strings that a module composes outside of functions, and `text` itself."""
    tree = ast.parse(source)
    constants = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    for node in (part for constant in constants for part in ast.walk(constant)):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Attribute) and node.attr == "format"):
            yield ast.unparse(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "sqlalchemy":
            yield from (name.name for name in node.names if name.name == "text")


@pytest.mark.parametrize("path", sorted(GATE.glob("*.py")), ids=lambda path: path.name)
def test_shared_parts_come_into_a_statement_by_name_only(path: Path) -> None:
    assert list(other_ways(path.read_text())) == []


@pytest.mark.parametrize(
    "source", ['_A = f"SELECT {B}"', '_A = Prepared("SELECT {}".format(B))', "from sqlalchemy import Row, text"]
)
def test_another_way_is_found(source: str) -> None:
    assert list(other_ways(source)) != []
