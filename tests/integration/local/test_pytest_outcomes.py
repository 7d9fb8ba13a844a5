"""pytest with our plugin, as a real process: what each kind of test becomes, and how each end of pytest is told.

It runs by the interpreter of these tests; `test_suites.py` shows it in environments of its own.
"""

import sys
from pathlib import Path

import pytest
from harness.attempts import Bench, output, places_of, running, until

from cluster.local import processes
from cluster.local.processes import ExitRecord, LaunchSpec
from executors.pytest_tool import PytestTool
from model.content import InlineContent
from model.ending import Ending, How
from model.execution import Reason, Status
from model.request import TestRequest, TestType
from model.result import Outcome, Report
from model.verdict import judge

TOOL = PytestTool()
OUTCOMES = """
import pytest

@pytest.fixture
def broken(): raise RuntimeError("no database")

@pytest.fixture
def leaky():
    yield
    raise RuntimeError("left open")

def test_passed(): pass
def test_failed(): assert 1 == 2, "numbers differ"
def test_setup_error(broken): pass
def test_teardown_error(leaky): pass
def test_both(leaky): assert False, "first"
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
def test_skipped_inside(): pytest.skip("later")
@pytest.mark.xfail(reason="known")
def test_xfail(): assert False
@pytest.mark.xfail(reason="thought so")
def test_xpass(): pass
@pytest.mark.xfail(strict=True, reason="must fail")
def test_strict_xpass(): pass
@pytest.mark.parametrize("text", ["plain", "\\x00", "\\ud800", "é" * 600, "é" * 601])
def test_name(text): pass
"""


def request(*arguments: str, entry: str = ".", **more: object) -> TestRequest:
    content = InlineContent(files={"test_it.py": ""}, path=entry)
    return TestRequest(name="suite", type=TestType.PYTEST, content=content, arguments=arguments, **more)  # type: ignore[arg-type]


def suite(bench: Bench, files: dict[str, str], *arguments: str, entry: str = ".") -> LaunchSpec:
    spec = bench.spec("true")
    for name, text in files.items():
        (spec.cwd / name).parent.mkdir(parents=True, exist_ok=True)
        (spec.cwd / name).write_text(text)
    return running(spec, TOOL.command(request(*arguments, entry=entry)), places_of(spec, Path(sys.executable), entry))


def result(bench: Bench, files: dict[str, str], *arguments: str, entry: str = ".") -> tuple[ExitRecord, Report]:
    spec = suite(bench, files, *arguments, entry=entry)
    record = bench.run(spec)
    return record, TOOL.read(request(), spec.folder / "results")


def verdict(record: ExitRecord, report: Report) -> tuple[Status, Reason | None]:
    ending = Ending(exit_code=record.exit_code, signal=record.signal, how=How(record.reason))
    judged = judge(report, ending, TOOL.verdict)
    return judged.status, judged.reason


def test_each_kind_of_outcome_becomes_one_result(bench: Bench) -> None:
    record, report = result(bench, {"test_it.py": OUTCOMES})

    assert record.exit_code == 1
    assert (report.broken, report.finished, report.planned) == ("", True, 15)
    found = {r.name.removeprefix("test_it.py::"): (r.outcome, r.message) for r in report.results}
    assert {name: told for name, told in found.items() if not name.startswith("test_name")} == {
        "test_passed": (Outcome.PASSED, ""),
        "test_failed": (Outcome.FAILED, "AssertionError: numbers differ\nassert 1 == 2"),
        "test_setup_error": (Outcome.FAILED, "setup: RuntimeError: no database"),
        "test_teardown_error": (Outcome.FAILED, "teardown: RuntimeError: left open"),
        "test_both": (Outcome.FAILED, "AssertionError: first\nassert False; teardown: RuntimeError: left open"),
        "test_skipped": (Outcome.SKIPPED, "not today"),
        "test_skipped_inside": (Outcome.SKIPPED, "later"),
        "test_xfail": (Outcome.SKIPPED, "failed as expected: known"),
        "test_xpass": (Outcome.PASSED, "passed although expected to fail: thought so"),
        "test_strict_xpass": (Outcome.FAILED, "[XPASS(strict)] must fail"),
    }
    names = [name for name in found if name.startswith("test_name")]
    assert len(names) == 5
    assert all(len(f"test_it.py::{name}") <= 500 for name in names)


def test_a_trace_and_times_come_with_a_failure(bench: Bench) -> None:
    _, report = result(
        bench, {"test_it.py": "import time\ndef test_a():\n    time.sleep(0.05)\n    assert [] == [1]\n"}
    )

    (only,) = report.results
    assert "test_it.py:4: AssertionError" in only.trace
    assert only.duration_ms >= 50
    assert only.executed_at is not None


def test_subtests_fail_their_test_and_skip_nothing_else(bench: Bench) -> None:
    _, report = result(
        bench,
        {
            "test_it.py": "import pytest\n"
            "def test_one_bad(subtests):\n"
            "    with subtests.test('good'): pass\n"
            "    with subtests.test('bad'): assert False, 'this one'\n"
            "def test_one_skipped(subtests):\n"
            "    with subtests.test('skipped'): pytest.skip('no')\n"
        },
    )

    found = {r.name.removeprefix("test_it.py::"): r.outcome for r in report.results}
    assert found == {"test_one_bad": Outcome.FAILED, "test_one_skipped": Outcome.PASSED}


def test_xdist_is_recorded_by_the_one_process_that_hears_of_all(bench: Bench) -> None:
    body = "import pytest\n@pytest.mark.parametrize('n', range(20))\ndef test_n(n): assert n != 7\n"

    record, report = result(bench, {"test_it.py": body}, "-n", "2")

    assert record.exit_code == 1
    assert (report.finished, report.planned, len(report.results)) == (True, 20, 20)
    assert [r.name for r in report.results if r.outcome is Outcome.FAILED] == ["test_it.py::test_n[7]"]


def test_a_worker_of_xdist_that_dies_is_a_failed_test(bench: Bench) -> None:
    body = "import os\ndef test_a(): os._exit(3)\ndef test_b(): pass\n"

    record, report = result(bench, {"test_it.py": body}, "-n", "1")

    assert record.exit_code == 1
    assert {r.name: r.outcome for r in report.results} == {
        "test_it.py::test_a": Outcome.FAILED,
        "test_it.py::test_b": Outcome.PASSED,
    }


PASSING, FAILING = "def test_a(): pass\n", "def test_a(): assert False\n"
ENDS = {
    "all pass": ({"test_it.py": PASSING}, (), 0, None, (Status.COMPLETED, None)),
    "one fails": ({"test_it.py": FAILING}, (), 1, None, (Status.FAILED, Reason.TESTS_FAILED)),
    "no tests": ({"other.py": ""}, (), 5, None, (Status.FAILED, Reason.NO_TESTS)),
    "all deselected": ({"test_it.py": PASSING}, ("-k", "nothing"), 5, None, (Status.FAILED, Reason.NO_TESTS)),
    "cannot be collected": ({"test_it.py": "import nothing_here"}, (), 2, None, (Status.FAILED, Reason.TESTS_FAILED)),
    "wrong usage": ({"test_it.py": PASSING}, ("--no-such-option",), 4, None, (Status.FAILED, Reason.CONFIG)),
    "conftest is broken": (
        {"test_it.py": PASSING, "conftest.py": "1/0"}, (), 4, None, (Status.FAILED, Reason.CONFIG),
    ),
    "exits in a test with 0": (
        {"test_it.py": "import os\ndef test_a(): os._exit(0)\n"}, (), 0, None, (Status.FAILED, Reason.REPORT_MISMATCH),
    ),
    "exits after the tests with 0": (
        {"test_it.py": "import atexit, os\natexit.register(os._exit, 0)\ndef test_a(): assert False\n"}, (), 0, None,
        (Status.FAILED, Reason.REPORT_MISMATCH),
    ),
    "segmentation fault": (
        {"test_it.py": "import ctypes\ndef test_a(): ctypes.string_at(0)\n"}, (), None, 11,
        (Status.FAILED, Reason.TESTS_FAILED),
    ),
    "pytest.exit": (
        {"test_it.py": "import pytest\ndef test_a(): pass\ndef test_b(): pytest.exit('enough', 0)\n"}, (), 0, None,
        (Status.FAILED, Reason.REPORT_MISMATCH),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_each_end_of_pytest_has_its_exit_code_and_verdict(bench: Bench, case: str) -> None:
    files, arguments, code, number, expected = ENDS[case]

    record, report = result(bench, files, *arguments)

    assert (record.exit_code, record.signal) == (code, number)
    assert verdict(record, report) == expected


def test_a_death_in_the_middle_leaves_what_was_done_and_names_what_was_running(bench: Bench) -> None:
    body = "import os\ndef test_a(): pass\ndef test_b(): os.kill(os.getpid(), 9)\ndef test_c(): pass\n"

    _, report = result(bench, {"test_it.py": body})

    assert [r.name for r in report.results] == ["test_it.py::test_a"]
    assert (report.planned, report.finished, report.running) == (3, False, "test_it.py::test_b")


def test_a_test_that_forks_and_lets_the_child_run_on_is_counted_once(bench: Bench) -> None:
    body = "import os\ndef test_a():\n    os.fork()\ndef test_b(): pass\n"

    _, report = result(bench, {"test_it.py": body})

    assert sorted(r.name for r in report.results) == ["test_it.py::test_a", "test_it.py::test_b"]


def test_a_test_that_closes_all_files_is_recorded_all_the_same(bench: Bench) -> None:
    """pytest itself does not survive that to the end; what it did is known."""
    body = "import os\ndef test_a(): os.closerange(3, 200)\ndef test_b(): pass\n"

    _, report = result(bench, {"test_it.py": body}, "-p", "no:faulthandler", "-s")

    assert [r.name for r in report.results] == ["test_it.py::test_a", "test_it.py::test_b"]
    assert (report.broken, report.finished) == ("", False)


def test_progress_is_told_while_it_runs(bench: Bench) -> None:
    body = "import time\ndef test_a(): pass\ndef test_b(): assert 0\ndef test_c(): time.sleep(30)\n"
    spec = suite(bench, {"test_it.py": body})
    handle = processes.launch(spec)
    results = spec.folder / "results"

    until(lambda: TOOL.progress(results).completed == 2, "two have ended")
    summary = TOOL.progress(results)
    processes.stop(handle)

    assert (summary.total, summary.passed, summary.failed, summary.skipped) == (3, 1, 1, 0)


def test_the_content_finds_its_own_packages_and_none_of_ours(bench: Bench) -> None:
    """It has packages that are named like ours; and the folder that our plugin is run from is not on its path.

    That our packages are not there at all is shown with environments of their own, in `test_suites.py`.
    """
    files = {
        "db/__init__.py": "NAME = 'theirs'",
        "tests/__init__.py": "",
        "tests/conftest.py": "import pytest\n@pytest.fixture\ndef name():\n    import db\n    return db.NAME\n",
        "tests/test_it.py": (
            "import importlib.util, os, sys, tests\n"
            "def test_theirs(name): assert name == 'theirs' and tests.__file__.startswith(os.getcwd())\n"
            "def test_ours():\n"
            "    for module in ('pytest_tool', 'tool', 'hostile', 'registry', 'assay_pytest_plugin'):\n"
            "        assert importlib.util.find_spec(module) is None, module\n"
        ),
    }

    record, report = result(bench, files, entry="tests")

    assert record.exit_code == 0, [r.message for r in report.results]
    assert len(report.results) == 2


def test_settings_above_the_content_are_not_those_of_the_content(bench: Bench) -> None:
    """The state folder may lie in a project that configures pytest, and has a conftest.py, for itself."""
    bench.folder.mkdir(parents=True)
    (bench.folder / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (bench.folder / "conftest.py").write_text("1/0\n")

    record, report = result(bench, {"test_it.py": PASSING})

    assert record.exit_code == 0
    assert [r.name for r in report.results] == ["test_it.py::test_a"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\npython_functions = check_*\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\npython_functions = ['check_*']\n"),
        ("setup.cfg", "[tool:pytest]\npython_functions = check_*\n"),
        ("tox.ini", "[pytest]\npython_functions = check_*\n"),
    ],
)
def test_settings_in_the_content_hold(bench: Bench, name: str, text: str) -> None:
    files = {f"service/{name}": text, "service/tests/test_it.py": "def check_a(): pass\ndef test_b(): assert 0\n"}

    record, report = result(bench, files, entry="service/tests")

    assert record.exit_code == 0
    assert [r.name for r in report.results] == ["tests/test_it.py::check_a"]


def test_the_log_comes_while_pytest_runs(bench: Bench) -> None:
    spec = suite(bench, {"test_it.py": "import time\ndef test_a():\n    print('here')\n    time.sleep(30)\n"}, "-s")
    handle = processes.launch(spec)

    until(lambda: (spec.folder / "output.log").exists() and b"here" in output(spec), "the line is in the log")
    processes.stop(handle)
