"""Runs pytest and reports each step as a JSON line while the tests run.

Run as `python assay_pytest_plugin.py CONTENT [arguments of pytest] ENTRY` by the interpreter of the tests' own
environment. CONTENT is the folder that holds the content, ENTRY the file or folder inside it to be tested. This file
stands alone: it imports the standard library and pytest. The lines go to `$ASSAY_RESULTS_DIR/results.jsonl`:

    {"kind": "collected", "count": 3}
    {"kind": "start", "test": "test_a.py::test_x", "counts": [0, 0, 0]}
    {"kind": "result", "test": ..., "outcome": "passed", "ms": 12, "at": ..., "message": "", "trace": "", "counts": ...}
    {"kind": "end", "status": 0}

`counts` are the numbers of passed, failed and skipped tests so far, so that progress needs only the last line. A test
has one result, written when all its phases are over. If setup or teardown fails, the test has failed. If a test runs
several times, the last run counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}
"""Files that configure pytest, and what must be in them for that."""
LARGEST_SETTINGS = 2**20


def settings_folder(content: Path, entry: Path) -> Path | None:
    """Return the nearest folder from `entry` up to `content` that configures pytest, as pytest itself would find it."""
    folder = entry if entry.is_dir() else entry.parent
    while folder.is_relative_to(content):
        if any(configures(folder / name, wanted) for name, wanted in SETTINGS.items()):
            return folder
        folder = folder.parent
    return None


def configures(file: Path, wanted: str) -> bool:
    """Return whether a file is there, is small enough, and holds the section that is wanted."""
    if not file.is_file() or file.stat().st_size > LARGEST_SETTINGS:
        return False
    return wanted in file.read_text(encoding="utf-8", errors="replace")


def arranged(content: Path, arguments: list[str]) -> tuple[Path, list[str]]:
    """Return where pytest is to run, and its arguments. The last of `arguments` is the entry.

    It runs in the folder whose settings apply, else at the top of the content. Where the content has no settings,
    pytest is told so: it would look for them above the content, and find those of whoever keeps our state folder.
    """
    where = settings_folder(content, Path(arguments[-1]))
    if where is not None:
        return where, arguments
    return content, ["-c", "/dev/null", f"--rootdir={content}", f"--confcutdir={content}", *arguments]


if __name__ == "__main__":
    WHERE, ARGUMENTS = arranged(Path(sys.argv[1]), sys.argv[2:])
    os.chdir(WHERE)
    sys.path[0] = str(WHERE)  # as `python -m pytest` does: the tests' own folder first, and ours not at all

import pytest  # noqa: E402  found from the folder above

FILE = "results.jsonl"
LONGEST_MESSAGE = 4_000
LONGEST_TRACE = 16_000
TEXT_BUDGET = 16_000_000
"""Characters of messages and traces of a whole run. Later ones are left out; the log has them, too."""
ORDER = ("passed", "failed", "skipped")


@dataclass
class Run:
    """One run of one test, while its phases are reported."""

    outcome: str = "passed"
    seconds: float = 0.0
    began: float | None = None
    notes: list[str] = field(default_factory=list)
    trace: str = ""
    reruns: int = 0


class Recorder:
    """The hooks. Only the process that made the recorder writes: a test may fork, and its child may call the hooks."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._owner = os.getpid()
        self._runs: dict[str, Run] = {}
        self._counts = dict.fromkeys(ORDER, 0)
        self._budget = TEXT_BUDGET
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def end(self, status: int) -> None:
        """Note that pytest ended by itself."""
        self._write({"kind": "end", "status": status})

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many tests there are to run, after deselection."""
        if session.items:
            self._write({"kind": "collected", "count": len(session.items)})

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:  # noqa: ARG002
        """Note the same if pytest-xdist collects in its workers; each worker finds all tests."""
        self._write({"kind": "collected", "count": len(ids)})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Report a file that cannot be collected as a failed test of its own."""
        if report.failed:
            run = Run(outcome="failed", notes=["could not be collected: " + _crash(report)], trace=report.longreprtext)
            self._result(report.nodeid or "collection", run)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note which test begins: if the process dies, this test was running."""
        self._runs[nodeid] = Run()
        self._write({"kind": "start", "test": nodeid, "counts": self._totals()})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the report of one phase."""
        run = self._runs.setdefault(report.nodeid, Run())
        if str(report.outcome) == "rerun":  # of pytest-rerunfailures
            self._runs[report.nodeid] = Run(reruns=run.reruns + 1)
            return
        _take(report, run)
        if report.when not in {"setup", "call", "teardown"}:  # pytest-xdist lost a worker: no other phase follows
            self._result(report.nodeid, self._runs.pop(report.nodeid))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Write the test's one result."""
        if run := self._runs.pop(nodeid, None):
            self._result(nodeid, run)

    def _result(self, nodeid: str, run: Run) -> None:
        if run.reruns:
            run.notes.append(f"{run.outcome} on rerun {run.reruns}")
        message, trace = "; ".join(run.notes)[:LONGEST_MESSAGE], run.trace[-LONGEST_TRACE:]
        self._budget -= len(message) + len(trace)
        if self._budget < 0:
            message, trace = "see the log", ""
        self._counts[run.outcome] += 1
        self._write(
            {
                "kind": "result",
                "test": nodeid,
                "outcome": run.outcome,
                "ms": round(run.seconds * 1000),
                "at": run.began,
                "message": message,
                "trace": trace,
                "counts": self._totals(),
            }
        )

    def _totals(self) -> list[int]:
        return [self._counts[outcome] for outcome in ORDER]

    def _write(self, line: dict[str, Any]) -> None:
        """Append a line in one write. The file is opened each time: a test may close descriptors that it does not know.

        If a test has removed the file, there is no report, and its reader says so.
        """
        if os.getpid() != self._owner:
            return
        with contextlib.suppress(OSError):
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                os.write(file, json.dumps(line).encode() + b"\n")
            finally:
                os.close(file)


def _take(report: pytest.TestReport, run: Run) -> None:
    """Add one phase to the run of a test: failed wins over skipped, skipped over passed."""
    run.seconds += report.duration
    run.began = run.began or getattr(report, "start", None)  # pytest before 7.3 has none
    expected = getattr(report, "wasxfail", None)
    if report.failed:
        run.outcome = "failed"
        run.notes.append(_crash(report) if report.when == "call" else f"{report.when}: {_crash(report)}")
        run.trace += report.longreprtext
    elif report.skipped and run.outcome == "passed" and not _part_of_a_test(report):
        run.outcome = "skipped"
        run.notes.append(_skip_reason(report) if expected is None else f"failed as expected: {expected}".rstrip(": "))
    elif report.passed and expected is not None and report.when == "call":
        run.notes.append(f"passed although expected to fail: {expected}".rstrip(": "))


def _part_of_a_test(report: pytest.TestReport) -> bool:
    """Return whether a report is of a subtest: a skipped subtest does not make its test skipped."""
    return hasattr(report, "context") or type(report).__name__ == "SubtestReport"


def _crash(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Return the short message of an error."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message)
    lines = report.longreprtext.strip().splitlines()
    return lines[-1].removeprefix("E").strip() if lines else "no message"


def _skip_reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return ""


def main(arguments: list[str]) -> int:
    """Run pytest with the recorder, and return its exit code."""
    recorder = Recorder(os.path.join(os.environ["ASSAY_RESULTS_DIR"], FILE))  # noqa: PTH118
    status = int(pytest.main(arguments, plugins=[recorder]))
    recorder.end(status)
    return status


if __name__ == "__main__":
    sys.exit(main(ARGUMENTS))
