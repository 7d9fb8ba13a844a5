"""Read the state of a pool for forecasts: who runs, the first runs of the queue, and who comes after those.

It takes no lock, so no pass waits for it. It reads what a pass would read that has room for all runs and writes
positions, so it is bounded however deep the queue is. Runs in backoff are left out.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median_low

from sqlalchemy import Connection

from db import durations
from db.durations import Kind, Traced
from db.gate import owner_limits, pass_input
from db.gate.pass_input import POSITIONS
from db.gate.queue_watermarks import LOWEST_PRIORITY
from db.sql_text import statement
from model.ids import ExecutionId, PoolName
from scheduler.admission.state import State
from scheduler.forecast.question import Behind
from scheduler.values.order import head_start, rank
from scheduler.values.pool import NO_CEILING, PoolSettings, Strategy
from scheduler.values.run import Queued, Running, owners_of

NEAR = POSITIONS
"""Runs whose start is simulated."""
FAR = 2_000
"""Runs for which an estimate is published."""

_FAR = statement(
    """
SELECT f.execution_id, f.priority, f.enqueued_at
FROM generate_series(0, $lowest_priority) AS p (priority) CROSS JOIN LATERAL (
    SELECT execution_id, priority, enqueued_at, seq FROM queue
    WHERE pool = :pool AND state = 'waiting' AND priority = p.priority ORDER BY seq LIMIT :far
) AS f ORDER BY f.enqueued_at + f.priority * CAST(:step AS interval), f.seq LIMIT :far
""",
    lowest_priority=LOWEST_PRIORITY,
)
_FORESEEN = (Strategy.PRIORITY, Strategy.FIFO)
"""Under the other strategies it is not known who comes after the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastInput:
    """What the forecasts of a pool are made from. `lag` is the time from an admission to its start."""

    pool: PoolName
    now: datetime
    state: State
    near: tuple[ExecutionId, ...]
    far: tuple[Behind, ...]
    kinds: dict[ExecutionId, Kind]
    lag: timedelta
    several: bool


def read(conn: Connection, pool: PoolName, *, near: int = NEAR, far: int = FAR) -> ForecastInput | None:
    """Return what the forecasts of a pool are made from; None if nothing waits or no worker is alive.

    Raises: NotFoundError if there is no such pool.
    """
    known = pass_input.facts(conn, pool)
    if not known.workers:
        return None
    roomy = replace(known, limits=replace(known.limits, ceiling=NO_CEILING), annotate=True)
    found = pass_input.waiting(conn, roomy)
    if not found.runs:
        return None
    order = sorted(found.runs.values(), key=lambda run: rank(run, known.limits))
    first = tuple(run.execution_id for run in order[:near])
    traces = durations.traced(conn, [*found.runs, *(run.execution_id for run in known.holding)])
    holding = tuple(_began(run, traces, known.now) for run in known.holding)
    state = pass_input.state(conn, replace(roomy, holding=holding), found)
    state.limits = known.limits
    return ForecastInput(
        pool=pool,
        now=known.now,
        state=state,
        near=first,
        far=_behind(conn, pool, known.limits, first, far),
        kinds={run: trace.kind for run, trace in traces.items()},
        lag=_lag(traces),
        several=known.several,
    )


def add_owners(conn: Connection, found: ForecastInput, runs: Collection[Queued]) -> None:
    """Add the limits and shares of the owners whose runs are yet to come."""
    new = [run for run in runs if not found.state.owners.keys() >= {*owners_of(run)}]
    if new:
        owners = owner_limits.owners(conn, found.pool, new, several=found.several)
        found.state.owners = {**found.state.owners, **owners}


def _began(run: Running, traces: dict[ExecutionId, Traced], now: datetime) -> Running:
    """Return a run with the start of its open attempt, from which durations are counted.

    One that is being launched may begin at any moment, so it is taken to begin now.
    """
    trace = traces.get(run.execution_id)
    return replace(run, started_at=None if trace is None else trace.began_at, began_at=run.began_at or now)


def _behind(
    conn: Connection, pool: PoolName, limits: PoolSettings, first: tuple[ExecutionId, ...], far: int
) -> tuple[Behind, ...]:
    if limits.strategy not in _FORESEEN or far <= len(first):
        return ()
    rows = conn.execute(_FAR, {"pool": pool, "far": far, "step": head_start(1, limits)})
    simulated = set(first)
    return tuple(
        Behind(
            execution_id=ExecutionId(row.execution_id),
            priority=row.priority,
            enqueued_at=row.enqueued_at,
        )
        for row in rows
        if row.execution_id not in simulated
    )


def _lag(traces: dict[ExecutionId, Traced]) -> timedelta:
    """Return the median time from admission to start of the runs that hold a place; None if nothing runs."""
    waits = [
        trace.began_at - trace.admitted_at
        for trace in traces.values()
        if trace.began_at is not None and trace.admitted_at is not None and trace.began_at >= trace.admitted_at
    ]
    return median_low(waits) if waits else timedelta()
