"""Response bodies about tests: camelCase, times in UTC, null for an unknown value."""

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from model.execution import Cause, Door, Phase, Reason, Status
from model.request import TestType
from model.result import ArtifactType, Outcome, ResultKind
from model.runs import RunKind

P50 = "The run starts before this time with a probability of 50 %; null while unknown"
P90 = "The run starts before this time with a probability of 90 %; null while unknown"


class Out(BaseModel):
    """Base of all response bodies. Python uses the field names, JSON the camelCase aliases."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, from_attributes=True, frozen=True, serialize_by_alias=True
    )


class SubmitLinks(Out):
    """Links of a submitted test."""

    self: str
    logs: str
    cancel: str


class TestResponse(Out):
    """An accepted test."""

    __test__ = False

    execution_id: UUID
    status: Status
    queue_position: int | None = Field(
        description="1 is next; null if it is admitted, or if it is not among the first 200"
    )
    estimated_start_time: datetime | None = Field(None, description=P50)
    wait_reason: str = Field("", description="Why the run waits, in one sentence")
    warnings: list[str] = Field([], description="Reasons for which it will wait until somebody changes something")
    links: SubmitLinks


class Progress(Out):
    """The progress of the tests inside a run."""

    total_tests: int = 0
    completed: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    percent_complete: int = 0


class RunResources(Out):
    """The node of a run, and the resources that it uses now."""

    pod_name: str | None = None
    node_name: str | None = None
    cpu_usage: str | None = Field(None, description="Kubernetes quantity, for example 750m")
    memory_usage: str | None = Field(None, description="Kubernetes quantity, for example 800Mi")
    peak_cpu_usage: str | None = Field(None, description="Peak so far; once it has ended, the peak of the last attempt")
    peak_memory_usage: str | None = Field(
        None, description="Peak so far; once it has ended, the peak of the last attempt"
    )


class SuggestedOut(Out):
    """Requests that fit what the test used in its last runs, at the 95th percentile; what `auto` means for it."""

    cpu_request: str
    memory_request: str
    runs: int = Field(description="Number of runs that it is computed from")


class AttemptOut(Out):
    """One launch for an execution."""

    number: int
    cause: Cause
    node: str | None
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    status: Status | None
    failure_reason: Reason | None
    detail: str


class ProvenanceOut(Out):
    """What a run has run. All its attempts run the same."""

    commit: str | None = Field(description="The commit, if the content is from git")
    content: str | None = Field(description="SHA-256 of a content that was sent")
    tools: dict[str, str] = Field(description="Versions of the tool, its plugins and its interpreter, by name")


class ExecutionLinks(Out):
    """Links of a run."""

    self: str
    logs: str
    metrics: str
    results: str
    artifacts: str
    cancel: str
    retry: str
    explanation: str


class TestExecution(Out):
    """One run of a test, with its verdict once it has ended."""

    __test__ = False

    execution_id: UUID
    short_id: str = Field(description="The last eight hex digits of the id")
    definition_id: UUID
    name: str
    type: TestType
    priority: int
    status: Status
    phase: Phase
    door: Door
    submitted_at: datetime
    submitted_by: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_seconds: float | None = Field(None, description="From start to end; null until the run has ended")
    retry_count: int = 0
    failure_reason: Reason | None = None
    detail: str = Field("", description="One sentence for the owner")
    exit_code: int | None = Field(
        None, description="Exit code of the command for this verdict; null until the run has ended"
    )
    cancel_requested: bool = False
    queue_position: int | None = None
    wait_reason: str = ""
    estimated_start_time: datetime | None = Field(None, description=P50)
    estimated_start_time_p90: datetime | None = Field(None, description=P90)
    suite_run_id: UUID | None = None
    retried_from: UUID | None = None
    labels: dict[str, str] = {}
    tags: list[str] = []
    progress: Progress
    resources: RunResources
    provenance: ProvenanceOut
    suggested: SuggestedOut | None = Field(None, description="Null in lists, and before the run has ended")
    under_experiment: list[UUID] = Field(
        [], description="Experiments of the same team with a fault that was active meanwhile; empty in lists"
    )
    attempts: list[AttemptOut] = Field([], description="Empty in lists")
    links: ExecutionLinks


class PagedLinks(Out):
    """The link to the next page; null on the last page."""

    next: str | None = None


class Paged(Out):
    """One page of a list."""

    total: int
    limit: int
    offset: int
    links: PagedLinks = PagedLinks()


class ExecutionList(Paged):
    """A page of executions, newest first."""

    executions: list[TestExecution]


class CancelResponse(Out):
    """The effect of a cancel. Cancelling again changes nothing."""

    execution_id: UUID
    status: Status
    cancel_requested: bool
    changed: bool = Field(description="false if the run had ended, or was being cancelled already")


class ResultOut(Out):
    """The outcome of one test in one attempt."""

    name: str
    status: Outcome
    duration_ms: int
    kind: ResultKind | None = Field(description="What the status means where it does not say enough, else null")
    flaky: bool = Field(
        description="True if it passed after it had failed, in an earlier attempt or earlier in the same one"
    )
    failed_in_attempts: list[int] = Field(
        [], description="Earlier attempts of the run in which this test failed, without those that infrastructure ended"
    )
    error_message: str | None
    stack_trace: str | None
    executed_at: datetime | None
    assertions: list[str] = []


class ResultList(Paged):
    """A page of the results of one attempt, in the order of execution."""

    execution_id: UUID
    attempt: int | None = Field(description="null if no attempt has results yet")
    summary: Progress = Field(description="Counts all results of the attempt, also those that a filter leaves out")
    results: list[ResultOut]


class ArtifactOut(Out):
    """A file that a run left."""

    name: str
    type: ArtifactType
    size_bytes: int
    content_type: str
    link: str


class ArtifactList(Out):
    """The files of the last attempt."""

    execution_id: UUID
    artifacts: list[ArtifactOut]


class Metrics(Out):
    """The time and the resources that a run used. null means that a value was not measured."""

    execution_id: UUID
    duration_seconds: float | None = None
    wait_seconds: float | None = Field(None, description="From submit to the first launch")
    cpu_seconds: float | None = None
    cpu_milli: int | None = Field(None, description="Use now, in thousandths of a core")
    memory_bytes: int | None = Field(None, description="Use now")
    peak_cpu_milli: int | None = Field(
        None, description="Peak so far, as a mean over two seconds or over a shorter run"
    )
    peak_memory_bytes: int | None = Field(None, description="Peak so far")
    attempts: int = 0


class SecretOut(Out):
    """The reference of a secret, never its value."""

    name: str
    team: str
    reference: str


class SecretList(Out):
    """All secret references."""

    secrets: list[SecretOut]


class ContentOut(Out):
    """A stored packed folder."""

    sha256: str
    size_bytes: int
    created: bool = Field(description="false if it was stored already")


class Validation(Out):
    """The result of a check without problems."""

    valid: Literal[True] = True
    kind: Literal["test", "suite"]
    name: str


class Binding(Out):
    """The user whose quota the runs of a deployment count for."""

    deployment: str
    user: str


class Health(Out):
    """Whether this process can serve requests."""

    status: Literal["ok", "degraded"]
    database: bool
    workers: int = Field(description="workers that showed in time that they work")
    version: str


class Live(Out):
    """That this process answers."""

    live: Literal[True]


class SuiteStatus(StrEnum):
    """The status of a suite run: that of its tests, or skipped because the run before it had not ended."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"


class RunLinks(Out):
    """Links of a run of any kind: itself, its details, what cancels it, and what submits it once more."""

    self: str
    details: str
    cancel: str
    retry: str


class RunOut(Out):
    """A run of any kind: what all kinds have in common."""

    run_id: UUID
    short_id: str
    kind: RunKind
    title: str
    status: SuiteStatus
    failure_reason: str | None = None
    detail: str = ""
    submitted_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    cancel_requested: bool = False
    parent_id: UUID | None = Field(None, description="The suite run to which a test belongs")
    exit_code: int | None = Field(None, description="Exit code of a command that waited for it; null until it ended")
    warnings: list[str] = []
    links: RunLinks


class RunList(Paged):
    """A page of runs of every kind, newest first."""

    runs: list[RunOut]
