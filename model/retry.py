"""When a failed run is tried again, and after how long."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from model.execution import Reason, Status, Verdict
from model.fields import FORBID

LONGEST_DELAY = timedelta(hours=1)


class Backoff(StrEnum):
    """How the delay grows with the retries."""

    FIXED = "fixed"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class RetryCondition(StrEnum):
    """Which failures are tried again. Infrastructure failures always are, under a cap of their own."""

    TESTS_FAILED = "tests_failed"
    TIMEOUT = "timeout"
    NO_TESTS = "no_tests"
    OOM_KILLED = "oom_killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, when and why a run is tried again (decision 5)."""

    __pydantic_config__ = FORBID

    max_retries: Annotated[int, Field(ge=0, le=10)] = 0
    backoff_seconds: Annotated[int, Field(ge=0, le=3600)] = 10
    backoff_strategy: Backoff = Backoff.EXPONENTIAL
    retry_conditions: Annotated[tuple[RetryCondition, ...], Field(max_length=4)] = (RetryCondition.TESTS_FAILED,)

    def should_retry(self, verdict: Verdict, retries: int) -> bool:
        """Say whether `verdict` is one of the conditions and fewer than `max_retries` retries were made."""
        return retries < self.max_retries and _condition(verdict) in self.retry_conditions

    def delay(self, retry: int) -> timedelta:
        """Return the wait before the given retry, which counts from 1; an hour at most."""
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
