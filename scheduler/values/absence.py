"""For how long a backend has had no live worker, by observed time only (010.6).

A *look* sees which backends a live worker serves at one moment. Time counts as absence only between two looks that
follow each other closely, on one database server that was up all the while. A larger gap means that nobody can say what
happened in it: the machine slept, the clock was moved, or the database was away, so that workers could not renew. Then
the count starts anew.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

LONGEST_GAP = timedelta(seconds=10)
"""Between two looks that count; workers look every 2 seconds."""
NO_TIME = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """When somebody looked, and when the database server that gave the time was started."""

    at: datetime
    server_started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """What is known of a backend without a live worker: the first and the last look, and the time that counts."""

    since: datetime
    last: Look
    counted: timedelta = NO_TIME


def observe(known: Absence | None, look: Look) -> Absence:
    """Return what is known after a look that found no live worker for the backend; `known` is None at the first one.

    A look that is a little older than the last one changes nothing: two workers look at the same time.
    """
    if known is None:
        return Absence(since=look.at, last=look)
    gap = look.at - known.last.at
    if known.last.server_started_at != look.server_started_at or abs(gap) > LONGEST_GAP:
        return Absence(since=min(known.since, look.at), last=look)
    if gap <= NO_TIME:
        return known
    return replace(known, last=look, counted=known.counted + gap)
