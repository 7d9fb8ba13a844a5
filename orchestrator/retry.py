"""Run the same definition again, as a new execution (D5)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from db import executions
from db.errors import ConflictError
from model.execution import Door
from model.ids import ExecutionId, UserId, short
from orchestrator.content import KnownContent
from orchestrator.submit import Order, OverQuota, Submitted, submit


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """When the retry is wanted, and the new run's id. Without a user it counts for the old run's."""

    now: datetime
    new_id: ExecutionId
    user_id: UserId | None = None
    door: Door | None = None


def retry(
    conn: Connection, execution_id: ExecutionId, again: Again, known_content: KnownContent | None = None
) -> Submitted | OverQuota:
    """Submit the request of an ended run once more. Raises: ConflictError while it is alive; else as `submit` does."""
    old = executions.find(conn, execution_id)
    if not old.is_retryable:
        raise ConflictError(f"run {short(execution_id)} has not ended ({old.status}): cancel it first, or wait")
    return submit(
        conn,
        Order(
            request=executions.request_of(conn, execution_id),
            execution_id=again.new_id,
            user_id=again.user_id or old.submitted_by,
            door=again.door or old.door,
            now=again.now,
            pool=old.pool,
            retried_from=execution_id,
        ),
        known_content,
    )
