"""The sample suites are valid, their folders and entries are there, and the one that fails says so in its name."""

from pathlib import Path

import pytest

from model.document import read_yaml
from model.request import LocalTest
from model.suite import Suite
from model.suite_windows import During
from orchestrator.checking import check_file

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted([*EXAMPLES.glob("*.yaml"), *(EXAMPLES / "suites").glob("*.yaml")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_sample_is_a_valid_suite_of_its_file_name(file: Path) -> None:
    suite = check_file(read_yaml(file.read_text()))

    assert isinstance(suite, Suite)
    assert suite.name == file.stem
    assert suite.description


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_content_of_a_sample_is_there(file: Path) -> None:
    suite = check_file(read_yaml(file.read_text()))

    assert isinstance(suite, Suite)
    for test in suite.tests:
        assert isinstance(test, LocalTest)
        folder = file.parent / test.content.path
        assert (folder / test.content.entry).exists()
        assert test.setup.requirements is None or (folder / test.setup.requirements).is_file()


def test_the_sample_with_an_experiment_is_valid_and_stands_where_no_start_runs_it() -> None:
    suite = check_file(read_yaml((EXAMPLES / "chaos" / "suites" / "game-day.yaml").read_text()))

    assert isinstance(suite, Suite)
    assert suite.during == tuple(During)
    assert suite.experiment is not None


def test_only_the_nightly_sample_has_a_schedule_and_it_stands_apart() -> None:
    scheduled = [file for file in FILES if "schedules" in file.read_text()]

    assert scheduled == [EXAMPLES / "nightly.yaml"]


def test_there_is_a_shell_suite_and_one_that_fails_on_purpose() -> None:
    names = {file.stem for file in FILES}

    assert {"smoke", "flaky-and-failing"} <= names
