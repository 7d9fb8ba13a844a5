"""The tables of `docs/results.md` are those that the code goes by."""

import re
from pathlib import Path

from executors.assay_pytest_plugin import MAPPING
from executors.junit.dialects import RULES
from model.result import KINDS_OF, ResultKind

PAGE = (Path(__file__).parents[3] / "docs" / "results.md").read_text()


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table below a title row."""
    table = PAGE[PAGE.index(title) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def test_the_mapping_of_pytest_is_the_one_of_the_plugin() -> None:
    told = {
        (phase, outcome): (result, kind, text) for phase, outcome, result, kind, text in rows("| phase | outcome |")
    }

    assert told == {
        key: (meaning.outcome, meaning.detail, f"`{meaning.message.format(text='...')}`" if meaning.message else "")
        for key, meaning in MAPPING.items()
    }


def test_the_rules_for_junit_are_those_of_the_reader() -> None:
    assert rows("| written | read as | by |") == [[rule.writes, rule.means, rule.source] for rule in RULES]


def test_every_kind_of_result_is_told() -> None:
    told = {cells[0].strip("`"): cells[1] for cells in rows("| kind | status | meaning |")}

    assert set(told) == set(ResultKind)
    for outcome, kinds in KINDS_OF.items():
        assert all(str(outcome) in told[kind] for kind in kinds)
