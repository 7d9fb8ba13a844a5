"""The report of pytest: the lines that our plugin writes while pytest runs (`assay_pytest_plugin.py`)."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from executors import identity
from executors.untrusted import LONGEST_MESSAGE, LONGEST_TRACE, UnreadableError, clean, open_file
from model.result import Failure, Outcome, Report, Result, ResultKind, Summary

FILE = "results.jsonl"
LARGEST_REPORT = 64 * 2**20
LONGEST_LINE = 2**20
MOST_TESTS = 200_000
MOST_OTHERS = 20
"""Failures of one test beside its first one."""
TEXT_BUDGET = 16 * 2**20
MOST_VERSIONS = 102
LONGEST_VERSION = 100
LARGEST_TAIL = 256 * 2**10
"""Read for progress: more than the longest line that the plugin writes."""
_LATEST = 4_102_444_800.0
"""The year 2100; a test's clock may say anything."""


class BrokenError(ValueError):
    """The report has a line that our plugin did not write."""


def read(results: Path) -> Report:
    """Return the plugin's lines as a report. If it cannot be trusted, it says why."""
    reading = _Reading()
    try:
        with open_file(results / FILE, LARGEST_REPORT) as file:
            for line in _lines(file):
                reading.take(line)
    except (UnreadableError, BrokenError) as error:
        return replace(reading.report(), finished=False, broken=str(error))
    return reading.report()


def progress(results: Path) -> Summary:
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


@dataclass(slots=True)
class _Reading:
    """What the lines read so far amount to."""

    results: list[tuple[str, Result]] = field(default_factory=list)
    running: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)
    planned: int | None = None
    finished: bool = False
    tools: tuple[tuple[str, str], ...] = ()
    budget: int = field(default_factory=lambda: TEXT_BUDGET)

    def take(self, line: dict[str, object]) -> None:
        """Take one line in. Raises: BrokenError if it is not one of ours."""
        kind, test, count = line.get("kind"), line.get("test"), line.get("count")
        if kind == "collected" and isinstance(count, int) and count >= 0:
            self.planned = count
        elif kind == "tools":
            self.tools = _versions(line.get("versions"))
        elif kind == "planned":
            self._take_names(line.get("tests"))
        elif kind == "start" and isinstance(test, str):
            self.running[test] += 1
        elif kind == "result" and isinstance(test, str) and len(self.results) < MOST_TESTS:
            self.running[test] -= 1
            self.results.append((test, self._result(test, line)))
        elif kind == "end":
            self.finished = True
        else:
            raise BrokenError(f"{FILE} has a line that the plugin did not write, or more than {MOST_TESTS} tests")

    def report(self) -> Report:
        """Return the whole. Names and identities are told when all are known: of equal node ids each has a number."""
        unfinished = list((+self.running).elements())
        not_run = self._not_begun(unfinished)
        names = iter(identity.from_pytest([*(test for test, _ in self.results), *unfinished, *not_run]))
        return Report(
            results=tuple(_called(result, next(names)) for _, result in self.results),
            unfinished=tuple(_without_outcome(next(names), "had begun, and did not end") for _ in unfinished),
            not_run=tuple(_without_outcome(next(names), "did not run") for _ in not_run),
            finished=self.finished,
            planned=self.planned or 0,
            tools=self.tools,
        )

    def _take_names(self, tests: object) -> None:
        names = [test for test in tests if isinstance(test, str)] if isinstance(tests, list) else []
        if not names or len(names) + len(self.names) > MOST_TESTS:
            raise BrokenError(f"{FILE} names planned tests that are none, or more than {MOST_TESTS}")
        self.names += names

    def _not_begun(self, unfinished: Iterable[str]) -> list[str]:
        """Return the planned tests that have neither ended nor begun, as often as they were planned, in their order."""
        known = Counter(test for test, _ in self.results)
        known.update(unfinished)
        left = []
        for name in self.names:
            known[name] -= 1
            if known[name] < 0:
                left.append(name)
        return left

    def _result(self, test: str, line: dict[str, object]) -> Result:
        try:
            outcome, kind = Outcome(str(line.get("outcome"))), _kind(line.get("detail"))
            message, trace = self._texts(line)
            return Result(
                name=test,
                outcome=outcome,
                kind=kind,
                duration_ms=_milliseconds(line.get("ms")),
                message=message,
                trace=trace,
                executed_at=_time(line.get("at")),
                other_failures=tuple(self._failures(line.get("others"))),
            )
        except ValueError as error:
            raise BrokenError(f"{FILE} has an outcome that is none: {str(line.get('outcome'))[:100]!r}") from error

    def _failures(self, others: object) -> Iterator[Failure]:
        for other in others[:MOST_OTHERS] if isinstance(others, list) else ():
            if isinstance(other, dict):
                message, trace = self._texts(other)
                yield Failure(
                    message=message, trace=trace, error=other.get("error") is True, rerun=other.get("rerun") is True
                )

    def _texts(self, line: dict[str, object]) -> tuple[str, str]:
        """Return message and trace, cut, and within the budget of the whole report."""
        message, trace = clean(line.get("message"), LONGEST_MESSAGE), clean(line.get("trace"), LONGEST_TRACE)
        self.budget -= len(message) + len(trace)
        return (message, trace) if self.budget >= 0 else (message[:200], "")


def _versions(raw: object) -> tuple[tuple[str, str], ...]:
    """Return the versions that the plugin told, in order of name."""
    known = raw.items() if isinstance(raw, dict) else ()
    told = {clean(name, LONGEST_VERSION): clean(version, LONGEST_VERSION) for name, version in known}
    return tuple(sorted(told.items())[:MOST_VERSIONS])


def _kind(detail: object) -> ResultKind | None:
    return ResultKind(str(detail)) if detail else None


def _called(result: Result, named: identity.Named) -> Result:
    return replace(result, name=named.shown, identity=named.identity)


def _without_outcome(named: identity.Named, message: str) -> Result:
    return Result(
        name=named.shown,
        identity=named.identity,
        outcome=Outcome.SKIPPED,
        kind=ResultKind.NOT_RUN,
        message=message,
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
