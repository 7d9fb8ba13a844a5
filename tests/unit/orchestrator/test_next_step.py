"""Whether a run that failed is tried again (D5)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from model.execution import MAX_INFRASTRUCTURE_ATTEMPTS, MAX_PLACEMENT_CONFLICTS, Cause, Reason, Status, Verdict
from model.retry import Backoff, RetryCondition, RetryPolicy
from orchestrator.lifecycle import Again, History, next_step

PASSED = Verdict(status=Status.COMPLETED)
FAILED = Verdict(status=Status.FAILED, reason=Reason.TESTS_FAILED)
LOST = Verdict(status=Status.FAILED, reason=Reason.INFRASTRUCTURE)
REFUSED = Verdict(status=Status.FAILED, reason=Reason.PLACEMENT)
LATE = Verdict(status=Status.TIMEOUT)
STOPPED = Verdict(status=Status.CANCELLED)


def history(*, most: int = 2, retries: int = 0, lost: int = 0, cancelled: bool = False) -> History:
    policy = RetryPolicy(max_retries=most, backoff_seconds=10, backoff_strategy=Backoff.EXPONENTIAL)
    return History(policy=policy, retries=retries, infrastructure_failures=lost, cancelled=cancelled)


@pytest.mark.parametrize("verdict", [PASSED, STOPPED, LATE, Verdict(status=Status.FAILED, reason=Reason.CONFIG)])
def test_what_is_no_condition_ends_the_run(verdict: Verdict) -> None:
    assert next_step(verdict, history()) == verdict


def test_a_failed_test_is_retried_after_its_backoff_which_doubles() -> None:
    steps = [next_step(FAILED, history(retries=retries)) for retries in (0, 1)]

    assert steps == [
        Again(cause=Cause.RETRY, delay=timedelta(seconds=10)),
        Again(cause=Cause.RETRY, delay=timedelta(seconds=20)),
    ]


def test_the_last_retry_is_the_last() -> None:
    assert next_step(FAILED, history(retries=2)) == FAILED


def test_a_lost_attempt_is_not_charged_to_the_retries() -> None:
    step = next_step(LOST, history(most=0, retries=0, lost=1))

    assert isinstance(step, Again)
    assert step.cause is Cause.INFRASTRUCTURE


def test_lost_attempts_have_a_cap_of_their_own() -> None:
    assert next_step(LOST, history(lost=MAX_INFRASTRUCTURE_ATTEMPTS)) == LOST


def test_a_refused_placement_is_charged_only_after_many() -> None:
    few, many = (replace(history(), placement_conflicts=number) for number in (9, MAX_PLACEMENT_CONFLICTS))
    steps = [next_step(REFUSED, known) for known in (few, many)]

    assert [step.cause for step in steps if isinstance(step, Again)] == [Cause.PLACEMENT, Cause.INFRASTRUCTURE]
    assert next_step(REFUSED, replace(many, infrastructure_failures=MAX_INFRASTRUCTURE_ATTEMPTS)) == REFUSED


def test_a_cancelled_run_is_never_tried_again() -> None:
    assert next_step(FAILED, history(cancelled=True)) == FAILED
    assert next_step(LOST, history(cancelled=True)) == LOST


def test_a_timeout_is_retried_where_the_policy_says_so() -> None:
    policy = RetryPolicy(max_retries=1, backoff_seconds=0, retry_conditions=(RetryCondition.TIMEOUT,))
    asked = History(policy=policy, retries=0, infrastructure_failures=0, cancelled=False)

    assert next_step(LATE, asked) == Again(cause=Cause.RETRY, delay=timedelta())
    assert next_step(FAILED, asked) == FAILED


def test_a_preempted_run_waits_again_at_once_whatever_its_policy() -> None:
    step = next_step(STOPPED, replace(history(most=0, lost=MAX_INFRASTRUCTURE_ATTEMPTS), preempted=True))

    assert step == Again(cause=Cause.PREEMPTED, delay=None)


@pytest.mark.parametrize("verdict", [PASSED, LATE])
def test_what_ended_by_itself_before_it_was_stopped_counts(verdict: Verdict) -> None:
    assert next_step(verdict, replace(history(), preempted=True)) == verdict


def test_a_cancel_wins_over_a_preemption() -> None:
    assert next_step(STOPPED, replace(history(cancelled=True), preempted=True)) == STOPPED
