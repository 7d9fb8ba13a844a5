"""The recipes of docs/architecture.md, each followed by a patch: how many files it touches, and that the result works.

A patch is applied to a copy of the checkout. Then the contract suite of that port runs on the copy, as it stands. In a
patch `{newest}` and `{next}` stand for the numbers of the last migration and of the one after it.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.sweep import third

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).with_name("patches")
PATIENCE = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a recipe adds, how much of the product it may touch at most, and the tests that must pass after it.

    Of the product it touches `most_files`, or any number of files of the one new `package`. `suites` are arguments of
    pytest.
    """

    patch: str
    suites: tuple[str, ...]
    most_files: int = 0
    package: str = ""


RECIPES = (
    Recipe(
        patch="kind",
        most_files=3,
        suites=("tests/contract/test_kinds.py", "tests/integration/flows/test_maintenance.py"),
    ),
    Recipe(patch="tool", most_files=2, suites=("tests/contract/test_tools.py",)),
    Recipe(
        patch="backend",
        package="cluster/toy",
        suites=(
            "tests/contract/test_backends.py",
            "tests/contract/test_backend_launches.py",
            "tests/integration/flows/test_toy_backend.py",
            "-k",
            "toy",
        ),
    ),
    Recipe(
        patch="rule",
        most_files=2,
        suites=(
            "tests/contract/test_gate_rules.py",
            "tests/properties/test_plan_rules.py",
            "tests/properties/test_plan_days.py",
            "tests/properties/test_simulation.py",
        ),
    ),
    Recipe(
        patch="column",
        most_files=3,
        suites=("tests/integration/db/test_migrations.py", "tests/integration/db/test_executions.py"),
    ),
)


def touched(patch: Path) -> list[str]:
    """Return the files of the product that a patch touches, deleted ones too; tests are not counted."""
    named = re.findall(r"^diff --git a/(\S+) b/\1$", patch.read_text(), flags=re.MULTILINE)
    return [name for name in named if not name.startswith("tests/")]


def added(patch: Path) -> list[str]:
    """Return the files that a patch makes."""
    return re.findall(r"^diff --git a/(\S+) b/\1\nnew file", patch.read_text(), flags=re.MULTILINE)


def numbered(patch: str, checkout: Path) -> str:
    """Return a patch with the numbers of migrations that this checkout gives it."""
    newest = max(int(name.name[:4]) for name in (checkout / "db/migrations/versions").glob("[0-9]*.py"))
    return patch.replace("{newest}", f"{newest:04}").replace("{next}", f"{newest + 1:04}")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of all files of the checkout that git knows, changed ones as they are."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    for package in {(tmp_path / name).parent for name in listed.split("\0") if name.endswith(".py")}:
        compiled = ROOT / package.relative_to(tmp_path) / "__pycache__"
        if compiled.is_dir():  # else each process that a suite starts would compile all of it again
            shutil.copytree(compiled, package / "__pycache__")
    return tmp_path


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.patch)
def test_a_recipe_touches_few_files(recipe: Recipe) -> None:
    files = touched(PATCHES / f"{recipe.patch}.patch")

    if recipe.package:
        assert {str(Path(name).parent) for name in files} == {recipe.package}
        assert set(files) <= set(added(PATCHES / f"{recipe.patch}.patch"))
    else:
        assert 0 < len(files) <= recipe.most_files


@pytest.mark.parametrize("recipe", third(RECIPES), ids=lambda recipe: recipe.patch)
def test_what_a_recipe_adds_passes_the_suites_of_its_port(recipe: Recipe, checkout: Path) -> None:
    patch = numbered((PATCHES / f"{recipe.patch}.patch").read_text(), checkout)
    subprocess.run(["git", "apply", "--verbose", "-"], input=patch, text=True, cwd=checkout, check=True)

    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *recipe.suites]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert done.returncode == 0, done.stdout[-4000:]
