"""Store the usage of owners (FAIR_SHARE): the decayed average of each owner's share of a pool.

It is the only sum that is stored. The scheduler computes it from the last value: decay, what ran since then, and an
entry penalty for each admission, so that a burst between two writes gains nothing. A pass writes it once a second, and
whenever a run starts.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from db.gate.pass_input import Facts
from db.sql_text import statement
from scheduler.admission.fair_order import entry
from scheduler.admission.outcome import Outcome
from scheduler.values.pool import PoolSettings
from scheduler.values.run import Queued, payer
from scheduler.values.usage_totals import need

EVERY = timedelta(seconds=1)
NOTHING = 1e-6
"""A smaller usage is deleted."""

_WRITE = statement("""
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
"""The usage of owners without a run decays here. If somebody is changing the pool, the next pass writes it."""


def of(outcome: Outcome, dropped: Iterable[Queued], limits: PoolSettings) -> dict[UUID, float]:
    """Return the usage to store after a pass. The admissions of the `dropped` runs were not carried out."""
    fairness = None if outcome.cycle is None else outcome.cycle.fairness
    if fairness is None:
        return {}
    usage = dict(outcome.usage)
    for run in dropped:
        owner = payer(run.user_id, run.team_id)
        usage[owner] = max(
            0.0, usage[owner] - entry(need(run.shape.resources, run.shape.constraints.slots), fairness.totals, limits)
        )
    return usage


def write(conn: Connection, known: Facts, usage: Mapping[UUID, float], *, started: bool) -> None:
    """Store the usage that a pass computed, if a run has `started`, or if the last write is a second old."""
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
