"""What a report of one run is written from."""

from dataclasses import dataclass

from model.execution import INFRASTRUCTURE_REASONS, Attempt, TestExecution
from model.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attempt and what its tests did."""

    attempt: Attempt
    results: tuple[Result, ...] = ()

    @property
    def counts(self) -> bool:
        """False for an attempt that the infrastructure ended: its failures say nothing about the tests."""
        verdict = self.attempt.verdict
        return verdict is None or verdict.reason not in INFRASTRUCTURE_REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """An execution and all its attempts, in order."""

    execution: TestExecution
    attempts: tuple[Tried, ...] = ()

    @property
    def last(self) -> Tried | None:
        """The attempt whose results stand: the last one that has any, else the last one."""
        with_results = tuple(tried for tried in self.attempts if tried.results)
        candidates = with_results or self.attempts
        return candidates[-1] if candidates else None
