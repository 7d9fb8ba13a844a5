"""Runs that are nothing but a row of `runs`: they need no node, wait in the gate for limits and exclusive names, end.

submit     queued, at once
begin      queued/admitted -> running
end        running -> its verdict; what the run held is given on
fail       the same for a run that its worker failed

Each change is fenced by the epoch of the grant. A run that another worker takes over begins again where it was: its
flow must bear that.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from db import people, runs
from db.gate import queue
from db.gate.queue import Waiting
from db.runs import Become, NewRun, RunRef
from model.claims import exclusively
from model.execution import Phase, Reason, Status, Verdict
from model.gate_request import GateRequest
from model.ids import ExecutionId
from model.notices import Ended
from model.resources import Resources
from model.runs import RunKind
from orchestrator.lifecycle import Grant, Superseded, fence
from orchestrator.place_releases import PlaceReleases
from orchestrator.submission import Accepted, Sender
from scheduler.values.node import NO_BACKEND


def submit(conn: Connection, kind: RunKind, request: GateRequest, sender: Sender) -> Accepted:
    """Write a run of `kind` that waits for the gate. The same id again changes nothing."""
    user = people.user(conn, sender.user_id)
    new = runs.insert(
        conn,
        NewRun(
            id=sender.run_id,
            kind=kind,
            priority=request.priority,
            door=sender.door,
            pool=sender.pool,
            submitted_by=user.user_id,
            team_id=user.team_id,
            submitted_at=sender.now,
        ),
    )
    if new:
        waiting = Waiting(
            execution_id=ExecutionId(sender.run_id),
            pool=sender.pool,
            priority=request.priority,
            enqueued_at=sender.now,
            user_id=user.user_id,
            team_id=user.team_id,
            resources=Resources(),
            backend=NO_BACKEND,
            labels=request.labels,
            exclusive=exclusively(request.exclusive),
            limit=timedelta(seconds=request.timeout),
        )
        queue.enqueue(conn, waiting)
    return Accepted(run=RunRef(id=sender.run_id, kind=kind), pool=sender.pool, new=new)


def begin(conn: Connection, grant: Grant) -> datetime | Superseded:
    """Let an admitted run run, or find it running; return since when it does."""
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status.terminal:
        return Superseded()
    if row.status is Status.QUEUED:
        runs.transition(conn, fence(grant), Status.QUEUED, Become(status=Status.RUNNING, phase=Phase.RUNNING))
    started_at = runs.find(conn, grant.execution_id).started_at
    return Superseded() if started_at is None else started_at


def limit_of(conn: Connection, grant: Grant) -> timedelta:
    """Return for how long a run may hold what it was admitted to."""
    return queue.limit_of(conn, grant.execution_id)


def end(conn: Connection, grant: Grant, verdict: Verdict) -> Verdict | Superseded:
    """End a running run with its verdict, and give on what it held. A run that was cancelled ends cancelled."""
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status is not Status.RUNNING:
        return Superseded()
    if row.cancel_requested:
        verdict = Verdict(status=Status.CANCELLED, detail="cancelled while it ran")
    become = Become(status=verdict.status, phase=Phase.ENDED, reason=verdict.reason, detail=verdict.detail)
    runs.transition(conn, fence(grant), Status.RUNNING, become)
    releases = PlaceReleases()
    ended = Ended(run_id=row.id, kind=row.kind, status=verdict.status, reason=verdict.reason)
    releases.add(grant.execution_id, grant.epoch, ended)
    releases.carry_out(conn)
    return verdict


def fail(conn: Connection, grant: Grant, detail: str) -> Verdict | Superseded:
    """End a run that its worker failed."""
    return end(conn, grant, Verdict(status=Status.FAILED, reason=Reason.INFRASTRUCTURE, detail=detail))
