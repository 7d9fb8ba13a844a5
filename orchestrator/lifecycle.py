"""The way of an admitted run through its attempts, as changes of the database. Every one is fenced by the epoch.

    begin      queued/admitted -> running/launching, an attempt is opened (or found open: the run was taken over)
    enter      launching -> running -> collecting
    finish     the attempt is closed, its results written; then the run ends, or waits for its next attempt
    asked      whether the test shall stop: it was cancelled, or a more important run needs its place (preemption)

A preempted run goes back to wait in its old place, at once and free of charge, when its process is gone. Had it ended
by itself meanwhile, its verdict counts; had it been cancelled, it is cancelled.

Who lost the place changes nothing: each function then says `Superseded`, a value that its caller must obey by stopping.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from db import executions, leases, results, runs, suite_windows
from db.gate import queue
from db.gate.queue import Requeue
from db.runs import Become, Fenced
from model import fault
from model.content import digest
from model.execution import MAX_INFRASTRUCTURE_ATTEMPTS, MAX_PLACEMENT_CONFLICTS, Cause, Phase, Reason, Status, Verdict
from model.fault import INFRASTRUCTURE_REASONS
from model.ids import BackendName, ExecutionId, NodeName, short
from model.notices import Ended
from model.provenance import Provenance, Versions
from model.request import TestRequest
from model.result import Artifact, Result, Summary, summarise
from model.retry import RetryPolicy
from model.runs import RunKind
from model.suite_windows import may_begin
from orchestrator.place_releases import PlaceReleases
from scheduler.values.node import NO_BACKEND

INFRASTRUCTURE_DELAY = timedelta(seconds=1)
"""Long enough for a passing fault to pass, short enough not to be noticed."""
STOPPED_BY_NOBODY = "stopped by a signal that Assay did not send: by the test itself, or by somebody on its node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The right to run one execution on one node; void as soon as the database knows a newer epoch.

    `backend` runs what is placed on the node. It may choose another one of `candidates`, which are best first.
    """

    execution_id: ExecutionId
    epoch: int
    node: str
    backend: BackendName = NO_BACKEND
    candidates: tuple[NodeName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """The place is not ours any more: somebody took the run over, or it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """The place is ours, and the test does not begin yet: the experiment of its suite is not in its window (028.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An attempt that may be launched now."""

    grant: Grant
    number: int
    request: TestRequest
    name: str
    flow_run_id: UUID | None
    started_at: datetime | None
    commit: str | None = None
    """What an earlier attempt has run of git content."""
    lost_here: tuple[int, ...] = ()
    """Earlier attempts that were lost with this node: what they left here must end before this one starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How an attempt ended, with what it left."""

    number: int
    verdict: Verdict
    exit_code: int | None = None
    results: tuple[Result, ...] = ()
    planned: int | None = None
    tools: Versions = ()
    artifacts: tuple[Artifact, ...] = ()
    metrics: tuple[tuple[str, float], ...] = ()
    avoid: frozenset[NodeName] = frozenset()
    """Nodes that would not take it: its next attempts go elsewhere while another node could take them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The run waits for another attempt, in its old place of the queue but after a `delay` (None: at once)."""

    cause: Cause
    delay: timedelta | None


Next: TypeAlias = Verdict | Again


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What counts for the question whether a run is tried again."""

    policy: RetryPolicy
    retries: int
    infrastructure_failures: int
    cancelled: bool
    preempted: bool = False
    placement_conflicts: int = 0


def fence(grant: Grant) -> Fenced:
    """Return the condition under which the holder of a grant may change the row of its run."""
    return Fenced(run_id=grant.execution_id, epoch=grant.epoch)


def begin(conn: Connection, grant: Grant) -> Begun | NotYet | Superseded:
    """Open the run's next attempt, or find the one that a former holder left open."""
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status.terminal:
        return Superseded()
    if row.status is Status.QUEUED and row.parent_id is not None and not _is_its_turn(conn, grant.execution_id):
        return NotYet()
    become = Become(status=Status.RUNNING, phase=Phase.LAUNCHING, node=grant.node)
    if row.status is Status.QUEUED and not runs.transition(conn, fence(grant), Status.QUEUED, become):
        return Superseded()
    attempt = executions.open_attempt(conn, grant.execution_id, epoch=grant.epoch, node=grant.node)
    request = executions.request_of(conn, grant.execution_id)
    return Begun(
        grant=grant,
        number=attempt.number,
        request=request,
        name=request.name,
        flow_run_id=row.flow_run_id,
        started_at=attempt.started_at,
        commit=executions.commit_of(conn, grant.execution_id) if attempt.number > 1 else None,
        lost_here=_lost_on(conn, grant) if attempt.number > 1 else (),
    )


def _is_its_turn(conn: Connection, execution_id: ExecutionId) -> bool:
    """Return whether a test of a suite may begin: no experiment orders it, or that is in its window."""
    turn = suite_windows.turn_of(conn, execution_id)
    return turn is None or may_begin(*turn)


def asked_to_stop(conn: Connection, grant: Grant) -> bool | Superseded:
    """Return whether a running test shall be stopped now, for a cancel or for a more important run.

    It is asked each second for every running test, so it reads nothing but the run's own row.
    """
    row = runs.find(conn, grant.execution_id)
    if row.status is not Status.RUNNING or row.epoch != grant.epoch:
        return Superseded()
    return row.cancel_requested or queue.preempted_for(conn, grant.execution_id, grant.epoch) is not None


def enter(conn: Connection, grant: Grant, phase: Phase, commit: str | None = None) -> bool:
    """Note where a running attempt stands, and the commit that it runs; False when the grant is void.

    A test that runs, or is found running, may be stopped for a more important run after the pool's minimum time.
    """
    mine = runs.set_phase(conn, fence(grant), phase)
    if mine and commit is not None:
        executions.set_commit(conn, grant.execution_id, commit)
    if mine and phase is Phase.RUNNING:
        leases.began(conn, grant.execution_id, grant.epoch)
    return mine


def tell(conn: Connection, grant: Grant, words: str) -> bool:
    """Note what holds up the launch of an attempt, until it goes on; False when the grant is void."""
    return runs.set_phase(conn, fence(grant), Phase.LAUNCHING, words)


def finish(conn: Connection, grant: Grant, finished: Finished) -> Next | Superseded:
    """Close the attempt with its results, then end the run or send it back to wait. All in one transaction."""
    releases = PlaceReleases()
    step = finish_among(conn, grant, finished, releases)
    releases.carry_out(conn)
    return step


def finish_among(conn: Connection, grant: Grant, finished: Finished, releases: PlaceReleases) -> Next | Superseded:
    """Do the same where others end in the same transaction: if the run ends, it is one of the `ends`."""
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status is not Status.RUNNING:
        return Superseded()
    results.replace(conn, grant.execution_id, finished.number, finished.results)
    results.save_artifacts(conn, grant.execution_id, finished.number, finished.artifacts)
    beneficiary = queue.preempted_for(conn, grant.execution_id, grant.epoch)
    verdict = _as_asked(finished.verdict, beneficiary, cancelled=row.cancel_requested)
    executions.close_attempt(conn, grant.execution_id, finished.number, verdict, finished.exit_code)
    progress = counts(summarise(finished.results, finished.planned))
    request = executions.request_of(conn, grant.execution_id)
    ran = Provenance(content=digest(request.content), tools=finished.tools)
    executions.set_outcome(conn, grant.execution_id, metrics=dict(finished.metrics), progress=progress, provenance=ran)
    history = History(
        policy=request.config.retry_policy,
        retries=row.retry_count,
        infrastructure_failures=row.infrastructure_count,
        cancelled=row.cancel_requested,
        preempted=beneficiary is not None,
        placement_conflicts=_conflicts(conn, grant) if verdict.reason is Reason.PLACEMENT else 0,
    )
    step = next_step(verdict, history)
    if isinstance(step, Again):
        failed = {NodeName(grant.node)} if step.cause is Cause.INFRASTRUCTURE else set()
        return _wait_again(conn, grant, step, finished.avoid | failed)
    return _end(conn, grant, verdict, releases)


def abandon(conn: Connection, grant: Grant, verdict: Verdict) -> Next | Superseded:
    """Close the open attempt with a verdict that is not the test's, keeping what results there are."""
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status is not Status.RUNNING:
        return Superseded()
    attempt = executions.open_attempt(conn, grant.execution_id, epoch=grant.epoch, node=grant.node)
    return finish(conn, grant, Finished(number=attempt.number, verdict=verdict))


def give_back(conn: Connection, grant: Grant) -> bool:
    """Give the place of a run that has not begun to others, and let it wait; False when it has begun or is not ours."""
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status is not Status.QUEUED:
        return False
    return queue.requeue(conn, grant.execution_id, grant.epoch, Requeue())


def bound(conn: Connection, grant: Grant, node: NodeName) -> Grant:
    """Count a run on the node that its cluster has bound it to. Return the grant, with that node if it was counted."""
    return replace(grant, node=node) if queue.move(conn, grant.execution_id, grant.epoch, node) else grant


def open_number(conn: Connection, execution_id: ExecutionId) -> int | None:
    """Return the number of the attempt that is open, None if none is."""
    return next((found.number for found in executions.attempts(conn, execution_id) if found.ended_at is None), None)


def _lost_on(conn: Connection, grant: Grant) -> tuple[int, ...]:
    """Return the attempts of a run that were lost with the node of its grant."""
    lost = (one for one in executions.attempts(conn, grant.execution_id) if one.node == grant.node)
    return tuple(one.number for one in lost if one.verdict is not None and one.verdict.reason is Reason.NODE_LOST)


def _conflicts(conn: Connection, grant: Grant) -> int:
    """Return how often the cluster has refused the nodes of a run before its last attempt."""
    return sum(one.cause is Cause.PLACEMENT for one in executions.attempts(conn, grant.execution_id))


def next_step(verdict: Verdict, history: History) -> Next:
    """Decide whether a run ends with `verdict` or is tried again (D5)."""
    if history.preempted and not history.cancelled and verdict.status is Status.CANCELLED:
        return Again(cause=Cause.PREEMPTED, delay=None)
    if history.cancelled or verdict.good or verdict.status is Status.CANCELLED:
        return verdict
    if verdict.reason in INFRASTRUCTURE_REASONS:
        return _after_infrastructure(verdict, history)
    if history.policy.should_retry(verdict, history.retries):
        return Again(cause=Cause.RETRY, delay=history.policy.delay(history.retries + 1))
    return verdict


def _after_infrastructure(verdict: Verdict, history: History) -> Next:
    """Try again what was not the fault of the test. A placement that the cluster refused is charged only at the end."""
    if verdict.reason is Reason.PLACEMENT and history.placement_conflicts < MAX_PLACEMENT_CONFLICTS:
        return Again(cause=Cause.PLACEMENT, delay=INFRASTRUCTURE_DELAY)
    if history.infrastructure_failures >= MAX_INFRASTRUCTURE_ATTEMPTS:
        return verdict
    return Again(cause=Cause.INFRASTRUCTURE, delay=INFRASTRUCTURE_DELAY)


def counts(summary: Summary) -> dict[str, int]:
    """Return a summary as the database keeps it and the API shows it."""
    return {
        "totalTests": summary.total,
        "completed": summary.completed,
        "passed": summary.passed,
        "failed": summary.failed,
        "skipped": summary.skipped,
        "percentComplete": summary.percent,
    }


def _as_asked(verdict: Verdict, beneficiary: ExecutionId | None, *, cancelled: bool) -> Verdict:
    """Return the verdict of an attempt: a cancel wins over all, a preemption explains a stop and changes no more.

    A stop for which nobody has asked is no cancel: it says nothing about the test.
    """
    if cancelled:
        return Verdict(status=Status.CANCELLED, detail="cancelled while it ran")
    if verdict.status is not Status.CANCELLED:
        return verdict
    if beneficiary is None:
        return fault.LOST.verdict(STOPPED_BY_NOBODY)
    return Verdict(status=Status.CANCELLED, detail=f"stopped for the more important run {short(beneficiary)}")


def _wait_again(conn: Connection, grant: Grant, step: Again, avoid: frozenset[NodeName]) -> Next | Superseded:
    phase = Phase.WAITING if step.delay is None else Phase.BACKOFF
    become = Become(status=Status.QUEUED, phase=phase, cause=step.cause)
    if not runs.transition(conn, fence(grant), Status.RUNNING, become):
        return Superseded()
    back = Requeue(delay=step.delay, cause=step.cause, avoid=avoid)
    queue.requeue(conn, grant.execution_id, grant.epoch, back)
    return step


def _end(conn: Connection, grant: Grant, verdict: Verdict, releases: PlaceReleases) -> Next | Superseded:
    become = Become(status=verdict.status, phase=Phase.ENDED, reason=verdict.reason, detail=verdict.detail)
    if not runs.transition(conn, fence(grant), Status.RUNNING, become):
        return Superseded()
    ended = Ended(run_id=grant.execution_id, kind=RunKind.TEST, status=verdict.status, reason=verdict.reason)
    releases.add(grant.execution_id, grant.epoch, ended)
    return verdict


def verdict_of(conn: Connection, execution_id: ExecutionId) -> Verdict | None:
    """Return the verdict of a run, None while it has none."""
    row = runs.find(conn, execution_id)
    if not isinstance(row.status, Status) or not row.status.terminal:
        return None
    return Verdict(status=row.status, reason=row.failure_reason, detail=row.detail)
