"""The values that a report of one run is written from."""

from dataclasses import dataclass

from model.execution import Attempt, TestExecution, Verdict
from model.fault import INFRASTRUCTURE_REASONS
from model.ids import RunId
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
    during: str = ""
    """In which window of the experiment of its suite it ran; empty without one."""
    conclusion: str = ""
    """What is known of it with that experiment, in words; empty for what ran once more without the fault."""
    met_no_fault: bool = False
    """It passed and should have met the fault of that experiment, but none was active while it ran."""

    @property
    def last(self) -> AttemptReport | None:
        """The attempt that is reported: the last one that has results, else the last one."""
        with_results = tuple(each for each in self.attempts if each.results)
        candidates = with_results or self.attempts
        return candidates[-1] if candidates else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedReport:
    """The experiment that a suite carried, and how it ended; None while it has not."""

    name: str
    run_id: RunId
    verdict: Verdict | None
