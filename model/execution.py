"""The life of an execution: its states, their causes, and which change may follow which.

An *execution* is one verdict; an *attempt* is one launch for it (decision 5). `Status` is what the world sees and the
database checks; `Phase` says where inside a status a run stands. Terminal is final: no transition leaves it.

    queued    waiting, backoff, admitted     the run holds no process; in `admitted` it holds a place
    running   launching, running, collecting
    then one of completed, failed, cancelled, timeout
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from model.ids import DefinitionId, ExecutionId


class Status(StrEnum):
    """As in `test_executions.status`."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"

    @property
    def terminal(self) -> bool:
        """True when nothing may follow."""
        return self not in {Status.QUEUED, Status.RUNNING}


class Phase(StrEnum):
    """Where a run that is not ended stands; `ended` for all others."""

    WAITING = "waiting"
    BACKOFF = "backoff"
    ADMITTED = "admitted"
    LAUNCHING = "launching"
    RUNNING = "running"
    COLLECTING = "collecting"
    ENDED = "ended"


class Reason(StrEnum):
    """Why a run failed (`failure_reason`); none for completed, cancelled and timeout."""

    TESTS_FAILED = "tests_failed"
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


class Cause(StrEnum):
    """Why an attempt was started."""

    FIRST = "first"
    RETRY = "retry"
    INFRASTRUCTURE = "infrastructure"
    PREEMPTED = "preempted"


class Door(StrEnum):
    """Where a run came from."""

    REST = "rest"
    PREFECT = "prefect"
    SUITE = "suite"


INFRASTRUCTURE_REASONS = frozenset({Reason.INFRASTRUCTURE, Reason.EVICTED, Reason.NODE_LOST})
"""Not the test's fault: tried again under a cap of its own, and left out of flakiness."""

MAX_INFRASTRUCTURE_ATTEMPTS = 3

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
    """How an execution or an attempt ended. `detail` is one sentence for its owner."""

    status: Status
    reason: Reason | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if not self.status.terminal:
            msg = f"a verdict is terminal, not {self.status}"
            raise ValueError(msg)
        if (self.status is Status.FAILED) != (self.reason is not None):
            msg = f"{self.status} with reason {self.reason}: a failure has a reason, nothing else has"
            raise ValueError(msg)

    @property
    def good(self) -> bool:
        """True only for a run that ran and passed."""
        return self.status is Status.COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One launch for an execution. `number` counts from 1; `epoch` is the fencing token it was admitted with."""

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
    """One verdict in the making, or made."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

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

    @property
    def can_cancel(self) -> bool:
        """True while there is something to stop."""
        return not self.status.terminal

    @property
    def is_retryable(self) -> bool:
        """True once it has ended: a retry is a new execution of the same definition."""
        return self.status.terminal


def exit_code(status: Status, reason: Reason | None) -> int:
    """Return the exit code of the command for a verdict (decision 6)."""
    if status is Status.FAILED and reason is not None:
        return _FAILED_EXIT.get(reason, 3)
    return _EXIT[status]


_EXIT = {Status.COMPLETED: 0, Status.FAILED: 3, Status.CANCELLED: 2, Status.TIMEOUT: 124}
_FAILED_EXIT = {Reason.TESTS_FAILED: 1, Reason.OOM_KILLED: 1, Reason.NO_TESTS: 5}
EXIT_REFUSED = 4
EXIT_OVER_QUOTA = 6

_WORST = (0, 1, 5, 124, 2, 3)
"""Severity, mildest first: what says least about the system under test is worst."""


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the worst verdict, the first of equals. Raises: ValueError if there is none."""
    if not verdicts:
        msg = "no verdicts to compare"
        raise ValueError(msg)
    return max(verdicts, key=lambda v: _WORST.index(exit_code(v.status, v.reason)))
