"""All results of an attempt, once it is known how it ended."""

import pytest

from model.execution import Reason, Status, Verdict
from model.fault import INFRASTRUCTURE_REASONS
from model.final_results import final_results
from model.result import Outcome, Report, Result, ResultKind, Summary, summarise


def not_run(name: str) -> Result:
    return Result(name=name, outcome=Outcome.SKIPPED, kind=ResultKind.NOT_RUN, message="did not run")


DIED = Report(
    results=(Result(name="a", outcome=Outcome.PASSED),),
    unfinished=(not_run("b"),),
    not_run=(not_run("c"), not_run("d")),
    planned=4,
)


def told(report: Report, verdict: Verdict) -> dict[str, str]:
    return {result.name: str(result.kind or result.outcome) for result in final_results(report, verdict)}


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(status=Status.TIMEOUT),
        *(
            Verdict(status=Status.FAILED, reason=reason)
            for reason in (Reason.TESTS_FAILED, Reason.OOM_KILLED, Reason.REPORT_MISMATCH)
        ),
    ],
)
def test_the_test_that_was_running_is_failed_if_the_attempt_is_to_blame(verdict: Verdict) -> None:
    assert told(DIED, verdict) == {"a": "passed", "b": "error", "c": "not_run", "d": "not_run"}
    assert final_results(DIED, verdict)[1].outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(status=Status.CANCELLED),
        *(Verdict(status=Status.FAILED, reason=reason) for reason in sorted(INFRASTRUCTURE_REASONS)),
    ],
)
def test_it_has_no_outcome_if_somebody_else_ended_the_attempt(verdict: Verdict) -> None:
    """Else a cancel, a preemption or a lost node would make a good test look flaky."""
    assert told(DIED, verdict) == {"a": "passed", "b": "not_run", "c": "not_run", "d": "not_run"}


def test_a_test_that_began_is_not_failed_if_the_tool_came_to_its_own_end() -> None:
    report = Report(results=DIED.results, unfinished=DIED.unfinished, planned=2, finished=True)

    assert told(report, Verdict(status=Status.FAILED, reason=Reason.TESTS_FAILED))["b"] == "not_run"


def test_the_counts_of_a_time_limit_say_what_did_not_run() -> None:
    """981 tests were collected, 730 have ended."""
    done = tuple(Result(name=f"done {number}", outcome=Outcome.PASSED) for number in range(729))
    left = tuple(not_run(f"left {number}") for number in range(251))
    report = Report(results=done, unfinished=(not_run("hangs"),), not_run=left, planned=981)

    results = final_results(report, Verdict(status=Status.TIMEOUT))

    assert summarise(results, report.planned) == Summary(total=981, passed=729, failed=1, skipped=0)
    assert summarise(results).completed == 730
    assert sum(not result.ran for result in results) == 251


def test_what_is_known_by_number_only_counts_as_planned() -> None:
    assert summarise(DIED.results, 981) == Summary(total=981, passed=1, failed=0, skipped=0)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [(Outcome.PASSED, ResultKind.ERROR), (Outcome.FAILED, ResultKind.NOT_RUN), (Outcome.SKIPPED, ResultKind.XPASS)],
)
def test_a_kind_belongs_to_its_outcome(outcome: Outcome, kind: ResultKind) -> None:
    with pytest.raises(ValueError, match="cannot be of kind"):
        Result(name="a", outcome=outcome, kind=kind)
