"""Cancel a run. Cancellation is data: whoever carries the run reads it and ends the run itself."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from db import notices, runs
from db.errors import NotFoundError
from db.gate import queue
from db.runs import Become, Fenced, Run
from model.execution import Phase, Status
from model.ids import ExecutionId, PoolName
from model.notices import CancelAsked, Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOutcome:
    """What a cancel did. `changed` is false for a run that had ended, or was being cancelled already."""

    execution_id: ExecutionId
    status: Status
    changed: bool
    pool: PoolName


def cancel(conn: Connection, execution_id: ExecutionId, *, by: str, now: datetime) -> CancelOutcome:
    """End a run that waits at once, and ask for the end of one that runs. The second time changes nothing.

    The row is locked before it is judged: a run that is going from one attempt to the next is in neither.
    """
    row = runs.lock(conn, execution_id)
    if row is None:
        raise NotFoundError("run", execution_id)
    changed = not row.status.terminal and runs.request_cancel(conn, execution_id, by, now)
    if row.status is Status.QUEUED:
        _end_waiting(conn, row, by)
        return CancelOutcome(execution_id=execution_id, status=Status.CANCELLED, changed=True, pool=row.pool)
    if changed:
        notices.tell(conn, [CancelAsked(run_id=execution_id)])
    return CancelOutcome(execution_id=execution_id, status=Status(row.status), changed=changed, pool=row.pool)


def _end_waiting(conn: Connection, run: Run, by: str) -> None:
    """End the run; a worker that holds its place finds it ended."""
    become = Become(status=Status.CANCELLED, phase=Phase.ENDED, detail=f"cancelled by {by} before it ran")
    runs.transition(conn, Fenced(run_id=run.id, epoch=None), Status.QUEUED, become)
    queue.withdraw(conn, ExecutionId(run.id))
    notices.tell(conn, [Ended(run_id=run.id, kind=run.kind, status=Status.CANCELLED)])
