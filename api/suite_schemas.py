"""Response bodies about suite runs."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.schemas import Out, Paged, SuiteStatus, TestExecution
from model.execution import Status
from model.suite_windows import During, SuiteWindow


class SuiteLinks(Out):
    """Links of a suite run."""

    self: str
    cancel: str
    junit: str


class SuiteCounts(Out):
    """How many tests of a suite run have each status."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    timeout: int = 0


class SuiteWindowTest(Out):
    """What a test of a suite says about the experiment of the suite."""

    execution_id: UUID
    name: str
    during: During
    under_fault: bool = Field(description="A fault of the experiment was active while its last attempt ran")
    conclusion: str = Field(description="In words: passed, failed under the fault only, ...")
    without_fault: UUID | None = Field(None, description="The run without the fault of what failed under it")


class SuiteExperimentOut(Out):
    """The experiment that a suite carries."""

    execution_id: UUID
    short_id: str
    name: str
    status: Status
    window: SuiteWindow = Field(description="How far it is, for the tests of the suite")
    step: str | None = None
    validated: bool | None = Field(None, description="Whether the hypothesis held; null while nothing is known")
    detail: str = ""
    tests: list[SuiteWindowTest]
    link: str


class SuiteRunOut(Out):
    """One run of a suite, with its tests."""

    suite_run_id: UUID
    short_id: str
    name: str
    status: SuiteStatus
    note: str
    submitted_at: datetime
    completed_at: datetime | None = None
    duration_seconds: float | None = Field(None, description="From submit to end; null until the run has ended")
    cancel_requested: bool = False
    exit_code: int | None = None
    counts: SuiteCounts = SuiteCounts()
    executions: list[TestExecution] = Field([], description="Its tests, and what ran once more without the fault")
    experiment: SuiteExperimentOut | None = Field(None, description="Null in lists, and for a suite without one")
    warnings: list[str] = Field(
        [], description="After a submit: reasons for which tests will wait until somebody changes something"
    )
    links: SuiteLinks


class SuiteRunList(Paged):
    """A page of suite runs without their tests, newest first."""

    suite_runs: list[SuiteRunOut]
