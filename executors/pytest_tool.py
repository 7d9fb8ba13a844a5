"""pytest, run with our one-file plugin, which reports each test while it goes on (`assay_pytest_plugin.py`)."""

from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

from executors import pytest_report
from executors.tool import PYTHON_BASE
from model import verdict
from model.command import Command, PythonEnvironment, Where
from model.content import entries
from model.execution import Reason, Verdict
from model.fault import Blame, Fault
from model.problems import Finding
from model.request import TestRequest
from model.result import Report, Summary, summarise
from model.rules import Raw

PLUGIN = Path(__file__).with_name("assay_pytest_plugin.py")


FAILED = Fault(
    tool="pytest",
    happened="a test failed, or a file could not be collected",
    blame=Blame.TARGET,
    reason=Reason.TESTS_FAILED,
)
DIED = Fault(
    tool="pytest",
    happened="it ended with an exit code while a test was running: `os._exit`, an interrupt",
    blame=Blame.TEST,
    reason=Reason.TESTS_FAILED,
)
USAGE = Fault(
    tool="pytest",
    happened="it could not begin: unknown option, missing file or test, broken `conftest.py`, plugin or settings",
    blame=Blame.SETUP,
    reason=Reason.CONFIG,
)
INTERNAL = Fault(
    tool="pytest",
    happened="exit code 3: an error inside of pytest or a plugin",
    blame=Blame.SETUP,
    reason=Reason.TOOL_FAILED,
)
UNHAPPY = Fault(
    tool="pytest",
    happened="no test failed, but it ended with an exit code: coverage below its limit, too many warnings",
    blame=Blame.TARGET,
    reason=Reason.TOOL_FAILED,
)


class PytestExit(IntEnum):
    """Exit codes of pytest."""

    OK = 0
    TESTS_FAILED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE_ERROR = 4
    NO_TESTS = 5
    TOO_MANY_WARNINGS = 6


class PytestTool:
    """The tool `pytest`."""

    image: str | None = None
    faults = (FAILED, DIED, USAGE, INTERNAL, UNHAPPY)

    def problems(self, raw: Raw) -> Iterator[Finding]:
        """Yield fields that only custom has."""
        if raw.get("command") is not None:
            yield Finding(location=("command",), message="is only for custom; options for pytest stand in arguments")
        if raw.get("junit") is not None:
            yield Finding(location=("junit",), message="is only for custom; pytest reports by itself")

    def python(self, request: TestRequest) -> PythonEnvironment | None:
        """Return an environment with pytest, and with what the content asks for."""
        return PythonEnvironment(base=PYTHON_BASE, requirements=request.setup.requirements)

    def command(self, request: TestRequest) -> Command:
        """Run our plugin by the interpreter of the test's own environment, on what `content.path` names.

        The plugin looks for the settings of pytest itself: they stand in the content, which only the backend has.
        """
        named = entries(request.content)
        chosen = (str(len(named)), *named)
        return Command(
            argv=(Where.PYTHON, "-u", Where.SUPPORT, Where.WORK, *chosen, *request.arguments), support=PLUGIN
        )

    def read(self, request: TestRequest, results: Path) -> Report:  # noqa: ARG002  one shape for all tools
        """Return the plugin's lines as a report. If it cannot be trusted, it says why."""
        return pytest_report.read(results)

    def progress(self, results: Path) -> Summary:
        """Return the counts of the last line that has some, and the number of tests from the first line."""
        return pytest_report.progress(results)

    def verdict(self, report: Report, exit_code: int, said: str) -> Verdict:
        """Return what an exit code of pytest means."""
        counts = summarise(report.results, report.planned)
        match exit_code:
            case PytestExit.OK:
                return verdict.passed(report, counts)
            case PytestExit.USAGE_ERROR:
                return _could_not_begin(exit_code, said)
            case PytestExit.INTERNAL_ERROR:
                words = f"pytest itself failed (exit code 3): {said or 'see the log'}"
                return INTERNAL.verdict(words)
            case PytestExit.NO_TESTS:
                return _no_tests_by_exit_code(counts)
            case _:
                return _failed(report, counts, exit_code, said)


def _failed(report: Report, counts: Summary, code: int, said: str) -> Verdict:
    if counts.failed:
        return FAILED.verdict(verdict.failures(report, counts))
    if not (report.finished or report.planned or report.running):
        return _could_not_begin(code, said)
    if report.running:
        return DIED.verdict(f"ended with exit code {code}{verdict.during(report)}")
    return verdict.unhappy(UNHAPPY, report, code, _explained(code, said))


def _could_not_begin(code: int, said: str) -> Verdict:
    return USAGE.verdict(f"pytest could not start its session (exit code {code}): {said or 'see the log'}")


def _explained(code: int, said: str) -> str:
    """Return the last words, with what an exit code of pytest means where they do not say it."""
    if code == PytestExit.TOO_MANY_WARNINGS:
        return "more warnings than allowed"
    return said


def _no_tests_by_exit_code(counts: Summary) -> Verdict:
    if counts.passed or counts.failed:
        return verdict.mismatch(f"exit code 5 (no tests), but {counts.completed} reported")
    return verdict.no_tests(counts)
