"""pytest, run with our one-file plugin, which reports each test while it goes on (`assay_pytest_plugin.py`)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from executors.tool import PYTHON_BASE
from executors.untrusted import LONGEST_MESSAGE, LONGEST_TRACE, UnreadableError, clean, clean_name, open_file
from model import verdict
from model.command import Command, PythonEnvironment, Where
from model.execution import Reason, Verdict
from model.problems import Finding
from model.request import TestRequest
from model.result import Outcome, Report, Result, Summary, summarise
from model.rules import Raw

PLUGIN = Path(__file__).with_name("assay_pytest_plugin.py")
FILE = "results.jsonl"
LARGEST_REPORT = 64 * 2**20
LONGEST_LINE = 2**20
MOST_TESTS = 200_000
TEXT_BUDGET = 16 * 2**20
LARGEST_TAIL = 256 * 2**10
"""Bytes that are read for progress: more than the longest line that the plugin writes."""
_LATEST = 4_102_444_800.0
"""The year 2100. The clock of a test may say anything."""


class PytestExit(IntEnum):
    """Exit codes of pytest."""

    OK = 0
    TESTS_FAILED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE_ERROR = 4
    NO_TESTS = 5
    TOO_MANY_WARNINGS = 6


class BrokenError(ValueError):
    """The report has a line that our plugin did not write."""


class PytestTool:
    """The tool `pytest`."""

    image: str | None = None

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
        return Command(
            argv=(Where.PYTHON, "-u", Where.SUPPORT, Where.WORK, *request.arguments, Where.ENTRY), support=PLUGIN
        )

    def read(self, request: TestRequest, results: Path) -> Report:  # noqa: ARG002  one shape for all tools
        """Return the plugin's lines as a report. If it cannot be trusted, it says why."""
        reading = _Reading()
        try:
            with open_file(results / FILE, LARGEST_REPORT) as file:
                for line in _lines(file):
                    reading.take(line)
        except (UnreadableError, BrokenError) as error:
            return replace(reading.report(), finished=False, broken=str(error))
        return reading.report()

    def progress(self, results: Path) -> Summary:
        """Return the counts of the last line that has some, and the number of tests from the first line."""
        try:
            with open_file(results / FILE, LARGEST_REPORT) as file:
                planned = _planned(file.read(LARGEST_TAIL))
                size = file.seek(0, 2)
                file.seek(max(0, size - LARGEST_TAIL))
                counts = _last_counts(file.read(LARGEST_TAIL))
        except UnreadableError:
            planned, counts = 0, (0, 0, 0)
        passed, failed, skipped = counts
        return Summary(total=max(planned, sum(counts)), passed=passed, failed=failed, skipped=skipped)

    def verdict(self, report: Report, exit_code: int, said: str) -> Verdict:
        """Return what an exit code of pytest means."""
        counts = summarise(report.results, report.planned)
        match exit_code:
            case PytestExit.OK:
                return verdict.passed(report, counts)
            case PytestExit.USAGE_ERROR:
                words = f"pytest could not start its session (exit code 4): {said or 'see the log'}"
                return verdict.failed(Reason.CONFIG, words)
            case PytestExit.INTERNAL_ERROR:
                return verdict.mismatch(f"pytest itself failed (exit code 3): {said or 'see the log'}")
            case PytestExit.NO_TESTS:
                return _no_tests_by_exit_code(counts)
            case _:
                return _tests_failed(report, counts, exit_code)


def _tests_failed(report: Report, counts: Summary, code: int) -> Verdict:
    if counts.failed:
        return verdict.failed(Reason.TESTS_FAILED, verdict.failures(report, counts))
    if report.running:
        return verdict.failed(Reason.TESTS_FAILED, f"ended with exit code {code}{verdict.during(report)}")
    if code == PytestExit.TOO_MANY_WARNINGS and report.finished:
        return verdict.failed(Reason.TESTS_FAILED, "more warnings than allowed (exit code 6)")
    return verdict.mismatch(f"exit code {code}, but no test failed")


def _no_tests_by_exit_code(counts: Summary) -> Verdict:
    if counts.passed or counts.failed:
        return verdict.mismatch(f"exit code 5 (no tests), but {counts.completed} reported")
    return verdict.no_tests(counts)


@dataclass(slots=True)
class _Reading:
    """The result of the lines that were read so far."""

    results: dict[str, Result] = field(default_factory=dict)
    running: dict[str, None] = field(default_factory=dict)
    planned: int | None = None
    finished: bool = False
    budget: int = field(default_factory=lambda: TEXT_BUDGET)

    def take(self, line: dict[str, object]) -> None:
        """Evaluate one line. Raises: BrokenError if the plugin did not write it."""
        kind, test, count = line.get("kind"), line.get("test"), line.get("count")
        if kind == "collected" and isinstance(count, int) and count >= 0:
            self.planned = count
        elif kind == "start" and isinstance(test, str):
            self.running[test] = None
        elif kind == "result" and isinstance(test, str) and len(self.results) < MOST_TESTS:
            self.running.pop(test, None)
            self.results[test] = self._result(test, line)
        elif kind == "end":
            self.finished = True
        else:
            raise BrokenError(f"{FILE} has a line that the plugin did not write, or more than {MOST_TESTS} tests")

    def report(self) -> Report:
        """Return the report so far."""
        return Report(
            results=tuple(self.results.values()),
            finished=self.finished,
            planned=self.planned,
            running=clean_name(next(iter(self.running))) if self.running and not self.finished else None,
        )

    def _result(self, test: str, line: dict[str, object]) -> Result:
        message, trace = clean(line.get("message"), LONGEST_MESSAGE), clean(line.get("trace"), LONGEST_TRACE)
        self.budget -= len(message) + len(trace)
        if self.budget < 0:
            message, trace = message[:200], ""
        try:
            outcome = Outcome(str(line.get("outcome")))
        except ValueError as error:
            raise BrokenError(f"{FILE} has an outcome that is none: {str(line.get('outcome'))[:100]!r}") from error
        return Result(
            name=clean_name(test),
            outcome=outcome,
            duration_ms=_milliseconds(line.get("ms")),
            message=message,
            trace=trace,
            executed_at=_time(line.get("at")),
        )


def _lines(file: BinaryIO) -> Iterator[dict[str, object]]:
    """Yield the lines. The last line may be cut if its writer was killed; then the end line is missing."""
    while line := file.readline(LONGEST_LINE):
        if not line.endswith(b"\n"):
            if len(line) == LONGEST_LINE:
                raise BrokenError(f"{FILE} has a line of more than {LONGEST_LINE} bytes")
            return
        yield _parsed(line)


def _parsed(line: bytes) -> dict[str, object]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenError(f"{FILE} has a line that is not JSON") from error
    if not isinstance(record, dict):
        raise BrokenError(f"{FILE} has a line that is not an object")
    return record


def _planned(head: bytes) -> int:
    for line in head.splitlines():
        if b'"collected"' in line:
            count = _tolerant(line).get("count")
            return count if isinstance(count, int) and count > 0 else 0
    return 0


def _last_counts(tail: bytes) -> tuple[int, int, int]:
    for line in reversed(tail.splitlines()):
        counts = _tolerant(line).get("counts")
        if isinstance(counts, list) and len(counts) == len(Outcome) and all(isinstance(c, int) for c in counts):
            return (counts[0], counts[1], counts[2])
    return (0, 0, 0)


def _tolerant(line: bytes) -> dict[str, object]:
    try:
        return _parsed(line)
    except BrokenError:  # half a line, at either end of the piece that was read
        return {}


def _milliseconds(value: object) -> int:
    return min(max(value, 0), 2**31 - 1) if isinstance(value, int) else 0


def _time(value: object) -> datetime | None:
    if isinstance(value, int | float) and 0 < value < _LATEST:
        return datetime.fromtimestamp(value, UTC)
    return None
