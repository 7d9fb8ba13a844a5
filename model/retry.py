"""The retry policy: which failed runs are retried, how often, and after which delay."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from model.execution import Reason, Status, Verdict
from model.fields import FORBID

LONGEST_DELAY = timedelta(hours=1)


class Backoff(StrEnum):
    """How the delay grows with the number of retries."""

    FIXED = "fixed"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class RetryCondition(StrEnum):
    """The failures that are retried. Infrastructure failures are always retried, with a cap of their own."""

    TESTS_FAILED = "tests_failed"
    TIMEOUT = "timeout"
    NO_TESTS = "no_tests"
    OOM_KILLED = "oom_killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, after which failures, and with which delay a run is retried (D5)."""

    __pydantic_config__ = FORBID

    max_retries: Annotated[int, Field(ge=0, le=10, description="Retries after the first attempt")] = 0
    backoff_seconds: Annotated[int, Field(ge=0, le=3600, description="Delay before the first retry")] = 10
    backoff_strategy: Annotated[Backoff, Field(description="How the delay grows with the number of retries")] = (
        Backoff.EXPONENTIAL
    )
    retry_conditions: Annotated[
        tuple[RetryCondition, ...], Field(max_length=4, description="The failures that are retried")
    ] = (RetryCondition.TESTS_FAILED,)

    def should_retry(self, verdict: Verdict, retries: int) -> bool:
        """Say whether `verdict` meets a retry condition and fewer than `max_retries` retries were made."""
        return retries < self.max_retries and _condition(verdict) in self.retry_conditions

    def delay(self, retry: int) -> timedelta:
        """Return the delay before the given retry, at most an hour. Retries count from 1."""
        factor = {Backoff.FIXED: 1, Backoff.LINEAR: retry, Backoff.EXPONENTIAL: 2 ** (retry - 1)}
        return min(timedelta(seconds=self.backoff_seconds * factor[self.backoff_strategy]), LONGEST_DELAY)


def _condition(verdict: Verdict) -> RetryCondition | None:
    if verdict.status is Status.TIMEOUT:
        return RetryCondition.TIMEOUT
    return _CONDITIONS.get(verdict.reason) if verdict.reason else None


_CONDITIONS = {
    Reason.TESTS_FAILED: RetryCondition.TESTS_FAILED,
    Reason.NO_TESTS: RetryCondition.NO_TESTS,
    Reason.OOM_KILLED: RetryCondition.OOM_KILLED,
}
