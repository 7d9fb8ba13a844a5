"""Fair usage (FAIR_SHARE): the decayed average of each owner's share of a pool, the one sum that is stored.

The plan works it out: decay since it was written last, what ran meanwhile, and for each admission its entry penalty, so
that nobody gains by a burst between two writes. It is written by the pass, once a second and whenever somebody starts.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from db.gate.pass_input import Facts
from scheduler.fairness import entry
from scheduler.outcome import Outcome
from scheduler.pool import Limits
from scheduler.run import Queued
from scheduler.sums import need, payer

EVERY = timedelta(seconds=1)
NOTHING = 1e-6
"""Less than this is forgotten."""

_WRITE = text("""
WITH stamped AS (
    UPDATE pools SET usage_at = :now
    WHERE name IN (SELECT name FROM pools WHERE name = :pool FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING name
), computed AS (
    SELECT * FROM unnest(CAST(:owners AS uuid[]), CAST(:amounts AS float[])) AS c (owner_id, usage)
), forgotten AS (
    DELETE FROM fair_usage f USING stamped
    WHERE f.pool = stamped.name AND f.usage * power(0.5, :halves) < :nothing
        AND NOT EXISTS (SELECT FROM computed WHERE computed.owner_id = f.owner_id)
), others AS (
    UPDATE fair_usage f SET usage = f.usage * power(0.5, :halves) FROM stamped
    WHERE f.pool = stamped.name AND f.usage * power(0.5, :halves) >= :nothing
        AND NOT EXISTS (SELECT FROM computed WHERE computed.owner_id = f.owner_id)
)
INSERT INTO fair_usage (pool, owner_id, usage)
SELECT stamped.name, computed.owner_id, computed.usage FROM computed CROSS JOIN stamped ORDER BY computed.owner_id
ON CONFLICT (pool, owner_id) DO UPDATE SET usage = excluded.usage
""")
"""Who neither waits nor runs decays here. A pool that somebody is changing at this moment is left for the next pass."""


def of(outcome: Outcome, dropped: Iterable[Queued], limits: Limits) -> dict[UUID, float]:
    """Return what to store of each owner's usage after a pass of which these admissions did not come about."""
    fairness = None if outcome.trial is None else outcome.trial.fairness
    if fairness is None:
        return {}
    usage = dict(outcome.usage)
    for run in dropped:
        owner = payer(run.user_id, run.team_id)
        usage[owner] = max(0.0, usage[owner] - entry(need(run.shape.resources), fairness.totals, limits))
    return usage


def write(conn: Connection, known: Facts, usage: Mapping[UUID, float], *, started: bool) -> None:
    """Keep the usage that a pass worked out, where it is due: after a second, or since somebody has started."""
    if not usage:
        return
    gone = timedelta.max if known.usage_at is None else known.now - known.usage_at
    if not started and timedelta() <= gone < EVERY:
        return
    halves = 0.0 if known.usage_at is None else max(gone, timedelta()) / known.limits.half_life
    values = {
        "pool": known.pool,
        "now": known.now,
        "owners": list(usage),
        "amounts": list(usage.values()),
        "halves": min(halves, 1000.0),
        "nothing": NOTHING,
    }
    conn.execute(_WRITE, values)
