"""The values that a report of one run is written from."""

from dataclasses import dataclass

from model.execution import Attempt, TestExecution
from model.fault import INFRASTRUCTURE_REASONS
from model.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptReport:
    """One attempt and the results of its tests."""

    attempt: Attempt
    results: tuple[Result, ...] = ()

    @property
    def counts(self) -> bool:
        """False if the infrastructure ended the attempt. Its failures then say nothing about the tests."""
        verdict = self.attempt.verdict
        return verdict is None or verdict.reason not in INFRASTRUCTURE_REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """An execution and all its attempts, in order of their numbers."""

    execution: TestExecution
    attempts: tuple[AttemptReport, ...] = ()

    @property
    def last(self) -> AttemptReport | None:
        """The attempt that is reported: the last one that has results, else the last one."""
        with_results = tuple(each for each in self.attempts if each.results)
        candidates = with_results or self.attempts
        return candidates[-1] if candidates else None
