"""What pytest runs: without an entry what a person would run in that folder, else the entries."""

from pathlib import Path

import pytest
from harness.tool_runs import ToolRun, run_pytest

from model.execution import Reason, Status

PYPROJECT = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'
FILES = {
    "tests/test_a.py": "def test_a(): pass\n",
    "tests/test_c.py": "def test_c(): pass\n",
    "bench/test_b.py": "def test_b(): assert False\n",
    "test_zoo.py": (
        "import pytest\n@pytest.mark.xfail\ndef test_xfail(): assert False\n"
        "@pytest.mark.parametrize('name', ['a::b', 'c/d'])\ndef test_named(name): pass\n"
    ),
}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for name, text in {**FILES, "pyproject.toml": PYPROJECT}.items():
        (tmp_path / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / name).write_text(text)
    return tmp_path / "work"


def names(run: ToolRun) -> list[str]:
    return sorted(run.told)


def test_without_an_entry_the_testpaths_of_the_project_hold(work: Path) -> None:
    run = run_pytest(work)

    assert run.verdict.good
    assert names(run) == ["tests/test_a.py::test_a", "tests/test_c.py::test_c"]


def test_arguments_narrow_what_is_run(work: Path) -> None:
    assert names(run_pytest(work, "tests/test_a.py")) == ["tests/test_a.py::test_a"]


def test_an_entry_is_run_whatever_the_testpaths_are(work: Path) -> None:
    run = run_pytest(work, entries=("bench",))

    assert (run.verdict.status, names(run)) == (Status.FAILED, ["bench/test_b.py::test_b"])


def test_entries_may_be_node_ids(work: Path) -> None:
    run = run_pytest(work, entries=("test_zoo.py::test_xfail", "tests/test_a.py", "test_zoo.py::test_named[a::b]"))

    assert names(run) == ["test_zoo.py::test_named[a::b]", "test_zoo.py::test_xfail", "tests/test_a.py::test_a"]
    assert run.told["test_zoo.py::test_xfail"] == "xfail"


def test_an_option_that_may_have_a_value_does_not_take_the_entry_for_it(work: Path) -> None:
    """`--debug` may have one, and stands last."""
    run = run_pytest(work, "--durations-min=1", "--debug", entries=("tests/test_a.py",))

    assert names(run) == ["tests/test_a.py::test_a"]


@pytest.mark.parametrize("entry", ["test_zoo.py::test_gone", "tests/test_a.py::TestGone::test_a"])
def test_a_test_that_is_not_there_is_a_matter_of_the_request(work: Path, entry: str) -> None:
    run = run_pytest(work, entries=(entry,))

    assert (run.exit_code, run.verdict.reason) == (4, Reason.CONFIG)


def test_the_header_shows_no_settings_file_where_there_is_none(work: Path) -> None:
    (work / "pyproject.toml").unlink()

    run = run_pytest(work, "tests")

    assert run.verdict.good
    assert "rootdir: " in run.output
    assert "null" not in run.output
    assert "configfile" not in run.output


def test_the_header_shows_the_settings_file_that_holds(work: Path) -> None:
    assert "configfile: pyproject.toml" in run_pytest(work).output


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-p no_such_plugin"\n'),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "--no-such-option"\n'),
        ("conftest.py", "import sys\nsys.exit('no database')\n"),
        ("conftest.py", "import os\nos._exit(7)\n"),
        ("conftest.py", "import nothing_here\n"),
        ("conftest.py", "def test(:\n"),
    ],
)
def test_a_session_that_cannot_begin_is_a_matter_of_the_set_up(work: Path, name: str, text: str) -> None:
    (work / name).write_text(text)

    run = run_pytest(work)

    assert run.verdict.reason is Reason.CONFIG, run.output
    assert run.verdict.detail.startswith(f"pytest could not start its session (exit code {run.exit_code}): ")
    assert run.results == ()


COVERAGE = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session):
    result = yield
    session.testsfailed = 1
    return result

def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("FAIL Required test coverage of 100% not reached. Total coverage: 60.00%")
"""
"""What pytest-cov does if the coverage is below its limit."""


def test_coverage_below_its_limit_is_the_tool_that_failed(work: Path) -> None:
    (work / "conftest.py").write_text(COVERAGE)

    run = run_pytest(work)

    assert (run.exit_code, run.verdict.reason) == (1, Reason.TOOL_FAILED)
    assert run.verdict.detail == (
        "2 passed and none failed, but it ended with exit code 1: "
        "FAIL Required test coverage of 100% not reached. Total coverage: 60.00%"
    )
    assert set(run.told.values()) == {"passed"}
