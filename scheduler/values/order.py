"""Define the order in which runs are looked at: by a fixed key, then by number of arrival, then by id.

The key is the time of submission plus the priority times the ageing limit (FIFO: the time of submission alone). It
does not change while a run waits, so two waiting runs never swap places; and a run that is submitted later than the key
of another one comes after it, whatever its priority. A run is aged one ageing limit after its key. So the aged runs are
always the first of the order.

FAIR_SHARE puts the share of a run's owner before the key, but only for runs that are not aged. The share changes with
each run that starts, so it is not part of the rank (`scheduler.fairness.shares`). A run that has a node reserved comes
right after the aged runs there: otherwise the node would be passed on from owner to owner, and no node would ever
drain.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from scheduler.values.pool import PoolSettings, Strategy
from scheduler.values.run import Queued, Rank

YOUNG = 1 << 61
CHOSEN = 1 << 60
FIRST = -1
"""Less than any key."""
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_UNIT = timedelta(microseconds=1)
_LONGEST = timedelta(days=250_000)
"""Longer ageing limits count as this one, so that no key is beyond the last date."""
NO_TIME = timedelta()


def head_start(priority: int, limits: PoolSettings) -> timedelta:
    """Return how much earlier than a run of this priority one of priority 0 comes that is submitted with it."""
    return NO_TIME if limits.strategy is Strategy.FIFO else _ageing_limits(priority, limits.ageing_limit)


def ages_at(enqueued_at: datetime, priority: int, limits: PoolSettings) -> datetime:
    """Return the time from which on what a run needs is reserved for it (D4)."""
    waited = 1 if limits.strategy is Strategy.FIFO else priority + 1
    return enqueued_at + _ageing_limits(waited, limits.ageing_limit)


@lru_cache(maxsize=1024)
def _ageing_limits(number: int, ageing_limit: timedelta) -> timedelta:
    """Return so many ageing limits. A pass asks for each of its runs, with few different answers."""
    return number * min(ageing_limit, _LONGEST)


def aged(run: Queued, limits: PoolSettings, now: datetime) -> bool:
    """Return whether a run has waited for (priority + 1) ageing limits; under FIFO for one (D4)."""
    return now >= ages_at(run.enqueued_at, run.priority, limits)


def overtaken_until(enqueued_at: datetime, priority: int, limits: PoolSettings, by: int = 0) -> datetime:
    """Return the time from which on no run of priority `by` that is submitted then can start before another run.

    Where shares or free nodes have a say too (FAIR_SHARE, RESOURCE_AWARE), that is when the other run is aged.
    """
    if limits.strategy in (Strategy.FIFO, Strategy.PRIORITY):
        return enqueued_at + head_start(priority - by, limits)
    return ages_at(enqueued_at, priority, limits)


def due(run: Queued, now: datetime) -> bool:
    """Return whether a run may start at all yet, as to its backoff."""
    return run.not_before is None or run.not_before <= now


def key(run: Queued, limits: PoolSettings) -> int:
    """Return the key of a run in microseconds."""
    return key_at(run.enqueued_at + head_start(run.priority, limits))


def key_at(time: datetime) -> int:
    """Return the key of a time: that of a run of priority 0 that is submitted then."""
    return (time - _BEGINNING) // _UNIT


def rank(run: Queued, limits: PoolSettings) -> Rank:
    """Return the place of a run in the order (rule 2), lowest first; no two runs share one, and it never changes."""
    return (key(run, limits), run.seq, run.execution_id)


def rank_number(run: Queued, limits: PoolSettings, *, is_aged: bool) -> int:
    """Return the key as a number that also tells under FAIR_SHARE whether the share of the owner counts.

    Shares count for what is not below `YOUNG`. What is not below `CHOSEN` comes after all aged runs.
    """
    number = key(run, limits)
    if is_aged or limits.strategy is not Strategy.FAIR_SHARE:
        return number
    return number + (CHOSEN if run.nominated is not None else YOUNG)
