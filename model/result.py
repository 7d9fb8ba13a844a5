"""Results of single tests inside a run, the report of a tool, and artifacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """The outcome of one test, as in `test_results.status`. An unknown outcome is never passed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The last outcome of one test in one attempt. The executor that reads a report shortens long texts."""

    name: str
    outcome: Outcome
    duration_ms: int = 0
    message: str = ""
    trace: str = ""
    executed_at: datetime | None = None
    assertions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of a tool. `finished` is false if the tool ended before it wrote the last line of its report.

    `running` names the test that has begun and not ended. `planned` is the number of collected tests, None if unknown.
    `broken` says in one sentence why the report cannot be trusted; it is empty if it can.
    """

    results: tuple[Result, ...] = ()
    finished: bool = False
    planned: int | None = None
    running: str | None = None
    broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The number of tests of a run by outcome."""

    total: int
    passed: int
    failed: int
    skipped: int

    @property
    def completed(self) -> int:
        """The number of tests that have ended."""
        return self.passed + self.failed + self.skipped

    @property
    def percent(self) -> int:
        """The share of tests that have ended, 0 to 100; 0 while the total is unknown."""
        return 100 * self.completed // self.total if self.total else 0


def summarise(results: Sequence[Result], planned: int | None = None) -> Summary:
    """Count `results` by outcome. The total is `planned` if that is larger."""
    count = {outcome: sum(r.outcome is outcome for r in results) for outcome in Outcome}
    return Summary(
        total=max(planned or 0, len(results)),
        passed=count[Outcome.PASSED],
        failed=count[Outcome.FAILED],
        skipped=count[Outcome.SKIPPED],
    )


class ArtifactType(StrEnum):
    """The type of an artifact, as in `test_artifacts.artifact_type`."""

    SCREENSHOT = "screenshot"
    VIDEO = "video"
    LOG = "log"
    REPORT = "report"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a run leaves. `uri` is its address in the store (`file:` or `s3:`), `name` its relative path."""

    name: str
    type: ArtifactType
    uri: str
    size_bytes: int
    content_type: str = "application/octet-stream"
