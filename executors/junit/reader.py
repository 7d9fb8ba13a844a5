"""Make one report of the JUnit files that a test left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO
from xml.parsers import expat

from executors import identity
from executors.junit import dialects
from executors.junit.characters import RefusedError, characters
from executors.junit.dialects import Child
from executors.junit.document import Case, Part, Reader
from executors.junit.durations import milliseconds
from executors.untrusted import LONGEST_MESSAGE, LONGEST_TRACE, clean
from model.result import Failure, Outcome, Report, Result, ResultKind

MOST_TESTS = 200_000
MOST_FAILURES = 20
"""Of one test; more stand in the file."""
TEXT_BUDGET = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """An open file, and its path in the results folder. `one_of_many`: a pattern names it, and perhaps others."""

    path: str
    one_of_many: bool = False
    file: BinaryIO


def read(files: Sequence[ReportFile]) -> Report:
    """Return one report of all files; what cannot be trusted to the end is broken, with what was read so far."""
    reading = _Reading()
    broken = [problem for file in files if (problem := reading.take(file))]
    results = reading.results()
    note = "; ".join(broken)[:LONGEST_MESSAGE]
    return Report(results=results, planned=len(results), finished=not broken, broken=note)


def with_problems(report: Report, problems: Sequence[str]) -> Report:
    """Return a report that cannot be trusted for further reasons, if there are any."""
    if not problems:
        return report
    note = "; ".join([*problems, report.broken] if report.broken else problems)[:LONGEST_MESSAGE]
    return replace(report, finished=False, broken=note)


class _Reading:
    """The test cases of all files."""

    def __init__(self) -> None:
        self._cases: list[Case] = []
        self._budget = TEXT_BUDGET

    def take(self, source: ReportFile) -> str:
        """Read one file; return why it cannot be trusted, empty if it can."""
        try:
            Reader(source.path if source.one_of_many else "", self._add).parse(characters(source.file))
        except (expat.ExpatError, RefusedError) as error:
            return f"the JUnit file {source.path} is broken: {error}"
        return ""

    def _add(self, case: Case) -> None:
        if len(self._cases) >= MOST_TESTS:
            raise RefusedError(f"it has more than {MOST_TESTS} tests")
        for part in case.parts:
            self._fit(part)
        self._cases.append(case)

    def _fit(self, part: Part) -> None:
        """Keep the texts of all files within the budget: the log has them too."""
        message, trace = clean(part.summary, LONGEST_MESSAGE), clean(part.trace, LONGEST_TRACE)
        self._budget -= len(message) + len(trace)
        if self._budget < 0:
            message, trace = message[:200], ""
        part.attributes = {"type": part.attributes.get("type", ""), "message": message}
        part.message, part.texts = [], [trace]

    def results(self) -> tuple[Result, ...]:
        """Return the results in the order of the files."""
        names = identity.from_junit([case.reported for case in self._cases])
        times = milliseconds(
            [case.attributes.get("time") or case.attributes.get("duration", "") for case in self._cases]
        )
        return tuple(
            _result(case, named, duration) for case, named, duration in zip(self._cases, names, times, strict=True)
        )


def _result(case: Case, named: identity.Named, duration_ms: int) -> Result:
    outcome, kind, first = _outcome(case)
    _, word = dialects.outcome_by_attribute(case.attributes)
    message, trace = _texts(first) if first else ("" if outcome is Outcome.PASSED else clean(word, LONGEST_MESSAGE), "")
    return Result(
        name=named.shown,
        identity=named.identity,
        outcome=outcome,
        kind=kind,
        duration_ms=duration_ms,
        message=message,
        trace=trace if outcome is not Outcome.PASSED else "",
        other_failures=_other_failures(case, first if outcome is Outcome.FAILED else None),
    )


def _outcome(case: Case) -> tuple[Outcome, ResultKind | None, Part | None]:
    """Return the outcome of a test case, its kind, and the part that says so: an element before an attribute."""
    failures = case.all(Child.FAILURE, Child.ERROR) or case.all(Child.RERUN)
    if failures:
        return Outcome.FAILED, dialects.kind_of(failures[0].child, failures[0].attributes), failures[0]
    skipped = case.all(Child.SKIPPED)
    if skipped:
        return Outcome.SKIPPED, dialects.kind_of(Child.SKIPPED, skipped[0].attributes), skipped[0]
    flaky = case.all(Child.FLAKY)
    if flaky:
        return Outcome.PASSED, None, flaky[0]
    return dialects.outcome_by_attribute(case.attributes)[0], None, None


def _texts(part: Part) -> tuple[str, str]:
    """Return message and trace; the first line of the trace where there is no message."""
    trace = part.trace
    return part.summary or trace.partition("\n")[0][:LONGEST_MESSAGE], trace


def _other_failures(case: Case, first: Part | None) -> tuple[Failure, ...]:
    others = [part for part in case.parts if part is not first and part.child is not Child.SKIPPED]
    return tuple(
        Failure(
            message=_texts(part)[0],
            trace=part.trace,
            error=part.child is Child.ERROR,
            rerun=part.child in {Child.FLAKY, Child.RERUN},
        )
        for part in others[:MOST_FAILURES]
    )
