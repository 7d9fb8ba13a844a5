"""pytest: run with our one-file plugin, which tells of each test as it goes (`assay_pytest_plugin.py`)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from executors.tool import Command, RunFolders
from executors.untrusted import LONGEST_MESSAGE, LONGEST_TRACE, UnreadableError, clean, clean_name, open_file
from model.request import TestRequest
from model.result import Outcome, Report, Result, Summary

PLUGIN = Path(__file__).with_name("assay_pytest_plugin.py")
REQUIREMENTS = Path(__file__).with_name("pytest_requirements.txt")
"""pytest itself, pinned and hashed: what a virtual environment holds if the content asks for nothing else."""
FILE = "results.jsonl"
LARGEST_REPORT = 64 * 2**20
LONGEST_LINE = 2**20
MOST_TESTS = 200_000
TEXT_BUDGET = 16 * 2**20
LARGEST_TAIL = 256 * 2**10
"""Read for progress: more than the longest line that the plugin writes."""
_LATEST = 4_102_444_800.0
"""The year 2100; a test's clock may say anything."""
_SETTINGS = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}
"""Files that configure pytest, and what must be in them for that."""


class BrokenError(ValueError):
    """The report has a line that our plugin did not write."""


class PytestTool:
    """The tool `pytest`."""

    def command(self, request: TestRequest, folders: RunFolders) -> Command:
        """Run the interpreter of the test's own environment on what `content.path` names.

        In the folder whose settings apply, else at the top of the content. Where the content has no settings, pytest is
        told so: it would look for them above the content, and find those of whoever keeps our state folder.
        """
        if folders.python is None:
            msg = "pytest needs a virtual environment: give Places.python"
            raise ValueError(msg)
        entry = folders.work / folders.entry
        settings = _settings_folder(folders.work, entry)
        where = settings or folders.work
        closed = () if settings else ("-c", "/dev/null", f"--rootdir={where}", f"--confcutdir={where}")
        argv = (str(folders.python), "-u", str(PLUGIN), *closed, *request.arguments, str(entry))
        return Command(argv=argv, cwd=where)

    def read(self, request: TestRequest, folders: RunFolders) -> Report:  # noqa: ARG002  one shape for all tools
        """Return the plugin's lines as a report; one that cannot be trusted says why."""
        reading = _Reading()
        try:
            with open_file(folders.results / FILE, LARGEST_REPORT) as file:
                for line in _lines(file):
                    reading.take(line)
        except (UnreadableError, BrokenError) as error:
            return replace(reading.report(), finished=False, broken=str(error))
        return reading.report()

    def progress(self, folders: RunFolders) -> Summary:
        """Return the counts of the last line that has some, and the number of tests from the first line."""
        try:
            with open_file(folders.results / FILE, LARGEST_REPORT) as file:
                planned = _planned(file.read(LARGEST_TAIL))
                size = file.seek(0, 2)
                file.seek(max(0, size - LARGEST_TAIL))
                counts = _last_counts(file.read(LARGEST_TAIL))
        except UnreadableError:
            planned, counts = 0, (0, 0, 0)
        passed, failed, skipped = counts
        return Summary(total=max(planned, sum(counts)), passed=passed, failed=failed, skipped=skipped)


@dataclass(slots=True)
class _Reading:
    """What the lines read so far amount to."""

    results: dict[str, Result] = field(default_factory=dict)
    running: dict[str, None] = field(default_factory=dict)
    planned: int | None = None
    finished: bool = False
    budget: int = field(default_factory=lambda: TEXT_BUDGET)

    def take(self, line: dict[str, object]) -> None:
        """Take one line in. Raises: BrokenError if it is not one of ours."""
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
        """Return the whole."""
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
    """Yield the lines. The last one may be cut: its writer was killed, which the missing end line tells."""
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
    except BrokenError:  # half a line, at either end of what was read
        return {}


def _milliseconds(value: object) -> int:
    return min(max(value, 0), 2**31 - 1) if isinstance(value, int) else 0


def _time(value: object) -> datetime | None:
    if isinstance(value, int | float) and 0 < value < _LATEST:
        return datetime.fromtimestamp(value, UTC)
    return None


def _settings_folder(work: Path, entry: Path) -> Path | None:
    """Return the nearest folder from `entry` up to `work` that configures pytest, as pytest itself would find it."""
    folder = entry if entry.is_dir() else entry.parent
    while folder.is_relative_to(work):
        if any(_configures(folder / name, wanted) for name, wanted in _SETTINGS.items()):
            return folder
        folder = folder.parent
    return None


def _configures(file: Path, wanted: str) -> bool:
    try:
        with open_file(file, LONGEST_LINE) as content:
            return wanted.encode() in content.read()
    except UnreadableError:
        return False
