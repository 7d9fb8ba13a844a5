"""A second person approves or denies an execution that waits for that."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection

from chaos.approval import ApprovalState
from chaos.experiment_reading import stored_experiment
from db import chaos_approvals, chaos_runs, runs
from db.chaos_approvals import ApprovalRow, Decision
from db.errors import ConflictError, ForbiddenError
from db.gate import queue
from db.runs import Run
from model.execution import Status
from model.fields import FORBID
from model.ids import ExecutionId, RunId, UserId
from model.reading import Reader
from orchestrator import cancel, chaos_permission
from orchestrator.ceilings import read_change
from orchestrator.chaos_permission import Wanted

Comment = Annotated[str, Field(max_length=500, description="Why, for everybody who asks")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalForm:
    """What is approved: the digest of the experiment, as the execution shows it."""

    __pydantic_config__ = FORBID

    digest: Annotated[str, Field(max_length=100, description="`approval.digest` of the execution")]
    comment: Comment = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenialForm:
    """Why an execution is denied."""

    __pydantic_config__ = FORBID

    comment: Comment = field(default="")


APPROVAL, DENIAL = Reader(ApprovalForm), Reader(DenialForm)


def read_approval(raw: object) -> ApprovalForm:
    """Return what was sent to approve. Raises: InvalidError with all problems."""
    return read_change(APPROVAL, raw, nullable=frozenset()).form


def read_denial(raw: object) -> DenialForm:
    """Return what was sent to deny. Raises: InvalidError with all problems."""
    return read_change(DENIAL, raw, nullable=frozenset()).form


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who decides, and when."""

    user_id: UserId
    name: str
    now: datetime


def approve(conn: Connection, run_id: RunId, form: ApprovalForm, person: Person) -> None:
    """Approve exactly what has this digest, and let it go on. The approval holds from when the run may begin.

    Raises: ForbiddenError for who submitted it and for who is not asked; ConflictError if it does not wait for an
    approval any more, or is not what was approved.
    """
    run, row = _waiting(conn, run_id, person)
    if form.digest != row.approval.digest:
        raise ConflictError(
            f"you approve {form.digest[:19]}..., and the execution is {row.approval.digest[:19]}...: look at it again"
        )
    experiment = stored_experiment(dict(chaos_runs.read(conn, run_id).experiment))
    begins = max(person.now, row.begins_at)
    wanted = Wanted(experiment=experiment, paths=(experiment.target.claim,), at=begins)
    held = chaos_permission.opens_at(conn, run.team_id, wanted)
    expires_at = max(begins, held.until if held else begins) + row.holds
    _decide(conn, run_id, person, _Made(state=ApprovalState.APPROVED, comment=form.comment, expires_at=expires_at))
    if held is not None:
        queue.hold_until(conn, ExecutionId(run_id), held.until, held.why)
    elif row.begins_at > person.now:
        why = f"is approved by {person.name} and scheduled for {row.begins_at:%Y-%m-%d %H:%M:%S} UTC"
        queue.hold_until(conn, ExecutionId(run_id), row.begins_at, why)
    else:
        queue.let_go(conn, ExecutionId(run_id))


def deny(conn: Connection, run_id: RunId, form: DenialForm, person: Person) -> None:
    """Deny an execution, which ends it. Raises: as `approve`."""
    _, row = _waiting(conn, run_id, person)
    made = _Made(state=ApprovalState.DENIED, comment=form.comment, expires_at=row.approval.expires_at)
    _decide(conn, run_id, person, made)
    by = f"{person.name} (denied: {form.comment or 'no reason was given'})"
    cancel.cancel(conn, ExecutionId(run_id), by=by, now=person.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    state: ApprovalState
    comment: str
    expires_at: datetime


def _waiting(conn: Connection, run_id: RunId, person: Person) -> tuple[Run, ApprovalRow]:
    """Lock the run and return what is asked of this person."""
    run, row = runs.lock(conn, run_id), chaos_approvals.read(conn, run_id)
    if run is None or row is None:
        raise ConflictError("no rule asks for an approval of this execution")
    if run.submitted_by == person.user_id:
        raise ForbiddenError("a second person must approve it: you submitted it yourself")
    if person.name not in (may := chaos_permission.may_decide(conn, run, row)):
        who = f"only {' or '.join(may)} may" if may else "nobody who was asked still may; submit it again to"
        raise ForbiddenError(f"{who} decide about it")
    if row.approval.state is not ApprovalState.WAITING:
        raise ConflictError(f"{row.approval.by} has decided already: {row.approval.state}")
    if run.status is not Status.QUEUED:
        raise ConflictError(f"it does not wait any more: it is {run.status}")
    if person.now >= row.approval.expires_at:
        raise ConflictError(f"it could be approved until {row.approval.expires_at:%Y-%m-%d %H:%M} UTC: submit it again")
    return run, row


def _decide(conn: Connection, run_id: RunId, person: Person, made: _Made) -> None:
    decision = Decision(
        state=made.state, by=person.name, at=person.now, comment=made.comment, expires_at=made.expires_at
    )
    if not chaos_approvals.decide(conn, run_id, decision):
        raise ConflictError("somebody else has decided at this moment")
