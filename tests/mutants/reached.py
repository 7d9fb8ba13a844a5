"""Find which test files evaluate which places, and how long each takes, by one run in an instrumented copy."""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutants import checkout
from mutants.hits import FILE
from mutants.mutate import instrumented

SUITES = ("tests/unit", "tests/properties")
PATIENCE = 1800.0
NO_TESTS = 5


class UnusableError(Exception):
    """A test file fails without any change, so it cannot notice one: mend it first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestFile:
    """A test file: the places that it evaluates, and how many seconds it takes."""

    __test__ = False
    path: str
    seconds: float
    places: frozenset[int]


def test_files(root: Path, suites: Sequence[str]) -> list[str]:
    """Return the test files that may notice a change."""
    return sorted(str(path.relative_to(root)) for suite in suites for path in (root / suite).rglob("test_*.py"))


def measure(
    folder: Path, sources: Mapping[str, tuple[int, str]], suites: Sequence[str], workers: int
) -> list[TestFile]:
    """Return the test files of some folders, those that take the least time first.

    `sources` has the number of the first place of each module, and its text.
    Raises: UnusableError for a test file that fails.
    """
    for path, (first, source) in sources.items():
        (folder / path).write_text(instrumented(source, first))
    with ThreadPoolExecutor(workers) as pool:
        measured = list(pool.map(lambda path: _one(folder, path), test_files(folder, suites)))
    return sorted(measured, key=lambda one: (one.seconds, one.path))


def covering(tests: Sequence[TestFile], place: int) -> list[TestFile]:
    """Return the test files that evaluate a place."""
    return [test for test in tests if place in test.places]


def _one(folder: Path, path: str) -> TestFile:
    hits = folder / f"{path.replace('/', '+')}.hits"
    since = time.monotonic()
    code, output = checkout.run(folder, [path], ["-p", "mutants.hits"], PATIENCE, **{FILE: str(hits)})
    if code not in {checkout.PASSED, NO_TESTS}:
        raise UnusableError(f"{path} fails without a change, with exit code {code}:\n{output}")
    return TestFile(path=path, seconds=time.monotonic() - since, places=frozenset(json.loads(hits.read_text())))
