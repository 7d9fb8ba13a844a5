"""Judge one attempt: its end and its report must agree, and an unknown outcome is never passed.

The order of the questions: Was it ended from outside (time limit, memory, stop, never started, lost)? Can the report be
trusted? Was it ended by a signal? Only then the exit code of the tool and its results decide.
"""

import signal
from collections.abc import Callable, Mapping
from typing import TypeAlias

from model import fault
from model.ending import Ending, How
from model.execution import Status, Verdict
from model.fault import Fault
from model.result import Outcome, Report, Result, Summary, summarise

ExitMeaning: TypeAlias = Callable[[Report, int, str], Verdict]
"""What a tool means by a report that can be trusted, an exit code, and what it said last."""


def judge(report: Report, ending: Ending, meaning: ExitMeaning) -> Verdict:
    """Return the verdict of an attempt that ended as `ending` and left `report`."""
    if ending.how is not How.EXITED:
        return _ended_from_outside(report, ending)
    if report.broken:
        return fault.BROKEN_REPORT.verdict(f"the report cannot be trusted: {report.broken}{_last_words(ending)}")
    if ending.signal is not None:
        return fault.SIGNAL.verdict(f"ended by {_signal_name(ending.signal)}{during(report)}")
    if ending.exit_code is None:
        return fault.LOST.verdict("nobody knows how it ended")
    return meaning(report, ending.exit_code, ending.detail)


def whole_result(name: str, verdict: Verdict, duration_ms: int) -> Result:
    """Return the single result of a run without a report, with the name of the test and the verdict of the run."""
    outcome = _WHOLE.get(verdict.status, Outcome.FAILED)
    return Result(name=name, outcome=outcome, duration_ms=duration_ms, message=verdict.detail)


_WHOLE = {Status.COMPLETED: Outcome.PASSED, Status.CANCELLED: Outcome.SKIPPED}


def has_report(report: Report) -> bool:
    """Say whether there is a report about tests. A custom test without a JUnit file has none."""
    return bool(report.results or report.running or report.broken) or report.planned is not None


def _ended_from_outside(report: Report, ending: Ending) -> Verdict:
    found, words = _FROM_OUTSIDE[ending.how]
    note = f": {ending.detail}" if ending.detail else ""
    running = "" if ending.how in _NEVER_STARTED else during(report)
    return found.verdict(f"{words}{running}{note}")


_NEVER_STARTED = frozenset({How.START_ERROR, How.NO_ROOM})
_FROM_OUTSIDE: Mapping[How, tuple[Fault, str]] = {
    How.TIMEOUT: (fault.TIMED_OUT, "reached its time limit"),
    How.STOPPED: (fault.STOPPED, "stopped"),
    How.OOM: (fault.OUT_OF_MEMORY, "reached its memory limit"),
    How.NO_DISK: (fault.OUT_OF_DISK, "used more scratch disk than it may"),
    How.START_ERROR: (fault.NOT_STARTED, "could not be started"),
    How.NO_ROOM: (fault.INFRASTRUCTURE, "could not be started"),
    How.EVICTED: (fault.EVICTED, "its place was taken from it"),
    How.NODE_LOST: (fault.NODE_LOST, "its node was lost"),
    How.LOST: (fault.LOST, "was lost while it ran"),
}


def passed(report: Report, counts: Summary) -> Verdict:
    """Return the verdict for exit code 0. It is believed only when the report is whole and nothing in it failed."""
    if counts.failed:
        return mismatch(f"exit code 0, but {counts.failed} failed")
    if not report.finished:
        return mismatch(f"exit code 0, but the report ends early{during(report)}")
    if counts.passed == 0:
        return no_tests(counts)
    if counts.completed < counts.total:
        return mismatch(f"exit code 0, but {counts.total - counts.completed} of {counts.total} have no outcome")
    return fault.PASSED.verdict()


def unhappy(found: Fault, report: Report, exit_code: int, said: str) -> Verdict:
    """Return the verdict for an exit code other than 0 where no test failed: the tool's last words explain it.

    A report that ends early explains nothing, so that it does not agree with the exit code.
    """
    if not report.finished:
        return mismatch(f"exit code {exit_code}, but no test failed, and the report ends early{during(report)}")
    count = summarise(report.results, report.planned).passed
    results = f"{count} passed and none failed" if count else "no test failed"
    return found.verdict(f"{results}, but it ended with exit code {exit_code}: {said or 'see the log'}")


def no_tests(counts: Summary) -> Verdict:
    """Return the verdict of an attempt in which no test passed or failed."""
    if counts.total > counts.completed:
        return fault.NO_TESTS.verdict(f"{counts.total} tests were found, and none of them ran")
    detail = f"all {counts.skipped} were skipped" if counts.skipped else "no tests were found"
    return fault.NO_TESTS.verdict(detail)


def failures(report: Report, counts: Summary) -> str:
    """Return how many tests failed, and the name of the first. Raises: StopIteration if none did."""
    first = next(result.name for result in report.results if result.outcome is Outcome.FAILED)
    return f"{counts.failed} of {counts.total} failed, first {first}"


def during(report: Report) -> str:
    """Return which test was running, as the end of a sentence; empty if none was."""
    return f" while {report.running} was running" if report.running else ""


def mismatch(detail: str) -> Verdict:
    """Return the verdict of an attempt whose exit code and report do not agree."""
    return fault.DISAGREEMENT.verdict(detail)


def _last_words(ending: Ending) -> str:
    """Return how a tool that failed ended, as the end of a sentence; empty for one that did not."""
    if not ending.exit_code:
        return ""
    return f"; it ended with exit code {ending.exit_code}: {ending.detail or 'see the log'}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
