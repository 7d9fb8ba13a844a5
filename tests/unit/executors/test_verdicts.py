"""Tests of the verdict: exit code and report must agree, and an unknown outcome is never passed."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from executors.registry import tool_for
from model.ending import Ending, How
from model.execution import Reason, Status
from model.request import TestType
from model.result import Outcome, Report, Result, ResultKind
from model.verdict import has_report, judge, whole_result

PASS = Result(name="test_a", outcome=Outcome.PASSED)
FAIL = Result(name="test_b", outcome=Outcome.FAILED)
SKIP = Result(name="test_c", outcome=Outcome.SKIPPED)


PYTEST = TestType.PYTEST
CUSTOM = TestType.CUSTOM


def report(*results: Result, planned: int | None = None, running: str | None = None, finished: bool = True) -> Report:
    unfinished = () if running is None else (replace(SKIP, name=running, kind=ResultKind.NOT_RUN),)
    return Report(results=results, finished=finished, planned=planned or len(results), unfinished=unfinished)


def died(*results: Result, running: str | None = None, planned: int | None = None) -> Report:
    return report(*results, running=running, planned=planned, finished=False)


def exited(code: int) -> Ending:
    return Ending(how=How.EXITED, exit_code=code)


def killed(signal: int) -> Ending:
    return Ending(how=How.EXITED, signal=signal)


NOTHING = Report()
EMPTY = Report(finished=True, planned=0)
BROKEN = Report(broken="line 3 is no JSON")
NOT_STARTED = Ending(how=How.START_ERROR, detail="no such file")
OK = None

Row: TypeAlias = tuple[str, TestType, Report, Ending, Reason | None, str]

TABLE: list[Row] = [
    # pytest: the report is whole
    ("all passed", PYTEST, report(PASS), exited(0), OK, ""),
    ("passed and skipped", PYTEST, report(PASS, SKIP), exited(0), OK, ""),
    ("one failed", PYTEST, report(PASS, FAIL), exited(1), Reason.TESTS_FAILED, "1 of 2 failed, first test_b"),
    ("stopped at the first", PYTEST, report(FAIL, planned=9), exited(1), Reason.TESTS_FAILED, "1 of 9 failed"),
    ("collection errors", PYTEST, report(FAIL), exited(2), Reason.TESTS_FAILED, "first test_b"),
    ("only skipped", PYTEST, report(SKIP), exited(0), Reason.NO_TESTS, "all 1 were skipped"),
    ("nothing collected", PYTEST, report(), exited(5), Reason.NO_TESTS, "no tests were found"),
    ("nothing collected, no report", PYTEST, NOTHING, exited(5), Reason.NO_TESTS, "no tests were found"),
    ("nothing and exit 0", PYTEST, report(), exited(0), Reason.NO_TESTS, "no tests were found"),
    ("wrong options", PYTEST, NOTHING, exited(4), Reason.CONFIG, "exit code 4"),
    ("an error of pytest", PYTEST, report(PASS), exited(3), Reason.TOOL_FAILED, "exit code 3"),
    ("too many warnings", PYTEST, report(PASS), exited(6), Reason.TOOL_FAILED, "warnings"),
    ("coverage below its limit", PYTEST, report(PASS), exited(1), Reason.TOOL_FAILED, "1 passed and none failed, but"),
    # pytest: exit code and report disagree
    ("failed and exit 0", PYTEST, report(PASS, FAIL), exited(0), Reason.REPORT_MISMATCH, "but 1 failed"),
    ("passed and exit 5", PYTEST, report(PASS), exited(5), Reason.REPORT_MISMATCH, "but 1 reported"),
    ("interrupted, none failed", PYTEST, report(PASS), exited(2), Reason.TOOL_FAILED, "exit code 2"),
    ("fewer outcomes than tests", PYTEST, report(PASS, planned=3), exited(0), Reason.REPORT_MISMATCH, "2 of 3"),
    ("no report and exit 0", PYTEST, NOTHING, exited(0), Reason.REPORT_MISMATCH, "ends early"),
    (
        "a plugin that is not there",
        PYTEST,
        NOTHING,
        exited(1),
        Reason.CONFIG,
        "could not start its session (exit code 1)",
    ),
    ("it ended between two tests", PYTEST, died(PASS, planned=2), exited(1), Reason.REPORT_MISMATCH, "ends early"),
    ("a broken report", PYTEST, BROKEN, exited(0), Reason.REPORT_MISMATCH, "line 3 is no JSON"),
    # pytest: it ended in the middle
    ("a test called _exit(0)", PYTEST, died(PASS, running="test_x"), exited(0), Reason.REPORT_MISMATCH, "test_x"),
    ("a test called _exit(7)", PYTEST, died(PASS, running="test_x"), exited(7), Reason.TESTS_FAILED, "test_x"),
    ("a test raised an interrupt", PYTEST, died(PASS, running="test_x"), exited(2), Reason.TESTS_FAILED, "test_x"),
    ("failed, then _exit(7)", PYTEST, died(FAIL, running="test_x"), exited(7), Reason.TESTS_FAILED, "test_b"),
    ("a test crashed", PYTEST, died(PASS, running="test_x"), killed(11), Reason.TESTS_FAILED, "SIGSEGV while test_x"),
    ("killed between tests", PYTEST, died(PASS), killed(9), Reason.TESTS_FAILED, "ended by SIGKILL"),
    ("an unknown signal", PYTEST, died(PASS), killed(99), Reason.TESTS_FAILED, "signal 99"),
    # custom without a report: the exit code alone
    ("a command that succeeds", CUSTOM, NOTHING, exited(0), OK, ""),
    ("a command whose tool reads no file", CUSTOM, Report(finished=True), exited(0), OK, ""),
    ("a command that fails", CUSTOM, NOTHING, exited(3), Reason.TESTS_FAILED, "exit code 3"),
    ("a command that is not found", CUSTOM, NOTHING, exited(127), Reason.TESTS_FAILED, "command not found"),
    ("a command that crashes", CUSTOM, NOTHING, killed(6), Reason.TESTS_FAILED, "SIGABRT"),
    # custom with a JUnit file: both must agree
    ("report and command good", CUSTOM, report(PASS), exited(0), OK, ""),
    ("report and command bad", CUSTOM, report(PASS, FAIL), exited(1), Reason.TESTS_FAILED, "first test_b"),
    ("report bad, command good", CUSTOM, report(FAIL), exited(0), Reason.REPORT_MISMATCH, "but 1 failed"),
    ("report good, command bad", CUSTOM, report(PASS), exited(1), Reason.TOOL_FAILED, "1 passed and none failed"),
    ("report empty, command bad", CUSTOM, EMPTY, exited(1), Reason.TOOL_FAILED, "no test failed"),
    ("a report that ends early, command bad", CUSTOM, died(PASS), exited(1), Reason.REPORT_MISMATCH, "no test failed"),
    ("an empty report", CUSTOM, EMPTY, exited(0), Reason.NO_TESTS, "no tests"),
    ("only skipped in the report", CUSTOM, report(SKIP), exited(0), Reason.NO_TESTS, "all 1 were skipped"),
    ("a report that ends early", CUSTOM, died(PASS), exited(0), Reason.REPORT_MISMATCH, "ends early"),
    ("a broken JUnit file", CUSTOM, BROKEN, exited(1), Reason.REPORT_MISMATCH, "line 3 is no JSON"),
    # ended from outside: whatever the report says
    ("out of memory", PYTEST, died(running="test_x"), Ending(how=How.OOM, signal=9), Reason.OOM_KILLED, "test_x"),
    (
        "not started",
        CUSTOM,
        NOTHING,
        Ending(how=How.START_ERROR, detail="no such file"),
        Reason.START_ERROR,
        "no such file",
    ),
    ("no room", CUSTOM, NOTHING, Ending(how=How.NO_ROOM, detail="no memory"), Reason.INFRASTRUCTURE, "no memory"),
    ("no disk", CUSTOM, NOTHING, Ending(how=How.NO_DISK), Reason.TOOL_FAILED, "scratch disk"),
    ("evicted", PYTEST, died(running="test_x"), Ending(how=How.EVICTED, detail="drained"), Reason.EVICTED, "drained"),
    ("node lost", PYTEST, report(PASS), Ending(how=How.NODE_LOST), Reason.NODE_LOST, "its node was lost"),
    ("lost", PYTEST, report(PASS), Ending(how=How.LOST), Reason.INFRASTRUCTURE, "lost"),
    ("nobody knows", PYTEST, report(PASS), Ending(how=How.EXITED), Reason.INFRASTRUCTURE, "nobody knows"),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_each_row_of_the_table_has_its_verdict(row: Row) -> None:
    _, what, found, ending, reason, detail = row

    verdict = judge(found, ending, tool_for(what).verdict)

    assert (verdict.status, verdict.reason) == (Status.FAILED if reason else Status.COMPLETED, reason)
    assert detail in verdict.detail


def test_a_report_that_cannot_be_trusted_does_not_hide_what_the_tool_said() -> None:
    ending = replace(exited(127), detail="sh: 1: npm: not found")

    verdict = judge(BROKEN, ending, tool_for(CUSTOM).verdict)

    assert verdict.detail == (
        "the report cannot be trusted: line 3 is no JSON; it ended with exit code 127: sh: 1: npm: not found"
    )


def test_a_time_limit_is_a_status_of_its_own_and_names_the_test() -> None:
    verdict = judge(died(FAIL, running="test_x"), Ending(how=How.TIMEOUT, signal=15), tool_for(PYTEST).verdict)

    assert (verdict.status, verdict.reason) == (Status.TIMEOUT, None)
    assert "test_x" in verdict.detail


def test_a_stopped_run_is_cancelled_even_if_it_exits_0() -> None:
    assert judge(NOTHING, Ending(how=How.STOPPED, exit_code=0), tool_for(CUSTOM).verdict).status is Status.CANCELLED


@pytest.mark.parametrize("what", [PYTEST, CUSTOM])
@pytest.mark.parametrize("code", range(9))
@pytest.mark.parametrize("results", [(PASS,), (FAIL,), (SKIP,), (PASS, FAIL), (PASS, SKIP)])
@pytest.mark.parametrize("written", [report, died])
def test_passed_needs_exit_0_a_whole_report_a_pass_and_no_failure(
    what: TestType, code: int, results: tuple[Result, ...], written: Callable[..., Report]
) -> None:
    verdict = judge(written(*results), exited(code), tool_for(what).verdict)

    good = code == 0 and written is report and PASS in results and FAIL not in results
    assert verdict.good == good


def test_a_run_without_a_report_has_one_result_with_the_name_of_the_test() -> None:
    verdict = judge(NOTHING, exited(3), tool_for(CUSTOM).verdict)

    result = whole_result("smoke", verdict, 1200)

    assert (result.name, result.outcome, result.duration_ms) == ("smoke", Outcome.FAILED, 1200)
    assert "exit code 3" in result.message


@pytest.mark.parametrize(("type", "code"), [(PYTEST, 4), (PYTEST, 3), (CUSTOM, 1), (CUSTOM, 127)])
def test_the_detail_quotes_the_last_output_of_the_tool(type: TestType, code: int) -> None:  # noqa: A002  the field's word
    ending = replace(exited(code), detail="error: unrecognized arguments: --cov")

    assert "error: unrecognized arguments: --cov" in judge(NOTHING, ending, tool_for(type).verdict).detail


@pytest.mark.parametrize(
    ("given", "there"),
    [
        (Report(), False),
        (Report(results=(SKIP,)), True),
        (Report(unfinished=(SKIP,)), True),
        (Report(broken="it ends in the middle of a line"), True),
        (Report(planned=0), True),
    ],
)
def test_whatever_is_said_about_tests_is_a_report(given: Report, *, there: bool) -> None:
    assert has_report(given) is there
