"""Executions and attempts: their states, the reasons of failures, and the allowed transitions.

An *execution* has one verdict; an *attempt* is one launch for it (D5). `Status` is public and has a check in the
database. `Phase` is the step inside a status. No transition leaves a terminal status.

    queued    waiting, backoff, admitted     there is no process; an admitted run holds capacity of a node
    running   launching, running, collecting
    then one of completed, failed, cancelled, timeout
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from model.ids import DefinitionId, ExecutionId
from model.provenance import NOTHING_KNOWN, Provenance


class Status(StrEnum):
    """The status of an execution, as in `test_executions.status`."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"

    @property
    def terminal(self) -> bool:
        """True if no transition leaves this status."""
        return self not in {Status.QUEUED, Status.RUNNING}


class Phase(StrEnum):
    """The step of a run inside its status; `ended` for a terminal one."""

    WAITING = "waiting"
    BACKOFF = "backoff"
    ADMITTED = "admitted"
    LAUNCHING = "launching"
    RUNNING = "running"
    COLLECTING = "collecting"
    ENDED = "ended"


class Reason(StrEnum):
    """Why a run failed (`failure_reason`). Completed, cancelled and timeout have no reason."""

    TESTS_FAILED = "tests_failed"
    TOOL_FAILED = "tool_failed"
    OOM_KILLED = "oom_killed"
    NO_TESTS = "no_tests"
    REPORT_MISMATCH = "report_mismatch"
    EVICTED = "evicted"
    NODE_LOST = "node_lost"
    IMAGE_PULL = "image_pull"
    UNSCHEDULABLE = "unschedulable"
    CONFIG = "config"
    CONTENT = "content"
    START_ERROR = "start_error"
    INFRASTRUCTURE = "infrastructure"
    PLACEMENT = "placement"
    HYPOTHESIS_NOT_MET = "hypothesis_not_met"
    INCONCLUSIVE = "inconclusive"
    HALTED = "halted"
    SAFETY_CHECK = "safety_check"
    RESIDUAL = "residual"


class Cause(StrEnum):
    """Why an attempt was started."""

    FIRST = "first"
    RETRY = "retry"
    INFRASTRUCTURE = "infrastructure"
    PREEMPTED = "preempted"
    PLACEMENT = "placement"


class Door(StrEnum):
    """How a run was submitted: by the REST API, by Prefect, or as part of a suite."""

    REST = "rest"
    PREFECT = "prefect"
    SUITE = "suite"


MAX_INFRASTRUCTURE_ATTEMPTS = 3
MAX_PLACEMENT_CONFLICTS = 10
"""So often a cluster may refuse the nodes that the gate has chosen, before it counts as an infrastructure failure."""

Transition: TypeAlias = tuple[Status, Status]

TRANSITIONS: frozenset[Transition] = frozenset(
    {
        (Status.QUEUED, Status.RUNNING),
        (Status.QUEUED, Status.FAILED),
        (Status.QUEUED, Status.CANCELLED),
        (Status.RUNNING, Status.QUEUED),
        (Status.RUNNING, Status.COMPLETED),
        (Status.RUNNING, Status.FAILED),
        (Status.RUNNING, Status.CANCELLED),
        (Status.RUNNING, Status.TIMEOUT),
    }
)

PHASES: dict[Status, frozenset[Phase]] = {
    Status.QUEUED: frozenset({Phase.WAITING, Phase.BACKOFF, Phase.ADMITTED}),
    Status.RUNNING: frozenset({Phase.LAUNCHING, Phase.RUNNING, Phase.COLLECTING}),
} | {status: frozenset({Phase.ENDED}) for status in Status if status.terminal}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an execution or an attempt ended. `detail` is one sentence for the owner."""

    status: Status
    reason: Reason | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if not self.status.terminal:
            msg = f"a verdict is terminal, not {self.status}"
            raise ValueError(msg)
        if (self.status is Status.FAILED) != (self.reason is not None):
            msg = f"{self.status} with reason {self.reason}: only a failure has a reason, and it must have one"
            raise ValueError(msg)

    @property
    def good(self) -> bool:
        """True only for a run that passed."""
        return self.status is Status.COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One launch for an execution. `number` counts from 1; `epoch` is the fencing token of its admission."""

    number: int
    epoch: int
    cause: Cause
    node: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestExecution:
    """One run of a test, with its verdict once it has ended."""

    __test__ = False  # pytest would collect it as a test class

    execution_id: ExecutionId
    definition_id: DefinitionId
    name: str
    type: str
    priority: int
    status: Status
    phase: Phase
    door: Door
    submitted_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    retry_count: int = 0
    node_name: str | None = None
    pod_name: str | None = None
    failure_reason: Reason | None = None
    detail: str = ""
    cancel_requested: bool = False
    provenance: Provenance = NOTHING_KNOWN

    @property
    def is_retryable(self) -> bool:
        """True once the execution has ended. A retry is a new execution of the same definition."""
        return self.status.terminal
