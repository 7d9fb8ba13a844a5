"""Runs pytest and reports each step as a JSON line while the tests run.

Run as `python assay_pytest_plugin.py CONTENT COUNT ENTRY... [arguments of pytest]` by the interpreter of the tests' own
environment. CONTENT is the folder that holds the content. COUNT entries follow: folders, files and node ids inside it
that are to be tested; without any, pytest is run as a person runs it in that folder. This file stands alone: it imports
the standard library and pytest. The lines go to `$ASSAY_RESULTS_DIR/results.jsonl`:

    {"kind": "tools", "versions": {"python": "3.12.3", "pytest": "9.2.0", "pytest-cov": "7.0.0"}}
    {"kind": "collected", "count": 3}
    {"kind": "planned", "tests": ["test_a.py::test_x", ...]}
    {"kind": "start", "test": "test_a.py::test_x", "counts": [0, 0, 0]}
    {"kind": "result", "test": ..., "outcome": "passed", "detail": "", "ms": 12, "at": ..., "message": "", "trace": "",
     "others": [], "counts": ...}
    {"kind": "end", "status": 0}

`counts` are passed, failed and skipped so far, so that progress needs only the last line. An item has one result, when
all of its phases are over. `MAPPING` says what each report of pytest makes of it; `docs/results.md` shows that table.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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


def arranged(content: Path, entries: Sequence[str], arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """Return where pytest is to run, and its arguments.

    It runs in the folder whose settings apply, else at the top of the content. A folder that is the only entry and has
    its own settings is not named as an argument: so its `testpaths` hold, as for a person who runs pytest there.
    Where the content has no settings, pytest is told so: it would look for them above the content, and find those of
    whoever keeps our state folder. Entries come first, since an option at the end may take the next word as its value.
    """
    where = settings_folder(content, _top([content / one.partition("::")[0] for one in entries]) or content)
    named = [_inside(content, one) for one in entries]
    if where is not None:
        return where, [*([] if named == [str(where)] else named), *arguments]
    return content, ["-c", os.devnull, f"--rootdir={content}", f"--confcutdir={content}", *named, *arguments]


def _top(paths: Sequence[Path]) -> Path | None:
    """Return the lowest file or folder that holds all of `paths`, None without any."""
    return Path(os.path.commonpath(paths)) if paths else None


def _inside(content: Path, entry: str) -> str:
    """Return an entry as an argument of pytest. What follows the path may be anything that a parameter is called."""
    path, colons, test = entry.partition("::")
    return f"{content / path}{colons}{test}"


if __name__ == "__main__":
    COUNT = int(sys.argv[2])
    WHERE, ARGUMENTS = arranged(Path(sys.argv[1]), sys.argv[3 : 3 + COUNT], sys.argv[3 + COUNT :])
    os.chdir(WHERE)
    sys.path[0] = str(WHERE)  # as `python -m pytest` does: the tests' own folder first, and ours not at all

import pytest  # noqa: E402  found from the folder above

FILE = "results.jsonl"
LONGEST_MESSAGE = 4_000
LONGEST_TRACE = 16_000
MOST_OTHERS = 20
"""Failures of one item beside its first one; more are in the log."""
TEXT_BUDGET = 16_000_000
"""Characters of messages and traces of a whole run; later ones are left out, since the log has them too."""
NAMES_A_LINE = 100_000
"""Characters of names in one line."""
NAMES_BUDGET = 16_000_000
"""Characters of the names of planned tests; what did not run of later ones is known by number only."""
MOST_PLUGINS = 100
LONGEST_NAME = 100
ORDER = ("passed", "failed", "skipped")
ORDER_OF_WEIGHT = ("passed", "skipped", "failed")
GROUPED = re.compile(r"(?P<name>\w+(?:\[.*\])?)@.*", re.DOTALL)
"""A function, perhaps with parameters, that pytest-xdist has named a group behind."""
RERUNS = {"rerun", "retried"}
"""Outcomes of pytest-rerunfailures and pytest-retry: the same item runs again."""


class Meaning(NamedTuple):
    """What one report of pytest makes of its item. Failed wins over skipped, skipped over passed."""

    outcome: str
    detail: str
    message: str


MAPPING = {
    ("collect", "failed"): Meaning("failed", "error", "could not be collected: {text}"),
    ("collect", "skipped"): Meaning("skipped", "", "{text}"),
    ("setup", "failed"): Meaning("failed", "error", "setup: {text}"),
    ("setup", "skipped"): Meaning("skipped", "", "{text}"),
    ("setup", "xfailed"): Meaning("skipped", "xfail", "failed as expected: {text}"),
    ("call", "passed"): Meaning("passed", "", ""),
    ("call", "failed"): Meaning("failed", "", "{text}"),
    ("call", "skipped"): Meaning("skipped", "", "{text}"),
    ("call", "xfailed"): Meaning("skipped", "xfail", "failed as expected: {text}"),
    ("call", "xpassed"): Meaning("passed", "xpass", "passed although expected to fail: {text}"),
    ("call", "xpassed (strict)"): Meaning("failed", "xpass", "{text}"),
    ("subtest", "passed"): Meaning("", "", ""),
    ("subtest", "failed"): Meaning("failed", "", "subtest {text}"),
    ("subtest", "skipped"): Meaning("", "", ""),
    ("subtest", "xfailed"): Meaning("", "", ""),
    ("subtest", "xpassed"): Meaning("", "", ""),
    ("teardown", "failed"): Meaning("failed", "error", "teardown: {text}"),
    ("teardown", "skipped"): Meaning("skipped", "", "{text}"),
    ("teardown", "xfailed"): Meaning("skipped", "xfail", "failed as expected: {text}"),
    ("crash", "failed"): Meaning("failed", "error", "{text}"),
}
"""By phase and outcome. What is not in it, or has no outcome here, changes nothing: a set-up that passed, say."""


@dataclass
class Failure:
    """One failure of an item. `rerun`: of an earlier run of it."""

    message: str
    trace: str
    error: bool
    rerun: bool = False


@dataclass
class Run:
    """One item, while its phases report."""

    outcome: str = ""
    detail: str = ""
    seconds: float = 0.0
    began: float | None = None
    notes: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reruns: list[Failure] = field(default_factory=list)
    count: int = 0
    """How often it ran before."""

    @property
    def waits(self) -> bool:
        """Say whether the item is to run again, and has not begun to."""
        return bool(self.reruns) and not self.outcome

    def again(self) -> Run:
        """Return the next run of the same item: the failures of this one stand beside what comes of it."""
        earlier = [Failure(one.message, one.trace, one.error, rerun=True) for one in self.failures]
        return Run(reruns=[*self.reruns, *earlier], count=self.count if self.waits else self.count + 1)


class Recorder:
    """The hooks. Only the process that made it writes: a test may fork, and the child may come through here too."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._owner = os.getpid()
        self._runs: dict[tuple[str, str], Run] = {}
        self._counts = dict.fromkeys(ORDER, 0)
        self._budget = TEXT_BUDGET
        self._not_collected: set[str] = set()
        self._again: set[str] = set()
        self._planned = False
        self._grouped = False
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def end(self, status: int) -> None:
        """Note that pytest came to its end by itself."""
        self._write({"kind": "end", "status": status})

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Forget the settings file that stands for none: the header of pytest would show it."""
        if str(config.inipath) == os.devnull and hasattr(config, "_inipath"):
            config._inipath = None  # noqa: SLF001  there is no other way

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Note the versions, and how pytest-xdist distributes; listen to what it drops: modules that are skipped."""
        self._write({"kind": "tools", "versions": _versions(session.config)})
        self._grouped = session.config.getoption("dist", None) == "loadgroup"
        scheduler = session.config.pluginmanager.get_plugin("dsession")
        if hasattr(scheduler, "worker_collectreport"):
            _listen(scheduler, self.pytest_collectreport)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which tests there are to run, after deselection."""
        if session.items:
            self._plan([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:  # noqa: ARG002
        """Note the same where pytest-xdist collects in its workers; each of them finds all."""
        self._plan([self._plain(test) for test in ids])

    def _plan(self, tests: Sequence[str]) -> None:
        self._write({"kind": "collected", "count": len(tests) + len(self._not_collected)})
        for line in () if self._planned else _lines_of(tests):
            self._write({"kind": "planned", "tests": line})
        self._planned = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Make a result of a file that cannot be collected, or that skips itself."""
        meaning = MAPPING.get(("collect", str(report.outcome)))
        name = report.nodeid or "collection"
        if meaning is None or name in self._not_collected:
            return
        self._not_collected.add(name)
        run = Run(outcome=meaning.outcome, detail=meaning.detail)
        text = _crash(report) if report.failed else _skip_reason(report)
        message = meaning.message.format(text=text)
        if report.failed:
            run.failures.append(Failure(message, report.longreprtext, error=True))
        else:
            run.notes.append(message)
        self._result(name, run)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note which item begins: if it kills us, this is what was running."""
        nodeid = self._plain(nodeid)
        if nodeid in self._again:
            self._again.discard(nodeid)
            return
        self._runs[nodeid, ""] = Run()
        self._write({"kind": "start", "test": nodeid, "counts": self._totals()})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in the report of one phase. The last one of an item is that of its teardown."""
        nodeid = self._plain(report.nodeid)
        key = nodeid, _worker(report)
        run = self._runs.pop(key, None) or self._runs.pop((nodeid, ""), None) or Run()
        _take(report, run)
        self._runs[key] = run
        if str(report.outcome) in RERUNS:
            self._runs[key] = run.again()
            self._again.add(nodeid)
        elif report.when not in {"setup", "call"} and not run.waits:  # the teardown; or pytest-xdist lost a worker
            self._end_of(key)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Write the result of an item whose plugin reports no teardown. One that will run again has none yet."""
        key = self._plain(nodeid), ""
        if key in self._runs and self._runs[key].outcome:
            self._end_of(key)

    def pytest_sessionfinish(self) -> None:
        """Write the result of an item whose further runs never came."""
        for key, run in list(self._runs.items()):
            if run.waits:
                first, run.count = run.reruns.pop(0), 0
                run.outcome = "failed"
                run.failures.append(Failure(first.message, first.trace, first.error))
                self._end_of(key)

    def _end_of(self, key: tuple[str, str]) -> None:
        """Write the result of an item; one without any outcome has not run, and the reader knows it by its name."""
        run = self._runs.pop(key)
        self._again.discard(key[0])
        if run.outcome:
            self._result(key[0], run)

    def _plain(self, nodeid: str) -> str:
        """Return a node id without the group that pytest-xdist appends with `--dist loadgroup`: `test_one@db`."""
        if not self._grouped:
            return nodeid
        for colons in re.finditer("::", nodeid.partition("[")[0]):
            function = GROUPED.fullmatch(nodeid, colons.end())
            if function is not None:
                return nodeid[: colons.end()] + function["name"]
        at = nodeid.rfind("@")  # an item of some other plugin: the rule of pytest-xdist itself
        return nodeid[:at] if at > max(nodeid.find("::"), nodeid.rfind("]")) else nodeid

    def _result(self, nodeid: str, run: Run) -> None:
        failures = [*run.failures, *run.reruns]
        if run.count:
            run.notes.append(f"{run.outcome} on rerun {run.count}")
        message = "; ".join([*(one.message for one in run.failures), *run.notes])
        trace = "\n".join(one.trace for one in run.failures)
        self._counts[run.outcome] += 1
        self._write(
            {
                "kind": "result",
                "test": nodeid,
                "outcome": run.outcome,
                "detail": run.detail,
                "ms": round(run.seconds * 1000),
                "at": run.began,
                **self._fitted(message, trace),
                "others": [
                    {**self._fitted(one.message, one.trace), "error": one.error, "rerun": one.rerun}
                    for one in failures[len(run.failures[:1]) :][:MOST_OTHERS]
                ],
                "counts": self._totals(),
            }
        )

    def _fitted(self, message: str, trace: str) -> dict[str, str]:
        message, trace = message[:LONGEST_MESSAGE], trace[-LONGEST_TRACE:]
        self._budget -= len(message) + len(trace)
        return {"message": message, "trace": trace} if self._budget >= 0 else {"message": "see the log", "trace": ""}

    def _totals(self) -> list[int]:
        return [self._counts[outcome] for outcome in ORDER]

    def _write(self, line: dict[str, Any]) -> None:
        """Append a line, whole unless we die in it. The file is opened anew: a test may close what it does not know.

        Where a test has removed the file, the report stays away, and the reader says so.
        """
        if os.getpid() != self._owner:
            return
        with contextlib.suppress(OSError):
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                os.write(file, json.dumps(line).encode() + b"\n")
            finally:
                os.close(file)


def _versions(config: pytest.Config) -> dict[str, str]:
    """Return the versions of the interpreter, of pytest and of the plugins that it has loaded."""
    found = {"python": platform.python_version(), "pytest": pytest.__version__}
    for _, distribution in config.pluginmanager.list_plugin_distinfo()[:MOST_PLUGINS]:
        name, version = (getattr(distribution, key, None) for key in ("project_name", "version"))
        if isinstance(name, str) and isinstance(version, str):
            found[name[:LONGEST_NAME]] = version[:LONGEST_NAME]
    return found


def _lines_of(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the names in lines of a length that the reader takes, as many as there is room for."""
    line: list[str] = []
    room, left = NAMES_A_LINE, NAMES_BUDGET
    for name in names:
        size = len(json.dumps(name))
        left -= size
        if left < 0 or size > NAMES_A_LINE:
            break
        if size > room:
            yield line
            line, room = [], NAMES_A_LINE
        line.append(name)
        room -= size
    if line:
        yield line


def _listen(scheduler: Any, take: Callable[[pytest.CollectReport], None]) -> None:
    """Have `take` called with what a worker of pytest-xdist skips while it collects: its scheduler drops that."""
    heard = scheduler.worker_collectreport

    def worker_collectreport(*args: Any, **kwargs: Any) -> None:
        report = kwargs.get("rep")
        if report is not None and report.skipped:
            take(report)
        heard(*args, **kwargs)

    scheduler.worker_collectreport = worker_collectreport


def _take(report: pytest.TestReport, run: Run) -> None:
    """Add one phase to what is known of an item, as `MAPPING` says."""
    run.seconds += report.duration
    run.began = run.began or getattr(report, "start", None)  # pytest before 7.3 has none
    phase, outcome = _phase(report), _outcome(report)
    if outcome in RERUNS:
        run.failures.append(Failure(_crash(report), report.longreprtext, error=phase != "call"))
        return
    meaning = MAPPING.get((phase, outcome))
    if meaning is None or not meaning.outcome:
        return
    if not run.outcome or ORDER_OF_WEIGHT.index(meaning.outcome) > ORDER_OF_WEIGHT.index(run.outcome):
        run.outcome, run.detail = meaning.outcome, meaning.detail
        run.notes.clear()
    message = meaning.message.format(text=_text(report, phase, outcome)).rstrip(": ")
    if meaning.outcome == "failed":
        run.failures.append(Failure(message, report.longreprtext, error=meaning.detail == "error"))
    elif meaning.outcome == run.outcome and message:
        run.notes.append(message)


def _phase(report: pytest.TestReport) -> str:
    if hasattr(report, "context") or type(report).__name__ in {"SubtestReport", "SubTestReport"}:
        return "subtest"
    return report.when if report.when in {"setup", "call", "teardown"} else "crash"


def _outcome(report: pytest.TestReport) -> str:
    """Return the outcome of a report, in pytest's own words for what it shows at the end."""
    expected = hasattr(report, "wasxfail")
    if report.failed:
        strict = isinstance(report.longrepr, str) and report.longrepr.startswith("[XPASS(strict)]")
        return "xpassed (strict)" if strict else "failed"
    if report.skipped:
        return "xfailed" if expected else "skipped"
    return "xpassed" if report.passed and expected else str(report.outcome)


def _text(report: pytest.TestReport, phase: str, outcome: str) -> str:
    if outcome in {"xfailed", "xpassed"}:
        return str(getattr(report, "wasxfail", ""))
    if outcome == "skipped":
        return _skip_reason(report)
    return f"{_subtest(report)}: {_crash(report)}" if phase == "subtest" else _crash(report)


def _subtest(report: Any) -> str:
    """Return how a subtest is called: its message and its parameters."""
    context = getattr(report, "context", None)
    message, values = getattr(context, "msg", None), getattr(context, "kwargs", None) or {}
    parts = [f"[{message}]"] if message else []
    parts += [f"({', '.join(f'{name}={value}' for name, value in values.items())})"] if values else []
    return " ".join(parts) or "(<subtest>)"


def _worker(report: Any) -> str:
    """Return the worker of pytest-xdist that a report is from, empty without one."""
    return str(getattr(getattr(getattr(report, "node", None), "gateway", None), "id", ""))


def _crash(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Return the message of an error in short."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message)
    lines = report.longreprtext.strip().splitlines()
    return lines[-1].removeprefix("E").strip() if lines else "no message"


def _skip_reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ").removeprefix("unittest.case.SkipTest: ")
    return ""


def main(arguments: list[str]) -> int:
    """Run pytest with the recorder in it, and end as it ends."""
    recorder = Recorder(os.path.join(os.environ["ASSAY_RESULTS_DIR"], FILE))  # noqa: PTH118
    status = int(pytest.main(arguments, plugins=[recorder]))
    recorder.end(status)
    return status


if __name__ == "__main__":
    sys.exit(main(ARGUMENTS))
