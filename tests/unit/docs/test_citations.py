"""Code and documents cite decisions: D5 is rule 5 of docs/decisions/000, 004.6 is rule 6 of docs/decisions/004."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DECISIONS = ROOT / "docs" / "decisions"
FOLDERS = (
    "api", "benchmarks", "blocks", "chaos", "cli", "cluster", "db", "deploy", "docs", "events", "examples", "executors",
    "flows", "model", "orchestrator", "reports", "scheduler", "tests",
)  # fmt: skip
SUFFIXES = frozenset({".py", ".md", ".sql"})
PLAN = "000"
_CITATION = re.compile(r"(?<![\w.,-])(?:D(?P<plan>[1-9]\d?)|(?P<page>0\d\d)\.(?P<rule>[1-9]\d*))(?![\w%-]|\.\d)")
_OLD_FORM = re.compile(r"\bdecision \d", re.IGNORECASE)
_RULE = re.compile(r"^(\d+)\. ", re.MULTILINE)


def files() -> Iterator[Path]:
    """Yield every file that may cite a decision."""
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in SUFFIXES)
    yield from sorted(ROOT.glob("*.md"))


def numbers_of(text: str) -> list[int]:
    """Return the numbers of the rules of a page."""
    return [int(number) for number in _RULE.findall(text)]


def cited(text: str) -> set[str]:
    """Return what a text cites, each as page and rule."""
    return {f"{found['page'] or PLAN}.{found['rule'] or found['plan']}" for found in _CITATION.finditer(text)}


def rules() -> set[str]:
    """Return all rules of all pages."""
    pages = [(page.name[:3], page.read_text()) for page in DECISIONS.glob("*.md")]
    return {f"{number}.{rule}" for number, text in pages for rule in numbers_of(text)}


def test_every_citation_names_a_rule_that_is_there() -> None:
    known = rules()
    found = {(str(path.relative_to(ROOT)), rule) for path in files() for rule in cited(path.read_text())}

    assert [(path, rule) for path, rule in sorted(found) if rule not in known] == []
    assert {"000.5", "001.6", "005.2"} <= {rule for _, rule in found}


def test_no_citation_has_the_old_form() -> None:
    """`decision 5` was rule 5 of the plan or page 5 of the folder: nobody could know which."""
    texts = ((path, path.read_text()) for path in files() if path != Path(__file__))

    assert [str(path.relative_to(ROOT)) for path, text in texts if _OLD_FORM.search(text)] == []


@pytest.mark.parametrize("page", sorted(DECISIONS.glob("*.md")), ids=lambda page: page.name)
def test_the_rules_of_a_page_are_numbered_without_a_gap(page: Path) -> None:
    numbers = numbers_of(page.read_text())

    assert numbers == list(range(1, len(numbers) + 1))
    assert page.read_text().startswith(f"# {page.name[:3]}: ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tried again (D5).", {"000.5"}),
        ("as with tests (001.6), and 004.7: so", {"001.6", "004.7"}),
        ("D105, noqa: D103, 1,000.5 s, 0.005, 3D1, UD7", set()),
        ("from 0.001 to 1000.25; version 001.2.3", set()),
    ],
)
def test_what_counts_as_a_citation(text: str, found: set[str]) -> None:
    assert cited(text) == found
