"""The inputs on which the first version went wrong (tests/data/first-round), as the check sees them."""

from pathlib import Path

import pytest

from model.document import read_yaml
from model.problems import InvalidError, Problem
from orchestrator.checking import check_file

INPUTS = Path(__file__).parents[2] / "data" / "first-round"


def found(file: Path) -> list[Problem]:
    try:
        check_file(read_yaml(file.read_text(encoding="utf-8")))
    except InvalidError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize("file", sorted((INPUTS / "git-branch-names").glob("*.yaml")), ids=lambda file: file.stem)
def test_a_branch_that_git_allows_is_accepted(file: Path) -> None:
    assert found(file) == []


@pytest.mark.parametrize(
    "file", sorted((INPUTS / "schedule-zones-that-prefect-refuses").glob("*.yaml")), ids=lambda file: file.stem
)
def test_a_zone_that_prefect_refuses_is_refused_at_its_path(file: Path) -> None:
    assert [problem.path for problem in found(file)] == ["schedules[0].timezone"]


def test_a_cron_expression_that_never_fires_is_refused() -> None:
    (problem,) = found(INPUTS / "schedule-that-never-fires" / "suite.yaml")

    assert (problem.path, problem.message) == ("schedules[0].cron", "never fires: none of its months has such a day")


@pytest.mark.parametrize(
    "name",
    [
        *("schedule-hourly-cron-loses-an-hour/hourly", "schedule-hourly-cron-loses-an-hour/nightly"),
        "schedule-interval-dst-twice/daily",
    ],
)
def test_schedules_that_prefect_alone_gets_wrong_are_accepted(name: str) -> None:
    """What Prefect then plans is tested in tests/flows/test_prefect_calendar.py and on a server."""
    assert found(INPUTS / f"{name}.yaml") == []
