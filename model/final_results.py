"""The results of an attempt, once its verdict is known: what did not end, and what never began, is listed too."""

from dataclasses import replace

from model.execution import Status, Verdict
from model.fault import INFRASTRUCTURE_REASONS
from model.result import Outcome, Report, Result, ResultKind


def final_results(report: Report, verdict: Verdict) -> tuple[Result, ...]:
    """Return all results of an attempt: those with an outcome, the unfinished, and the planned that did not begin.

    A test that was running when the tool died is failed, unless a person, a preemption or the infrastructure ended it.
    """
    blamed = not report.finished and _is_the_tests_fault(verdict)
    unfinished = tuple(_ended_with_the_tool(result) if blamed else result for result in report.unfinished)
    return (*report.results, *unfinished, *report.not_run)


def _is_the_tests_fault(verdict: Verdict) -> bool:
    if verdict.status is Status.TIMEOUT:
        return True
    return verdict.status is Status.FAILED and verdict.reason not in INFRASTRUCTURE_REASONS


def _ended_with_the_tool(result: Result) -> Result:
    return replace(
        result, outcome=Outcome.FAILED, kind=ResultKind.ERROR, message="was running when the test process ended"
    )
