"""What pytest does, as our plugin reports it: each row of its mapping, and each way in which a run ends."""

from pathlib import Path

import pytest
from harness.tool_runs import ToolRun, run_pytest

from executors.assay_pytest_plugin import MAPPING, Recorder
from model.execution import Reason, Status
from model.result import Outcome, ResultKind

ROOT = Path(__file__).parents[3]

TESTS = """
import pytest

@pytest.fixture
def broken(): raise RuntimeError("no database")
@pytest.fixture
def skips(): pytest.skip("no network")
@pytest.fixture
def leaky():
    yield
    raise RuntimeError("left open")
@pytest.fixture
def skips_later():
    yield
    pytest.skip("too late")

def test_setup_failed(broken): pass
def test_setup_skipped(skips): pass
@pytest.mark.xfail(reason="known")
def test_setup_xfailed(broken): pass
def test_call_passed(): pass
def test_call_failed(): assert 1 == 2, "differ"
def test_call_skipped(): pytest.skip("later")
@pytest.mark.xfail(reason="known")
def test_call_xfailed(): assert False
@pytest.mark.xfail(reason="thought so")
def test_call_xpassed(): pass
@pytest.mark.xfail(strict=True, reason="must fail")
def test_call_strict(): pass
def test_subtest_passed(subtests):
    with subtests.test("fine"): pass
def test_subtest_failed(subtests):
    with subtests.test("bad", i=3): assert False, "this one"
def test_subtest_skipped(subtests):
    with subtests.test("some"): pytest.skip("no")
def test_subtest_xfailed(subtests):
    with subtests.test("some"): pytest.xfail("known")
def test_teardown_failed(leaky): pass
def test_teardown_skipped(skips_later): pass
@pytest.mark.xfail(reason="known")
def test_teardown_xfailed(leaky): pass
def test_call_and_teardown_failed(leaky): assert False, "first"
"""
ERROR, XFAIL, XPASS = ResultKind.ERROR, ResultKind.XFAIL, ResultKind.XPASS
EXPECTED = {
    "test_setup_failed": ("failed", ERROR, "setup: RuntimeError: no database"),
    "test_setup_skipped": ("skipped", None, "no network"),
    "test_setup_xfailed": ("skipped", XFAIL, "failed as expected: known"),
    "test_call_passed": ("passed", None, ""),
    "test_call_failed": ("failed", None, "AssertionError: differ\nassert 1 == 2"),
    "test_call_skipped": ("skipped", None, "later"),
    "test_call_xfailed": ("skipped", XFAIL, "failed as expected: known"),
    "test_call_xpassed": ("passed", XPASS, "passed although expected to fail: thought so"),
    "test_call_strict": ("failed", XPASS, "[XPASS(strict)] must fail"),
    "test_subtest_passed": ("passed", None, ""),
    "test_subtest_skipped": ("passed", None, ""),
    "test_subtest_xfailed": ("passed", None, ""),
    "test_teardown_failed": ("failed", ERROR, "teardown: RuntimeError: left open"),
    "test_teardown_skipped": ("skipped", None, "too late"),
    "test_teardown_xfailed": ("skipped", XFAIL, "failed as expected: known"),
    "test_call_and_teardown_failed": (
        "failed", None, "AssertionError: first\nassert False; teardown: RuntimeError: left open",
    ),
}  # fmt: skip


def run(tmp_path: Path, files: dict[str, str], *arguments: str) -> ToolRun:
    for name, text in files.items():
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return run_pytest(tmp_path / "work", *arguments)


def test_each_report_of_pytest_means_what_the_mapping_says(tmp_path: Path) -> None:
    done = run(tmp_path, {"test_it.py": TESTS})

    found = {
        result.name.removeprefix("test_it.py::"): (str(result.outcome), result.kind, result.message)
        for result in done.results
    }
    subtest = found.pop("test_subtest_failed")
    assert found == EXPECTED
    assert subtest[:2] == ("failed", None)
    assert subtest[2].startswith("subtest [bad] (i=3): AssertionError: this one")
    assert {(phase, "failed") for phase in ("setup", "call", "subtest", "teardown")} <= MAPPING.keys()


def test_a_failure_and_the_error_of_its_teardown_are_both_kept(tmp_path: Path) -> None:
    done = run(tmp_path, {"test_it.py": TESTS}, "-k", "call_and_teardown")

    (only,) = done.results
    (other,) = only.other_failures
    assert (only.kind, other.error, other.message) == (None, True, "teardown: RuntimeError: left open")
    assert "first" in only.trace
    assert "left open" in other.trace


@pytest.mark.parametrize("arguments", [(), ("-n", "1")])
def test_a_file_that_cannot_be_collected_is_failed(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, {"test_bad.py": "import nothing_here", "test_good.py": "def test_a(): pass"}, *arguments)

    assert done.verdict.reason is Reason.TESTS_FAILED
    assert done.told == {"test_bad.py": "error", "test_good.py::test_a": "passed" if arguments else "not_run"}
    assert done.results[0].message.startswith("could not be collected: ")


@pytest.mark.parametrize(
    "body",
    [
        "import pytest\npytest.skip('no database here', allow_module_level=True)",
        "import unittest\nraise unittest.SkipTest('no database here')",
        "import pytest\npytest.importorskip('nothing_here', reason='no database here')",
    ],
)
@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_each_way_to_skip_a_module_is_seen_with_its_reason(
    tmp_path: Path, body: str, arguments: tuple[str, ...]
) -> None:
    done = run(tmp_path, {"tests/test_skip.py": body, "test_it.py": "def test_a(): pass"}, *arguments)

    assert done.verdict.status is Status.COMPLETED
    assert done.told == {"tests/test_skip.py": "skipped", "test_it.py::test_a": "passed"}
    assert done.results[0].message == "no database here"
    assert done.report.planned == 2


def test_modules_that_all_skip_themselves_are_no_tests(tmp_path: Path) -> None:
    skip = "import pytest\npytest.skip('not here', allow_module_level=True)"

    done = run(tmp_path, {"test_a.py": skip, "test_b.py": skip})

    assert (done.exit_code, done.verdict.reason) == (5, Reason.NO_TESTS)
    assert done.told == {"test_a.py": "skipped", "test_b.py": "skipped"}


@pytest.mark.parametrize(
    ("files", "arguments", "reason"),
    [
        ({"other.py": ""}, (), Reason.NO_TESTS),
        ({"test_it.py": "def test_a(): pass"}, ("-k", "nothing"), Reason.NO_TESTS),
        ({"test_it.py": "def test_a(): pass"}, ("--no-such-option",), Reason.CONFIG),
        ({"test_it.py": "def test_a(): pass"}, ("missing.py",), Reason.CONFIG),
        ({"test_it.py": "def test_a(): pass", "conftest.py": "1/0"}, (), Reason.CONFIG),
        ({"test_it.py": "def test_a(): pass", "conftest.py": "import nothing_here"}, (), Reason.CONFIG),
        ({"test_it.py": "def test_a(): pass", "pytest.ini": "[pytest]\naddopts = --nope"}, (), Reason.CONFIG),
    ],
)
def test_a_session_without_tests_has_no_results(
    tmp_path: Path, files: dict[str, str], arguments: tuple[str, ...], reason: Reason
) -> None:
    """The verdict says it. No result is made up that carries the name of the run."""
    done = run(tmp_path, files, *arguments)

    assert done.verdict.reason is reason
    assert done.results == ()
    assert done.report.planned == 0


def test_tests_that_are_collected_only_did_not_run(tmp_path: Path) -> None:
    done = run(tmp_path, {"test_it.py": "def test_a(): pass\ndef test_b(): pass"}, "--co")

    assert (done.exit_code, done.verdict.reason) == (0, Reason.NO_TESTS)
    assert done.told == {"test_it.py::test_a": "not_run", "test_it.py::test_b": "not_run"}


@pytest.mark.parametrize("arguments", [(), ("-x",), ("--maxfail=1", "-n", "1")])
def test_what_did_not_run_is_listed_by_name(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    body = "import pytest\ndef test_a(): pass\ndef test_b(): assert False\n" + "".join(
        f"def test_later_{number}(): pass\n" for number in range(20)
    )
    body += "" if arguments else "def test_never(): pass\n"

    done = run(tmp_path, {"test_it.py": body}, *arguments)

    assert len(done.results) == done.report.planned
    assert ("not_run" in done.told.values()) is bool(arguments)


ENDINGS = {
    "os._exit": "import os; os._exit(7)",
    "kill": "import os; os.kill(os.getpid(), 9)",
    "segmentation fault": "import ctypes; ctypes.string_at(0)",
    "abort": "import os; os.abort()",
}


@pytest.mark.parametrize("how", ENDINGS)
def test_the_test_that_was_running_when_the_process_ended_is_failed(tmp_path: Path, how: str) -> None:
    body = f"def test_a(): pass\ndef test_b():\n    {ENDINGS[how]}\ndef test_c(): pass\n"

    done = run(tmp_path, {"test_it.py": body})

    assert done.verdict.reason is Reason.TESTS_FAILED
    assert done.told == {"test_it.py::test_a": "passed", "test_it.py::test_b": "error", "test_it.py::test_c": "not_run"}
    assert done.results[1].outcome is Outcome.FAILED


def test_a_test_that_ends_the_session_has_no_outcome(tmp_path: Path) -> None:
    body = "import pytest\ndef test_a(): pass\ndef test_b(): pytest.exit('enough', 1)\ndef test_c(): pass\n"

    done = run(tmp_path, {"test_it.py": body})

    assert done.told == {
        "test_it.py::test_a": "passed",
        "test_it.py::test_b": "not_run",
        "test_it.py::test_c": "not_run",
    }


RERUNS = """
import pytest
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    '''Do as pytest-rerunfailures does: run an item up to three times, and report what failed before as `rerun`.'''
    for left in (2, 1, 0):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        again = left and any(report.failed for report in reports)
        for report in reports:
            if again and report.failed:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if not again:
            return True
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "1")])
def test_reruns_of_one_item_are_one_result_with_its_earlier_failures(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    body = (
        "runs = []\n"
        "def test_flaky():\n    runs.append(1)\n    assert len(runs) == 2, f'run {len(runs)}'\n"
        "def test_bad(): assert False, 'always'\n"
        "def test_good(): pass\n"
    )

    done = run(tmp_path, {"test_it.py": body, "conftest.py": RERUNS}, *arguments)

    flaky, bad, good = sorted(done.results, key=lambda result: result.name[len("test_it.py::test_")] != "f")[:3]
    assert done.told == {
        "test_it.py::test_flaky": "passed",
        "test_it.py::test_bad": "failed",
        "test_it.py::test_good": "passed",
    }
    assert done.report.planned == 3
    assert (flaky.flaky, flaky.message) == (True, "passed on rerun 1")
    assert [(f.rerun, f.message.partition("\n")[0]) for f in flaky.other_failures] == [(True, "AssertionError: run 1")]
    assert [f.rerun for f in {bad.name: bad, good.name: good}["test_it.py::test_bad"].other_failures] == [True, True]


@pytest.mark.parametrize("group", ["db", "a@b", "a b", "x::y", "d]b"])
@pytest.mark.parametrize(
    "plain",
    [
        "test_it.py::test_one", "a@b/test_it.py::TestB::test_two[a@b.example]", "test_it.py::test_two[c[d]]",
        "test_it.py::test_two[e::f]", "test_it.py::test_two[]",
    ],
)  # fmt: skip
def test_the_group_of_loadgroup_is_taken_off_and_no_other_at_sign(tmp_path: Path, plain: str, group: str) -> None:
    """pytest-xdist appends it before pytest 9.2, in its workers. `test_first_round_results.py` has it as a run."""
    recorder = Recorder(str(tmp_path / "results.jsonl"))
    recorder._grouped = True

    assert recorder._plain(f"{plain}@{group}") == plain
    assert recorder._plain(plain) == plain


def test_an_at_sign_stays_where_nothing_is_distributed_by_groups(tmp_path: Path) -> None:
    case = (
        "import pytest\nclass Case(pytest.Item):\n    def runtest(self): pass\n"
        "class Cases(pytest.File):\n    def collect(self): yield Case.from_parent(self, name='mail@example')\n"
        "def pytest_collect_file(file_path, parent):\n"
        "    return Cases.from_parent(parent, path=file_path) if file_path.suffix == '.cases' else None\n"
    )

    done = run(tmp_path, {"web.cases": "", "conftest.py": case})

    assert done.told == {"web.cases::mail@example": "passed"}


def test_names_of_many_tests_are_read_in_lines(tmp_path: Path) -> None:
    body = "import pytest\n@pytest.mark.parametrize('n', range(4000), ids=lambda n: f'{n:040}')\ndef test_n(n): pass\n"

    done = run(tmp_path, {"test_it.py": body}, "--co", "-q")

    assert len(done.results) == 4000
    assert set(done.told.values()) == {"not_run"}
