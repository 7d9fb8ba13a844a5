"""Each package says in its first lines what belongs there, and has a line for each of its modules."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = tuple(
    path.name for path in ROOT.iterdir() if (path / "__init__.py").exists() and path.name not in {"tests", "benchmarks"}
)
MIGRATIONS = ROOT / "db/migrations"
PACKAGES = sorted(
    init.parent for room in ROOMS for init in (ROOT / room).rglob("__init__.py") if MIGRATIONS not in init.parents
)


def _inside(package: Path) -> set[str]:
    modules = {file.stem for file in package.glob("*.py")} - {"__init__"}
    return modules | {init.parent.name for init in package.glob("*/__init__.py")}


def _in_the_map(package: Path) -> list[str]:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    lines = re.findall(r"^ *((?:\w+, )*\w+)  +\S", text, re.MULTILINE)
    return [name for line in lines for name in line.split(", ")]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.relative_to(ROOT).as_posix())
def test_the_map_of_a_package_has_one_line_for_each_module(package: Path) -> None:
    listed, there = _in_the_map(package), _inside(package)

    assert there - set(listed) == set(), f"add a line for each to {package.relative_to(ROOT)}/__init__.py"
    assert set(listed) - there == set()
    assert len(listed) == len(there)
