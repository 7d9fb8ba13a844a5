"""Response bodies about experiments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.schemas import Out, PagedLinks
from chaos.approval import ApprovalState
from chaos.verdict import ChaosStatus
from db.chaos_approvals import ApprovalRow
from db.experiments import ChaosExecution, ExperimentRow
from model.ids import short
from orchestrator.kinds import ShownRun

EXPERIMENTS = "/api/v1/chaos/experiments"
EXECUTIONS = "/api/v1/chaos/executions"


class ExperimentLinks(Out):
    """Links of an experiment."""

    self: str
    run: str


class ExperimentOut(Out):
    """An experiment as it was written."""

    experiment_id: UUID
    short_id: str
    name: str
    definition: dict[str, Any] = Field(description="The experiment, as it can be sent again")
    created_at: datetime
    links: ExperimentLinks


class ExperimentList(Out):
    """A page of experiments, the last used first."""

    experiments: list[ExperimentOut]
    total: int
    limit: int
    offset: int
    links: PagedLinks


class ChaosProgress(Out):
    """How far an execution is."""

    step: str
    step_ends_at: datetime | None = Field(None, description="When the step ends at the latest; null if it has no time")
    requests: int = Field(0, description="Answers that the load has got")
    looks: int = Field(0, description="Looks of the health checks")
    readings: int = Field(0, description="Readings of the Prometheus")


class ChaosExecutionLinks(Out):
    """Links of an execution. Journal and report are there when it has ended."""

    self: str
    abort: str
    journal: str
    report: str


class ApprovalOut(Out):
    """What a second person is asked for, and what the answer was."""

    state: ApprovalState
    rules: list[str] = Field(description="The rules of the team that ask for it")
    approvers: list[str] = Field(description="Who may decide; never who submitted it")
    digest: str = Field(description="What exactly is approved: the SHA-256 of the experiment's canonical JSON")
    expires_at: datetime = Field(description="Until when it can be approved; then, until when the approval holds")
    by: str | None = Field(description="Who decided")
    decided_at: datetime | None
    comment: str


class ChaosExecutionOut(Out):
    """One execution of an experiment."""

    execution_id: UUID
    short_id: str
    experiment_id: UUID
    name: str
    status: ChaosStatus
    hypothesis_validated: bool | None = Field(description="null: nothing is known about the hypothesis")
    ending: str | None = Field(description="How it ended: judged, halted, aborted, blocked, infrastructure, residual")
    reason: str
    wait_reason: str = Field("", description="Why it waits in the gate, in one sentence")
    approval: ApprovalOut | None = Field(None, description="null: no rule asked for an approval")
    progress: ChaosProgress | None
    submitted_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    abort_requested: bool
    exit_code: int | None
    links: ChaosExecutionLinks


class ChaosExecutionList(Out):
    """A page of executions, newest first."""

    executions: list[ChaosExecutionOut]
    total: int
    limit: int
    offset: int
    links: PagedLinks


class StopOut(Out):
    """Whether all experiments are stopped, by whom and why."""

    stopped: bool
    reason: str = ""
    by: str = ""
    at: datetime | None = None
    aborted: list[UUID] = Field([], description="The executions that were aborted by this request")


class CordonOut(Out):
    """A target that no experiment may use."""

    path: str
    reason: str
    by: str
    at: datetime


class CordonList(Out):
    """All targets that are cordoned."""

    cordons: list[CordonOut]


def experiment(row: ExperimentRow) -> ExperimentOut:
    """Return the response body of an experiment."""
    own = f"{EXPERIMENTS}/{row.experiment_id}"
    return ExperimentOut(
        experiment_id=row.experiment_id,
        short_id=short(row.experiment_id),
        name=row.name,
        definition=dict(row.definition),
        created_at=row.created_at,
        links=ExperimentLinks(self=own, run=f"{own}/run"),
    )


def execution(
    row: ChaosExecution, shown: ShownRun, wait_reason: str = "", asked: ApprovalRow | None = None
) -> ChaosExecutionOut:
    """Return the response body of an execution."""
    own = f"{EXECUTIONS}/{row.execution_id}"
    links = ChaosExecutionLinks(self=own, abort=f"{own}/abort", journal=f"{own}/journal", report=f"{own}/report")
    return ChaosExecutionOut(
        execution_id=row.execution_id,
        short_id=short(row.execution_id),
        experiment_id=row.experiment_id,
        name=row.name,
        status=row.status,
        hypothesis_validated=row.validated,
        ending=row.ending,
        reason=row.reason,
        wait_reason=wait_reason,
        approval=None if asked is None else _approval(asked),
        progress=ChaosProgress.model_validate(row.progress) if row.progress else None,
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        abort_requested=row.cancel_requested,
        exit_code=shown.exit_code,
        links=links,
    )


def _approval(row: ApprovalRow) -> ApprovalOut:
    found = row.approval
    return ApprovalOut(
        state=found.state,
        rules=list(found.rules),
        approvers=list(row.approvers),
        digest=found.digest,
        expires_at=found.expires_at,
        by=found.by,
        decided_at=found.decided_at,
        comment=found.comment,
    )
