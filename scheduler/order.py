"""Who is looked at first: aged runs by arrival, then by priority (FIFO: by arrival alone), then by id.

FAIR_SHARE puts the share of a run's owner before its priority; that changes with each run that starts, so it is not
part of the rank (`scheduler.shares`). But there who has a node kept comes next after the aged, whatever its owner has
had meanwhile: otherwise it would be passed on from owner to owner, and no node would ever drain.
"""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from scheduler.pool import Limits, Strategy
from scheduler.run import Queued, Running

Rank: TypeAlias = tuple[bool, int, int, UUID]
YOUNG = 1 << 61
CHOSEN = 1 << 60
_SEQS = 54
"""Bits of a place in the order of arrival."""


def aged(run: Queued | Running, limits: Limits, now: datetime) -> bool:
    """Return whether a run has waited for so long that none submitted later may delay it (D4)."""
    return now - run.enqueued_at >= limits.ageing_limit


def due(run: Queued, now: datetime) -> bool:
    """Return whether a run may start at all yet, as to its backoff."""
    return run.not_before is None or run.not_before <= now


def rank(run: Queued | Running, limits: Limits, now: datetime) -> Rank:
    """Return the place of a run in the order, lowest first; no two runs share one.

    Of one that has a place: where it would stand if it waited.
    """
    if aged(run, limits, now):
        return (False, 0, run.seq, run.execution_id)
    return (True, _priority(run, limits), run.seq, run.execution_id)


def rank_number(run: Queued, limits: Limits, *, is_aged: bool) -> int:
    """Return the rank without its tie-break as one number, for runs of less than 2**54 arrivals.

    Below `YOUNG` are those that share has no say in.
    """
    if is_aged:
        return run.seq
    chosen = run.nominated is not None and limits.strategy is Strategy.FAIR_SHARE
    return (CHOSEN if chosen else YOUNG) + (_priority(run, limits) << _SEQS) + run.seq


def _priority(run: Queued | Running, limits: Limits) -> int:
    return 0 if limits.strategy is Strategy.FIFO else run.priority
