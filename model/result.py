"""Results of single tests inside a run, the report of a tool, and artifacts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """The outcome of one test, as in `test_results.status`. An unknown outcome is never passed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class ResultKind(StrEnum):
    """What an outcome means where the bare outcome does not say enough."""

    ERROR = "error"
    """Failed outside of the test itself: in its set-up, its teardown or its collection, or its process ended."""
    XFAIL = "xfail"
    """Failed, as it was expected to."""
    XPASS = "xpass"
    """Passed, although it was expected to fail. Failed where that is strict."""
    NOT_RUN = "not_run"
    """Was planned, and has no outcome. It counts as planned, not as completed."""


KINDS_OF = {
    Outcome.PASSED: {ResultKind.XPASS},
    Outcome.FAILED: {ResultKind.ERROR, ResultKind.XPASS},
    Outcome.SKIPPED: {ResultKind.XFAIL, ResultKind.NOT_RUN},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultIdentity:
    """Which test a result is of, in parts that stay the same when only a part is run or the order changes.

    `suite` is the file or the suite, `project` the browser, device, platform or host where the report names one.
    `index` counts from 1 the results that nothing else tells apart.
    """

    suite: str = ""
    classname: str = ""
    name: str
    parameters: str = ""
    project: str = ""
    index: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure of a test beside the one that its result names.

    `rerun` is true for a failure of an earlier run of the test in the same attempt; a test that passed later is flaky.
    """

    message: str = ""
    trace: str = ""
    error: bool = False
    rerun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The last outcome of one test in one attempt. The executor that reads a report shortens long texts.

    `name` is the full name that people see, unique in an attempt. `kind` is None where the outcome says all.
    """

    name: str
    outcome: Outcome
    duration_ms: int = 0
    message: str = ""
    trace: str = ""
    executed_at: datetime | None = None
    assertions: tuple[str, ...] = ()
    kind: ResultKind | None = None
    identity: ResultIdentity | None = None
    other_failures: tuple[Failure, ...] = ()

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS_OF[self.outcome]:
            raise ValueError(f"a result that {self.outcome} cannot be of kind {self.kind}")

    @property
    def key(self) -> ResultIdentity:
        """Return the identity; the name alone where no reader knew its parts."""
        return self.identity or ResultIdentity(name=self.name)

    @property
    def ran(self) -> bool:
        """Say whether the test has an outcome of its own."""
        return self.kind is not ResultKind.NOT_RUN

    @property
    def flaky(self) -> bool:
        """Say whether the test failed first and passed in a later run of the same attempt."""
        return self.outcome is Outcome.PASSED and any(failure.rerun for failure in self.other_failures)

    def with_texts(self, change: Callable[[str], str]) -> "Result":
        """Return the result with each of its texts changed, as masking does it."""
        return replace(
            self,
            name=change(self.name),
            message=change(self.message),
            trace=change(self.trace),
            identity=self.identity and _changed(self.identity, change),
            other_failures=tuple(
                replace(failure, message=change(failure.message), trace=change(failure.trace))
                for failure in self.other_failures
            ),
        )


def _changed(identity: ResultIdentity, change: Callable[[str], str]) -> ResultIdentity:
    return replace(
        identity,
        suite=change(identity.suite),
        classname=change(identity.classname),
        name=change(identity.name),
        parameters=change(identity.parameters),
        project=change(identity.project),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of a tool. `finished` is false if the tool ended before it wrote the last line of its report.

    `results` are the tests that have an outcome. `unfinished` are those that began and did not end, `not_run` those
    that were planned and did not begin, where their names are known; `model.final_results` decides what becomes of
    them. `planned` is the number of collected tests, None if the tool reports no tests at all. `broken` says in one
    sentence why the report cannot be trusted; it is empty if it can. `tools` are the versions that the tool told.
    """

    results: tuple[Result, ...] = ()
    finished: bool = False
    planned: int | None = None
    unfinished: tuple[Result, ...] = ()
    not_run: tuple[Result, ...] = ()
    broken: str = ""
    tools: tuple[tuple[str, str], ...] = ()

    @property
    def running(self) -> str | None:
        """Return the name of the test that was running when the tool died, None if it was none."""
        return self.unfinished[0].name if self.unfinished and not self.finished else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The number of tests of a run by outcome. What was planned and did not run is in the total alone."""

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
    count = {outcome: sum(r.outcome is outcome and r.ran for r in results) for outcome in Outcome}
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
