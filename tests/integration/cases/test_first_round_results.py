"""The inputs about results that went wrong in the first version, each with what is right.

The inputs are those of the first round, in `tests/data/first-round`. `test_junit_*.py` and `test_pytest_plugin.py` have
more of the same kinds.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from harness.tool_runs import ToolRun, run_custom, run_pytest

from model.execution import Reason, Status
from model.result import Outcome

INPUTS = Path(__file__).parents[2] / "data" / "first-round"
COMPLETED = (Status.COMPLETED, None)


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the input that the test names in its mark."""
    mark = request.node.get_closest_marker("first_round")
    shutil.copytree(INPUTS / mark.args[0], tmp_path / "input")
    return tmp_path / "input"


def junit_run(folder: Path, test: str) -> ToolRun:
    """Run one test of the input's suite, as it stands in its suite file."""
    suite = yaml.safe_load((folder / "suite.yaml").read_text())
    (found,) = [one for one in suite["tests"] if one["name"] == test]
    return run_custom(found["command"], folder, suite["defaults"]["junit"])


def pytest_run(folder: Path) -> ToolRun:
    """Run the one test of the input's suite with its arguments."""
    (test,) = yaml.safe_load((folder / "suite.yaml").read_text())["tests"]
    return run_pytest(folder / "content", *test.get("arguments", ()))


def verdict(run: ToolRun) -> tuple[Status, Reason | None]:
    return run.verdict.status, run.verdict.reason


@pytest.mark.first_round("junit-control-characters")
def test_control_characters_hide_no_failure(folder: Path) -> None:
    run = junit_run(folder, "control characters")

    assert verdict(run) == (Status.FAILED, Reason.TESTS_FAILED)
    assert run.told == {"api::ok": "passed", "api::bad": "failed", "api::later": "passed"}
    assert run.results[1].message.startswith("got ")


@pytest.mark.first_round("junit-decimal-comma")
def test_decimal_commas_are_no_thousands(folder: Path) -> None:
    run = junit_run(folder, "durations")

    assert verdict(run) == COMPLETED
    assert [result.duration_ms for result in run.results] == [160, 1_234_500, 2500]


@pytest.mark.first_round("junit-disabled-is-not-passed")
def test_a_report_of_disabled_tests_only_has_no_tests(folder: Path) -> None:
    run = junit_run(folder, "all disabled")

    assert verdict(run) == (Status.FAILED, Reason.NO_TESTS)
    assert [result.outcome for result in run.results] == [Outcome.SKIPPED] * 2


@pytest.mark.first_round("junit-disabled-is-not-passed")
def test_disabled_tests_are_skipped(folder: Path) -> None:
    run = junit_run(folder, "some disabled")

    assert verdict(run) == COMPLETED
    assert run.told == {"Stack::size": "passed", "Stack::DISABLED_pop": "skipped", "Stack::clear": "skipped"}


@pytest.mark.first_round("junit-same-test-in-two-browsers")
def test_the_same_test_in_two_browsers_is_two_tests(folder: Path) -> None:
    run = junit_run(folder, "both")

    assert run.told == {"cart.spec.ts::adds [chromium]": "passed", "cart.spec.ts::adds [webkit]": "failed"}


@pytest.mark.first_round("junit-same-test-in-two-browsers")
@pytest.mark.parametrize("left_out", ["chromium", "webkit"])
def test_it_keeps_its_name_when_it_runs_in_one_browser_only(folder: Path, left_out: str) -> None:
    both = junit_run(folder, "both").results
    shutil.rmtree(folder.parent / "results")
    report = (folder / "report.xml").read_text().replace('<testsuites tests="2" failures="1">', "<testsuites>")
    begin = report.index(f'<testsuite name="cart.spec.ts" hostname="{left_out}"')
    end = report.index("</testsuite>", begin) + len("</testsuite>")
    (folder / "report.xml").write_text(report[:begin] + report[end:])

    alone = junit_run(folder, "both").results

    assert [result.key for result in alone] == [result.key for result in both if left_out not in result.name]


@pytest.mark.first_round("junit-surefire-rerun-counts")
def test_a_suite_that_counts_attempts_is_no_failure(folder: Path) -> None:
    run = junit_run(folder, "flaky, passes")

    assert verdict(run) == COMPLETED
    assert run.told == {"shop.CartTest::adds": "passed", "shop.CartTest::pays": "passed"}
    assert run.results[1].flaky
    assert run.results[1].message == "timed out"


@pytest.mark.first_round("junit-surefire-rerun-counts")
def test_a_rerun_that_fails_again_is_one_failed_test(folder: Path) -> None:
    run = junit_run(folder, "fails again")

    assert verdict(run) == (Status.FAILED, Reason.TESTS_FAILED)
    assert run.told == {"shop.CartTest::adds": "passed", "shop.CartTest::pays": "failed"}
    assert [failure.message for failure in run.results[1].other_failures] == ["timed out again"]


@pytest.mark.first_round("junit-too-large-message")
def test_a_report_that_is_too_large_is_refused_with_the_limit_and_a_remedy(folder: Path) -> None:
    (folder / "report.xml").write_bytes(subprocess.check_output(["sh", "make.sh"], cwd=folder))

    run = junit_run(folder, "25 MB")

    assert verdict(run) == (Status.FAILED, Reason.REPORT_MISMATCH)
    assert "report.xml is larger than 20 MiB" in run.verdict.detail
    assert "write less output" in run.verdict.detail
    assert "write the JUnit file to" not in run.verdict.detail


@pytest.mark.first_round("pytest-items-of-one-name")
def test_two_items_of_one_name_are_two_results(folder: Path) -> None:
    run = pytest_run(folder)

    assert verdict(run) == (Status.FAILED, Reason.TESTS_FAILED)
    assert run.told == {"web.cases::login": "failed", "web.cases::login #2": "passed", "web.cases::logout": "passed"}


@pytest.mark.first_round("pytest-keep-duplicates")
def test_tests_that_are_run_twice_on_purpose_are_no_mismatch(folder: Path) -> None:
    run = run_pytest(folder / "content", "--keep-duplicates", entries=("test_dup.py", "."))

    assert verdict(run) == COMPLETED
    assert sorted(run.told) == [
        "test_dup.py::test_a", "test_dup.py::test_a #2", "test_dup.py::test_b", "test_dup.py::test_b #2",
    ]  # fmt: skip
    assert set(run.told.values()) == {"passed"}


@pytest.mark.first_round("pytest-keep-duplicates")
def test_arguments_are_given_to_pytest_as_they_are(folder: Path) -> None:
    """Nothing is added to them, so a file that stands once among them is run once."""
    run = pytest_run(folder)

    assert verdict(run) == COMPLETED
    assert sorted(run.told) == ["test_dup.py::test_a", "test_dup.py::test_b"]


@pytest.mark.first_round("pytest-loadgroup-suffix")
def test_a_group_of_xdist_is_no_part_of_a_name(folder: Path) -> None:
    run = pytest_run(folder)

    assert verdict(run) == COMPLETED
    assert sorted(run.told) == [
        "test_groups.py::test_free", "test_groups.py::test_one", "test_groups.py::test_two[a@b.example]",
        "test_groups.py::test_two[plain]",
    ]  # fmt: skip


@pytest.mark.first_round("pytest-skipped-module")
def test_a_module_that_skips_itself_is_skipped_with_its_reason(folder: Path) -> None:
    run = pytest_run(folder)

    assert verdict(run) == COMPLETED
    assert run.told == {"test_module_skip.py": "skipped", "test_it.py::test_a": "passed"}
    assert run.results[0].message == "no database here"


@pytest.mark.first_round("pytest-test-that-ended-it-all")
def test_the_test_that_ended_the_process_is_failed(folder: Path) -> None:
    run = pytest_run(folder)

    assert verdict(run) == (Status.FAILED, Reason.TESTS_FAILED)
    assert run.told == {
        "test_hang.py::test_quick": "passed",
        "test_hang.py::test_hangs": "error",
        "test_hang.py::test_after": "not_run",
    }
    assert run.results[1].outcome is Outcome.FAILED
