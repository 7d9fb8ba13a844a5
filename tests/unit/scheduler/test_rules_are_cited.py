"""Each numbered rule of the plan is cited where the code is, and has unit tests that name it."""

import re
from pathlib import Path

import pytest

from scheduler.admission import plan

ROOT = Path(plan.__file__).parents[2]
RULES = [int(number) for number in re.findall(r"^(\d+)\. ", plan.__doc__ or "", flags=re.MULTILINE)]
CODE = [path for path in sorted((ROOT / "scheduler").rglob("*.py")) if path.name != "plan.py"]
TESTS = [path for path in sorted((ROOT / "tests/unit/scheduler").glob("test_*.py")) if path != Path(__file__)]


def cited(paths: list[Path]) -> set[int]:
    """The numbers of the rules that are named in these files."""
    texts = (path.read_text() for path in paths)
    return {int(number) for text in texts for number in re.findall(r"\b[Rr]ule (\d+)\b", text)}


def test_the_rules_are_numbered_without_a_gap() -> None:
    assert list(range(1, 1 + len(RULES))) == RULES
    assert len(RULES) >= 12


@pytest.mark.parametrize("number", RULES)
def test_a_rule_is_cited_in_the_code_and_has_a_unit_test(number: int) -> None:
    assert number in cited(CODE)
    assert number in cited(TESTS)
