"""A suite run for people: its tests, its experiment if it carries one, and how it stands."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from db.suites import SuiteRow
from model.execution import Status, Verdict
from model.fault import exit_code, worst
from model.runs import SKIPPED, RunStatus
from orchestrator.listing import Shown
from orchestrator.suite_experiments import Carried

EXIT_SKIPPED = 2
"""A skipped suite run has the exit code of a cancelled one: nothing was tested, by decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSuite:
    """A suite run with its tests. Its status follows from the tests, also before its row is closed."""

    run: SuiteRow
    tests: tuple[Shown, ...] = ()
    ended: tuple[Verdict, ...] = ()
    """The verdicts of an ended run whose tests are left out, each kind once."""
    counted: Counter[Status] | None = None
    """How many tests have each status, where the tests are left out."""
    carried: Carried | None = None
    """The experiment that it carries, and what its tests found."""

    @property
    def experiment_lines(self) -> tuple[str, ...]:
        """Return for people how the experiment stands, and what its tests say about it; nothing without one."""
        if self.carried is None:
            return ()
        experiment, window = self.carried.experiment, self.run.window
        standing = f"{experiment.status}, window {window}" if experiment.verdict is None else str(experiment.status)
        told = f": {experiment.verdict.detail}" if experiment.verdict and experiment.verdict.detail else ""
        found = self.carried.conclusions
        said = [
            f"{test.name} ({test.during}): {found[test.execution_id]}"
            for test in self.carried.tests
            if test.execution_id in found
        ]
        return (f"experiment {experiment.name}: {standing}{told}", *said)

    @property
    def counts(self) -> Counter[Status]:
        """How many tests have each status, without what ran once more."""
        if self.counted is not None:
            return self.counted
        return Counter(test.execution.status for test in self.tests if not self._ran_again(test))

    def _ran_again(self, test: Shown) -> bool:
        return self.run.window is not None and test.execution.retried_from is not None

    @property
    def duration_seconds(self) -> float | None:
        """From the submit to the end. None until the run has ended."""
        ended = self.run.completed_at
        return None if ended is None else (ended - self.run.submitted_at).total_seconds()

    @property
    def status(self) -> RunStatus:
        """The worst verdict once all tests have ended; until then running, or queued while none has begun."""
        if self.run.completed_at is not None or not self.tests:
            return self.run.status
        statuses = [test.execution.status for test in self.tests]
        if self.carried is not None:
            waits = {*statuses, self.carried.experiment.status} == {Status.QUEUED}
            return Status.QUEUED if waits else Status.RUNNING
        if all(status.terminal for status in statuses):
            return worst(_verdicts(self.tests)).status
        return Status.QUEUED if all(status is Status.QUEUED for status in statuses) else Status.RUNNING

    @property
    def exit_code(self) -> int | None:
        """The exit code of a command that waited for this suite run. None until all tests have ended."""
        if self.run.status == SKIPPED:
            return EXIT_SKIPPED
        if self.run.window is not None:
            ended = isinstance(self.run.status, Status) and self.run.status.terminal
            return exit_code(Status(self.run.status), self.run.failure_reason) if ended else None
        if not all(test.execution.status.terminal for test in self.tests):
            return None
        verdicts = list(self.ended) or _verdicts(self.tests)
        if not verdicts:
            return None
        verdict = worst(verdicts)
        return exit_code(verdict.status, verdict.reason)


def _verdicts(tests: Sequence[Shown]) -> list[Verdict]:
    rows = [test.execution for test in tests]
    return [Verdict(status=row.status, reason=row.failure_reason, detail=row.detail) for row in rows]
