"""Write runs and suite runs as Markdown for Prefect. Text from tests is untrusted, so it is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from model.execution import TestExecution, Verdict
from model.ids import ExecutionId, short
from model.plural import counted
from model.result import Outcome, Result, summarise
from reports.texts import for_markdown
from scheduler.placement.score import Score

MOST_ROWS = 200
MOST_NAME = 200
MOST_MESSAGE = 300
_ORDER = (Outcome.FAILED, Outcome.SKIPPED, Outcome.PASSED)


class _Run(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def note(self) -> str: ...


class _Shown(Protocol):
    @property
    def execution(self) -> TestExecution: ...


class SuiteStanding(Protocol):
    """The state of a suite run, as far as a summary shows it."""

    @property
    def run(self) -> _Run:
        """The name of the suite run, and its note if it was skipped."""

    @property
    def tests(self) -> Sequence[_Shown]:
        """The executions of its tests, in the order of the suite."""

    @property
    def status(self) -> str:
        """The status as a word."""

    @property
    def experiment_lines(self) -> Sequence[str]:
        """How the experiment of the suite stands, and what its tests say about it; empty without one."""


def summary(name: str, execution_id: ExecutionId, attempt: int, verdict: Verdict, results: Sequence[Result]) -> str:
    """Return the summary of one attempt: verdict, number of tests, and a table with the failures first."""
    counts = summarise(results)
    seconds = sum(result.duration_ms for result in results) / 1000
    outcomes = (
        f"{counted(counts.total, 'test')}: {counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped"
    )
    if counts.total > counts.completed:
        outcomes += f", {counts.total - counts.completed} not run"
    head = [
        f"# {for_markdown(name, MOST_NAME)}: {verdict_words(verdict)}",
        "",
        *([for_markdown(verdict.detail, MOST_MESSAGE), ""] if verdict.detail else []),
        f"{outcomes} · {seconds:.1f} s in tests · attempt {attempt} · run `{execution_id}`",
    ]
    return "\n".join([*head, *_results_table(results)]) + "\n"


def suite_summary(standing: SuiteStanding, links: Mapping[ExecutionId, str] = MappingProxyType({})) -> str:
    """Return the summary of a suite run: a table with one row for each test. `links` are the pages of the tests."""
    rows = [_execution_cells(shown.execution, links.get(shown.execution.execution_id)) for shown in standing.tests]
    note = [for_markdown(standing.run.note, MOST_MESSAGE), ""] if standing.run.note else []
    told = [f"- {for_markdown(line, MOST_MESSAGE)}" for line in standing.experiment_lines]
    about = [*told, ""] if told else []
    head = [f"# {for_markdown(standing.run.name, MOST_NAME)}: {standing.status}", "", *note, *about]
    return "\n".join([*head, *_table(("test", "status", "seconds", "retries", "why", "run"), rows)]) + "\n"


def placement_summary(node: str, candidates: Sequence[Score], decision: str) -> str:
    """Return the decision of a placement: the chosen node, and the terms of the score of each candidate, best first."""
    rows = [
        (
            for_markdown(score.node, MOST_NAME),
            *(f"{term:.3f}" for term in (score.total, score.free, score.utilisation, score.affinity)),
            *(f"{term:.3f}" for term in (score.spot, score.balance)),
        )
        for score in candidates
    ]
    head = [f"# Node {for_markdown(node, MOST_NAME)}", "", for_markdown(decision, MOST_MESSAGE), ""]
    columns = ("node", "total", "free", "utilisation", "affinity", "spot", "balance")
    return "\n".join([*head, *_table(columns, rows)]) + "\n"


def verdict_words(verdict: Verdict) -> str:
    """Return a verdict as status and reason: `completed`, `failed (no_tests)`."""
    return f"{verdict.status} ({verdict.reason})" if verdict.reason else str(verdict.status)


def _results_table(results: Sequence[Result]) -> list[str]:
    if not results:
        return []
    sorted_results = sorted(results, key=lambda result: _ORDER.index(result.outcome))
    left_out = len(results) - MOST_ROWS
    rest = ["", f"{left_out} more are not shown here."] if left_out > 0 else []
    rows = [_result_cells(result) for result in sorted_results[:MOST_ROWS]]
    return ["", *_table(("test", "outcome", "milliseconds", "message"), rows), *rest]


def _result_cells(result: Result) -> tuple[str, ...]:
    name, message = for_markdown(result.name, MOST_NAME), for_markdown(result.message, MOST_MESSAGE)
    return name, str(result.kind or result.outcome), str(result.duration_ms), message


def _execution_cells(execution: TestExecution, link: str | None = None) -> tuple[str, ...]:
    started, completed = execution.started_at, execution.completed_at
    seconds = f"{(completed - started).total_seconds():.1f}" if started and completed else ""
    reason = f"{execution.failure_reason}: " if execution.failure_reason else ""
    name = for_markdown(execution.name, MOST_NAME)
    return (
        f"[{name}]({link})" if link else name,
        str(execution.status),
        seconds,
        str(execution.retry_count),
        for_markdown(reason + execution.detail, MOST_MESSAGE),
        f"`{short(execution.execution_id)}`",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
