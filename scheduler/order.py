"""Who is looked at first: aged runs by arrival, then by priority (or by arrival alone), then by id."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from scheduler.pool import Limits, Strategy
from scheduler.run import Queued

Rank: TypeAlias = tuple[bool, int, int, UUID]


def aged(run: Queued, limits: Limits, now: datetime) -> bool:
    """Return whether a run has waited for so long that none submitted later may delay it (decision 4)."""
    return now - run.enqueued_at >= limits.ageing_limit


def due(run: Queued, now: datetime) -> bool:
    """Return whether a run may start at all yet, as to its backoff."""
    return run.not_before is None or run.not_before <= now


def rank(run: Queued, limits: Limits, now: datetime) -> Rank:
    """Return the place of a run in the order, lowest first; no two runs share one."""
    if aged(run, limits, now):
        return (False, 0, run.seq, run.execution_id)
    priority = run.priority if limits.strategy is Strategy.PRIORITY else 0
    return (True, priority, run.seq, run.execution_id)
