"""The targets of the Makefile that collect only some folders collect each test of their mark."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HARNESS = "tests/harness/"


@pytest.mark.parametrize("mark", ["cluster", "faults", "kafka"])
def test_each_marked_test_is_collected(mark: str) -> None:
    targets = (ROOT / "Makefile").read_text().replace("\\\n", "")
    [folders] = re.findall(rf"-m {mark} .*\$\(or \$\(ARGS\),(.*)\)", targets)
    written = re.compile(rf"pytest\.mark\.{mark}\b")
    files = [path for path in sorted((ROOT / "tests").rglob("*.py")) if written.search(path.read_text())]
    marked = [str(path.relative_to(ROOT)) for path in files]

    assert marked
    elsewhere = [name for name in marked if not name.startswith((HARNESS, *folders.split()))]
    assert not elsewhere, f"add their folder to the target test-{mark}"
