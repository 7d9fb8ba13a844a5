"""Judge one attempt: its end and its report must agree, and an unknown outcome is never passed.

The order of the questions: Was it ended from outside (time limit, memory, stop, never started, lost)? Can the report be
trusted? Was it ended by a signal? Only then the exit code of the tool and its results decide.
"""

import signal
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from model.execution import Reason, Status, Verdict
from model.request import TestType
from model.result import Outcome, Report, Result, Summary, summarise


class How(StrEnum):
    """How the process of an attempt ended."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    OOM = "oom"
    STOPPED = "stopped"
    START_ERROR = "start_error"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of the process of an attempt. A process that exited has an exit code or a signal.

    `detail` has further facts, for example why the process did not start, or its last output.
    """

    how: How
    exit_code: int | None = None
    signal: int | None = None
    detail: str = ""


class PytestExit(IntEnum):
    """Exit codes of pytest."""

    OK = 0
    TESTS_FAILED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE_ERROR = 4
    NO_TESTS = 5
    TOO_MANY_WARNINGS = 6


def judge(type: TestType, report: Report, ending: Ending) -> Verdict:  # noqa: A002  the name of the field
    """Return the verdict of an attempt that ended as `ending` and left `report`.

    The exit code alone decides for a custom test without a JUnit file.
    """
    if ending.how is not How.EXITED:
        return _ended_from_outside(report, ending)
    if report.broken:
        return _mismatch(f"the report cannot be trusted: {report.broken}")
    if ending.signal is not None:
        return _failed(Reason.TESTS_FAILED, f"ended by {_signal_name(ending.signal)}{_during(report)}")
    if ending.exit_code is None:
        return _failed(Reason.INFRASTRUCTURE, "nobody knows how it ended")
    if type is TestType.PYTEST:
        return _judge_pytest(report, ending.exit_code, ending.detail)
    return _judge_report(report, ending.exit_code, ending.detail)


def whole_result(name: str, verdict: Verdict, duration_ms: int) -> Result:
    """Return the single result of a run without a report, with the name of the test and the verdict of the run."""
    outcome = _WHOLE.get(verdict.status, Outcome.FAILED)
    return Result(name=name, outcome=outcome, duration_ms=duration_ms, message=verdict.detail)


_WHOLE = {Status.COMPLETED: Outcome.PASSED, Status.CANCELLED: Outcome.SKIPPED}


def has_report(report: Report) -> bool:
    """Say whether there is a report about tests. A custom test without a JUnit file has none."""
    return bool(report.results or report.running or report.broken) or report.planned is not None


def _ended_from_outside(report: Report, ending: Ending) -> Verdict:
    note = f": {ending.detail}" if ending.detail else ""
    match ending.how:
        case How.TIMEOUT:
            return Verdict(status=Status.TIMEOUT, detail=f"reached its time limit{_during(report)}{note}")
        case How.STOPPED:
            return Verdict(status=Status.CANCELLED, detail=f"stopped{_during(report)}{note}")
        case How.OOM:
            return _failed(Reason.OOM_KILLED, f"reached its memory limit{_during(report)}{note}")
        case How.START_ERROR:
            return _failed(Reason.START_ERROR, f"could not be started{note}")
        case _:
            return _failed(Reason.INFRASTRUCTURE, f"was lost while it ran{note}")


def _judge_pytest(report: Report, code: int, said: str) -> Verdict:
    counts = summarise(report.results, report.planned)
    match code:
        case PytestExit.OK:
            return _passed(report, counts)
        case PytestExit.USAGE_ERROR:
            return _failed(Reason.CONFIG, f"pytest could not start its session (exit code 4): {said or 'see the log'}")
        case PytestExit.INTERNAL_ERROR:
            return _mismatch(f"pytest itself failed (exit code 3): {said or 'see the log'}")
        case PytestExit.NO_TESTS:
            return _no_tests_by_exit_code(counts)
        case _:
            return _pytest_failed(report, counts, code)


def _pytest_failed(report: Report, counts: Summary, code: int) -> Verdict:
    if counts.failed:
        return _failed(Reason.TESTS_FAILED, _failures(report, counts))
    if report.running:
        return _failed(Reason.TESTS_FAILED, f"ended with exit code {code}{_during(report)}")
    if code == PytestExit.TOO_MANY_WARNINGS and report.finished:
        return _failed(Reason.TESTS_FAILED, "more warnings than allowed (exit code 6)")
    return _mismatch(f"exit code {code}, but no test failed")


def _no_tests_by_exit_code(counts: Summary) -> Verdict:
    if counts.passed or counts.failed:
        return _mismatch(f"exit code 5 (no tests), but {counts.completed} reported")
    return _no_tests(counts)


def _judge_report(report: Report, code: int, said: str) -> Verdict:
    if not has_report(report):
        return _by_exit_code(code, said)
    counts = summarise(report.results, report.planned)
    if code == 0:
        return _passed(report, counts)
    if counts.failed:
        return _failed(Reason.TESTS_FAILED, _failures(report, counts))
    return _mismatch(f"exit code {code}, but no test failed")


def _by_exit_code(code: int, said: str) -> Verdict:
    if code == 0:
        return Verdict(status=Status.COMPLETED)
    note = _CODE_NOTES.get(code, "") + (f": {said}" if said else "")
    return _failed(Reason.TESTS_FAILED, f"ended with exit code {code}{note}")


_CODE_NOTES = {126: ", not executable", 127: ", command not found"}


def _passed(report: Report, counts: Summary) -> Verdict:
    """Judge exit code 0, which counts as passed only if the report is complete and has no failure."""
    if counts.failed:
        return _mismatch(f"exit code 0, but {counts.failed} failed")
    if not report.finished:
        return _mismatch(f"exit code 0, but the report ends early{_during(report)}")
    if counts.passed == 0:
        return _no_tests(counts)
    if counts.completed < counts.total:
        return _mismatch(f"exit code 0, but {counts.total - counts.completed} of {counts.total} have no outcome")
    return Verdict(status=Status.COMPLETED)


def _no_tests(counts: Summary) -> Verdict:
    return _failed(Reason.NO_TESTS, f"all {counts.skipped} were skipped" if counts.skipped else "no tests were found")


def _failures(report: Report, counts: Summary) -> str:
    first = next(result.name for result in report.results if result.outcome is Outcome.FAILED)
    return f"{counts.failed} of {counts.total} failed, first {first}"


def _during(report: Report) -> str:
    return f" while {report.running} was running" if report.running else ""


def _mismatch(detail: str) -> Verdict:
    return _failed(Reason.REPORT_MISMATCH, detail)


def _failed(reason: Reason, detail: str) -> Verdict:
    return Verdict(status=Status.FAILED, reason=reason, detail=detail)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
