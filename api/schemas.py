"""What the API answers: camelCase, times in UTC, `null` where something is not known."""

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from model.execution import Cause, Door, Phase, Reason, Status
from model.request import TestType
from model.result import ArtifactType, Outcome


class Out(BaseModel):
    """A value on its way out; it is made by name and leaves by its camelCase alias."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, from_attributes=True, frozen=True, serialize_by_alias=True
    )


class SubmitLinks(Out):
    """Where to go on from a submitted test."""

    self: str
    logs: str
    cancel: str


class TestResponse(Out):
    """A test that was accepted."""

    __test__ = False

    execution_id: UUID
    status: Status
    queue_position: int | None = Field(description="1 is next; null once it holds a place, and behind the first 200")
    estimated_start_time: datetime | None = Field(None, description="With even odds before this; null while unknown")
    wait_reason: str = Field("", description="Why it waits, in one sentence")
    warnings: list[str] = Field([], description="What will keep it waiting until somebody changes something")
    links: SubmitLinks


class Progress(Out):
    """How far the tests inside a run are."""

    total_tests: int = 0
    completed: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    percent_complete: int = 0


class RunResources(Out):
    """Where a run is, and what it uses now."""

    pod_name: str | None = None
    node_name: str | None = None
    cpu_usage: str | None = Field(None, description="Kubernetes quantity, for example 750m")
    memory_usage: str | None = Field(None, description="Kubernetes quantity, for example 800Mi")
    peak_cpu_usage: str | None = Field(None, description="The most so far; after the end of its last attempt")
    peak_memory_usage: str | None = Field(None, description="The most so far; after the end of its last attempt")


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


class ExecutionLinks(Out):
    """Everything that belongs to a run."""

    self: str
    logs: str
    metrics: str
    results: str
    artifacts: str
    cancel: str
    retry: str
    explanation: str


class TestExecution(Out):
    """One verdict in the making, or made."""

    __test__ = False

    execution_id: UUID
    short_id: str = Field(description="The last eight hex digits, as people type them")
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
    duration_seconds: float | None = Field(None, description="From start to end; null until it has ended")
    retry_count: int = 0
    failure_reason: Reason | None = None
    detail: str = Field("", description="One sentence for its owner")
    exit_code: int | None = Field(None, description="Of the command for this verdict; null until it has ended")
    cancel_requested: bool = False
    queue_position: int | None = None
    wait_reason: str = ""
    estimated_start_time: datetime | None = Field(None, description="With even odds before this; null while unknown")
    estimated_start_time_p90: datetime | None = Field(None, description="Nine times of ten before this")
    suite_run_id: UUID | None = None
    retried_from: UUID | None = None
    labels: dict[str, str] = {}
    tags: list[str] = []
    progress: Progress
    resources: RunResources
    attempts: list[AttemptOut] = Field([], description="Empty in lists")
    links: ExecutionLinks


class PagedLinks(Out):
    """`next` is null on the last page."""

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
    """What a cancel did; asking again changes nothing."""

    execution_id: UUID
    status: Status
    cancel_requested: bool
    changed: bool = Field(description="false when it had ended, or was being cancelled already")


class ResultOut(Out):
    """One test's outcome in one attempt."""

    name: str
    status: Outcome
    duration_ms: int
    error_message: str | None
    stack_trace: str | None
    executed_at: datetime | None
    assertions: list[str] = []


class ResultList(Paged):
    """A page of the results of one attempt, in the order of their execution."""

    execution_id: UUID
    attempt: int | None = Field(description="null when no attempt has results yet")
    summary: Progress = Field(description="Of all results of the attempt, whatever is asked for")
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
    """What a run used. Null where it was not measured."""

    execution_id: UUID
    duration_seconds: float | None = None
    wait_seconds: float | None = Field(None, description="From submit to the first launch")
    cpu_seconds: float | None = None
    cpu_milli: int | None = Field(None, description="Now, in thousandths of a core")
    memory_bytes: int | None = Field(None, description="Now")
    peak_cpu_milli: int | None = Field(None, description="The most so far, over two seconds or a shorter life")
    peak_memory_bytes: int | None = Field(None, description="The most so far")
    attempts: int = 0


class SuiteLinks(Out):
    """Where to go on from a suite run."""

    self: str
    cancel: str


class SuiteStatus(StrEnum):
    """That of its tests; or skipped, since the run before had not ended."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"


class SuiteRunOut(Out):
    """One run of a suite, with its tests."""

    suite_run_id: UUID
    short_id: str
    name: str
    status: SuiteStatus
    note: str
    submitted_at: datetime
    completed_at: datetime | None = None
    cancel_requested: bool = False
    exit_code: int | None = None
    executions: list[TestExecution] = []
    warnings: list[str] = Field([], description="To a submit: what will keep tests waiting until something is changed")
    links: SuiteLinks


class SuiteRunList(Paged):
    """A page of suite runs, newest first; without their tests."""

    suite_runs: list[SuiteRunOut]


class SecretOut(Out):
    """A secret by reference, never by value."""

    name: str
    team: str
    reference: str


class SecretList(Out):
    """All secret references."""

    secrets: list[SecretOut]


class ContentOut(Out):
    """A packed folder that was kept."""

    sha256: str
    size_bytes: int
    created: bool = Field(description="false when it was there already")


class Validation(Out):
    """A request without problems."""

    valid: Literal[True] = True
    kind: Literal["test", "suite"]
    name: str


class Binding(Out):
    """The user that a deployment's runs count for."""

    deployment: str
    user: str


class Health(Out):
    """Whether this process can serve."""

    status: Literal["ok", "degraded"]
    database: bool
    version: str
