"""What one test inside a run did, and what a tool's report amounts to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """As in `test_results.status`; unknown is never passed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One test's last outcome in one attempt. Texts are cut by the reader, see `executors`."""

    name: str
    outcome: Outcome
    duration_ms: int = 0
    message: str = ""
    trace: str = ""
    executed_at: datetime | None = None
    assertions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a tool left behind. `finished` is false when it died before its own end line.

    `running` names the test that had begun and not ended; `planned` is the number of tests collected, None if unknown;
    `broken` says in one sentence why the report cannot be trusted, empty if it can.
    """

    results: tuple[Result, ...] = ()
    finished: bool = False
    planned: int | None = None
    running: str | None = None
    broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Counts of a run, for progress and for people."""

    total: int
    passed: int
    failed: int
    skipped: int

    @property
    def completed(self) -> int:
        """Tests that have ended."""
        return self.passed + self.failed + self.skipped

    @property
    def percent(self) -> int:
        """0 to 100; 0 while the total is unknown."""
        return 100 * self.completed // self.total if self.total else 0


def summarise(results: Sequence[Result], planned: int | None = None) -> Summary:
    """Count `results`; the total is `planned` where that is larger."""
    count = {outcome: sum(r.outcome is outcome for r in results) for outcome in Outcome}
    return Summary(
        total=max(planned or 0, len(results)),
        passed=count[Outcome.PASSED],
        failed=count[Outcome.FAILED],
        skipped=count[Outcome.SKIPPED],
    )


class ArtifactType(StrEnum):
    """As in `test_artifacts.artifact_type`."""

    SCREENSHOT = "screenshot"
    VIDEO = "video"
    LOG = "log"
    REPORT = "report"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a run leaves. `uri` is where it is kept (`file:` or `s3:`), `name` its normalised relative path."""

    name: str
    type: ArtifactType
    uri: str
    size_bytes: int
    content_type: str = "application/octet-stream"
