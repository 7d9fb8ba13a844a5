"""Forecasts of starts: what was first told to a run, what was last, when it started, and how good that was.

A forecast that nobody renewed for `STALE` is not told any more: an old one would be a lie. Whoever claims a pool's
round makes its forecasts; the computing itself holds neither a lock nor a transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from db.locks import Lock, lock_key
from model.ids import ExecutionId, PoolName
from scheduler.forecast.estimate import Basis, Estimate

STALE = timedelta(minutes=1)
BEFORE = 50
"""Runs just submitted have no forecast yet; so far back one is looked for that has."""
RENEW_AFTER = timedelta(seconds=20)
"""A forecast that has not moved is written again only after this, to say that it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """When a run will start: with even odds before `p50`, with nine to one before `p90`. The first ones as first told.

    `started_at` is the first start after the first forecast, None until then.
    """

    execution_id: ExecutionId
    first_at: datetime
    first_p50: datetime
    first_p90: datetime
    made_at: datetime
    p50: datetime
    p90: datetime
    basis: Basis
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How good the first forecasts of a pool's runs were that started in a period.

    Shares are of the starts that came no later than told: 0.5 and 0.9 would be perfect. Losses are pinball losses, and
    the error is the median distance of the start from p50, all in seconds.
    """

    pool: PoolName
    number: int
    before_p50: float
    before_p90: float
    loss_p50: float
    loss_p90: float
    median_error: float


_FRESH = "f.made_at BETWEEN clock_timestamp() - :stale AND clock_timestamp()"
"""One that lies ahead was made before the clock went back."""

_READ = text(f"""
SELECT f.* FROM forecasts f JOIN queue q ON q.execution_id = f.execution_id AND q.state = 'waiting'
WHERE f.execution_id = ANY(CAST(:ids AS uuid[])) AND {_FRESH}
""")  # noqa: S608  only our own text
_BEFORE = text(f"""
SELECT f.* FROM queue me JOIN pools p ON p.name = me.pool AND p.strategy = 'PRIORITY' CROSS JOIN LATERAL (
    SELECT q.execution_id, q.seq FROM queue q
    WHERE q.pool = me.pool AND q.state = 'waiting' AND q.priority = me.priority AND q.seq < me.seq
    ORDER BY q.seq DESC LIMIT :most
) AS before JOIN forecasts f ON f.execution_id = before.execution_id AND {_FRESH}
WHERE me.execution_id = :id AND me.state = 'waiting' ORDER BY before.seq DESC LIMIT 1
""")  # noqa: S608
_TRY = text("SELECT pg_try_advisory_xact_lock(:lock, :key)")
_CLAIM = text("""
INSERT INTO forecast_rounds AS r (pool) VALUES (:pool)
ON CONFLICT (pool) DO UPDATE SET claimed_at = clock_timestamp()
WHERE r.claimed_at NOT BETWEEN
    clock_timestamp() - greatest(:every, :rest * make_interval(secs => r.seconds)) AND clock_timestamp()
RETURNING pool
""")
_ROUND = text("""
UPDATE forecast_rounds SET seconds = :seconds, trials = :trials, told = :told WHERE pool = :pool
""")
_WRITE = text("""
INSERT INTO forecasts AS f (execution_id, first_at, first_p50, first_p90, made_at, p50, p90, basis)
SELECT e.execution_id, :now, e.p50, e.p90, clock_timestamp(), e.p50, e.p90, e.basis
FROM unnest(CAST(:ids AS uuid[]), CAST(:p50 AS timestamptz[]), CAST(:p90 AS timestamptz[]), CAST(:basis AS text[]))
    AS e (execution_id, p50, p90, basis)
JOIN queue q ON q.execution_id = e.execution_id AND q.state = 'waiting'
ORDER BY e.execution_id
ON CONFLICT (execution_id) DO UPDATE
    SET made_at = excluded.made_at, p50 = excluded.p50, p90 = excluded.p90, basis = excluded.basis
WHERE (f.p50, f.p90, f.basis) IS DISTINCT FROM (excluded.p50, excluded.p90, excluded.basis)
    OR f.made_at NOT BETWEEN clock_timestamp() - :renew AND clock_timestamp()
""")
"""Only runs that still wait: of one that started meanwhile nothing was told."""

_STARTED = text("""
UPDATE forecasts f SET started_at = begun.at
FROM forecasts open CROSS JOIN LATERAL (
    SELECT min(a.started_at) AS at FROM test_attempts a
    WHERE a.execution_id = open.execution_id AND a.started_at >= open.first_at
) AS begun
WHERE open.started_at IS NULL AND begun.at IS NOT NULL AND f.execution_id = open.execution_id
""")
_NEVER = text("""
DELETE FROM forecasts f USING runs r
WHERE f.started_at IS NULL AND r.id = f.execution_id AND r.completed_at IS NOT NULL
""")
"""Of a run that was cancelled while it waited nobody knows when it would have started."""

_CALIBRATION = text("""
SELECT r.pool, count(*) AS number,
    avg((f.started_at <= f.first_p50)::int) AS before_p50, avg((f.started_at <= f.first_p90)::int) AS before_p90,
    avg(greatest(0.5 * late.p50, -0.5 * late.p50)) AS loss_p50,
    avg(greatest(0.9 * late.p90, -0.1 * late.p90)) AS loss_p90,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(late.p50)) AS median_error
FROM forecasts f JOIN runs r ON r.id = f.execution_id CROSS JOIN LATERAL (
    SELECT extract(epoch FROM f.started_at - f.first_p50)::float AS p50,
        extract(epoch FROM f.started_at - f.first_p90)::float AS p90
) AS late
WHERE f.started_at >= :since GROUP BY r.pool ORDER BY r.pool
""")


def read(conn: Connection, execution_ids: Collection[ExecutionId]) -> dict[ExecutionId, Forecast]:
    """Return what holds now of runs that wait; nothing of those of which nothing is known."""
    if not execution_ids:
        return {}
    rows = conn.execute(_READ, {"ids": list(execution_ids), "stale": STALE})
    return {found.execution_id: found for found in map(_forecast, rows)}


def read_new(conn: Connection, execution_id: ExecutionId) -> Forecast | None:
    """Return what a run that was submitted just now may be told: what holds for the nearest before it of its priority.

    It cannot be long wrong: its own is made in seconds. None where nobody of its priority waits before it.
    """
    asked = {"id": execution_id, "most": BEFORE, "stale": STALE}
    row = conn.execute(_BEFORE, asked).one_or_none()
    return None if row is None else replace(_forecast(row), execution_id=execution_id, basis=Basis.RATE)


def claim(conn: Connection, pool: PoolName, every: timedelta, rest: float) -> bool:
    """Take the round of a pool; False if another has it, or it is not due yet.

    It is due `every` so often, and later where the last one cost much: after `rest` times its seconds.
    """
    if not conn.execute(_TRY, {"lock": Lock.FORECAST, "key": lock_key(pool)}).scalar_one():
        return False
    return conn.execute(_CLAIM, {"pool": pool, "every": every, "rest": rest}).one_or_none() is not None


def close_round(conn: Connection, pool: PoolName, *, seconds: float, trials: int, told: int) -> None:
    """Note what the round cost, and how many runs were told something."""
    conn.execute(_ROUND, {"pool": pool, "seconds": seconds, "trials": trials, "told": told})


def write(conn: Connection, estimates: Sequence[Estimate], now: datetime) -> int:
    """Keep estimates that were made from the state at `now`; return how many rows were written."""
    if not estimates:
        return 0
    columns = {
        "ids": [e.execution_id for e in estimates],
        "p50": [e.p50 for e in estimates],
        "p90": [e.p90 for e in estimates],
        "basis": [e.basis for e in estimates],
    }
    return conn.execute(_WRITE, {**columns, "now": now, "renew": RENEW_AFTER}).rowcount


def settle(conn: Connection) -> int:
    """Note which runs have started, and forget those that never will; return how many started."""
    started = conn.execute(_STARTED).rowcount
    conn.execute(_NEVER)
    return started


def calibration(conn: Connection, now: datetime, days: float = 7.0) -> list[Calibration]:
    """Return how good the forecasts were of runs that started in the last `days`, by pool that has any."""
    rows = conn.execute(_CALIBRATION, {"since": now - timedelta(days=days)})
    return [
        Calibration(
            pool=PoolName(row.pool),
            number=row.number,
            before_p50=float(row.before_p50),
            before_p90=float(row.before_p90),
            loss_p50=row.loss_p50,
            loss_p90=row.loss_p90,
            median_error=row.median_error,
        )
        for row in rows
    ]


def _forecast(row: Row[Any]) -> Forecast:
    return Forecast(
        execution_id=ExecutionId(row.execution_id),
        first_at=row.first_at,
        first_p50=row.first_p50,
        first_p90=row.first_p90,
        made_at=row.made_at,
        p50=row.p50,
        p90=row.p90,
        basis=Basis(row.basis),
        started_at=row.started_at,
    )
