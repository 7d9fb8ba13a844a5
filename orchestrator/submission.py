"""What is submitted, of whatever kind, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from db.people import OverQuota
from db.runs import RunRef
from model.execution import Door
from model.ids import PoolName, RunId, UserId
from orchestrator.content import KnownContent
from orchestrator.submit import DEFAULT_POOL, Once


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who submits a run or a retry, by which way in, and when; and the id of the new run.

    `once`: what identifies a repeated submit. `flow_run_id`: the flow run that submits it, if one does.
    """

    run_id: RunId
    user_id: UserId
    door: Door
    now: datetime
    pool: PoolName = DEFAULT_POOL
    once: Once | None = None
    known_content: KnownContent | None = None
    flow_run_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A run that was submitted. `new` is false when it had been submitted before.

    `warnings` say what will keep it waiting until somebody changes something.
    """

    run: RunRef
    pool: PoolName
    new: bool = True
    warnings: tuple[str, ...] = ()


Write: TypeAlias = Callable[[Connection], Accepted | OverQuota]
"""Writes a checked submission, in a transaction. Raises: what the submit of its kind raises."""
