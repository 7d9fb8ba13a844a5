"""The state of a pool as forecasts need it: who runs, the first of the queue, and who comes after those.

A plain read: no lock is asked for, and no pass waits. It is what a pass would read that had room for all and wrote
positions, so it is bounded however deep the queue is. Runs in backoff are left out.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median_low

from sqlalchemy import Connection, text

from db import durations, gate_read
from db.durations import Kind, Traced
from db.gate_read import FRONT
from model.ids import ExecutionId, PoolName
from scheduler.order import rank
from scheduler.pool import NO_CEILING, Strategy
from scheduler.run import Running
from scheduler.state import State

NEAR = FRONT
"""Runs whose start is simulated."""
FAR = 2_000
"""Runs of which anything is told."""

_WAITING = "pool = :pool AND state = 'waiting'"
_FAR = {
    Strategy.PRIORITY: text(f"SELECT execution_id FROM queue WHERE {_WAITING} ORDER BY priority, seq LIMIT :far"),  # noqa: S608
    Strategy.FIFO: text(f"SELECT execution_id FROM queue WHERE {_WAITING} ORDER BY seq LIMIT :far"),  # noqa: S608
}
"""Under the other strategies nobody knows who comes after the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the forecasts of a pool are made from. `lag` is what passes now between an admission and its start."""

    pool: PoolName
    now: datetime
    state: State
    near: tuple[ExecutionId, ...]
    far: tuple[ExecutionId, ...]
    kinds: dict[ExecutionId, Kind]
    lag: timedelta


def read(conn: Connection, pool: PoolName, *, near: int = NEAR, far: int = FAR) -> Outlook | None:
    """Return the outlook of a pool, None where nobody waits, or nobody is alive to run anything.

    Raises: NotFoundError if there is no such pool.
    """
    known = gate_read.facts(conn, pool)
    if not known.workers:
        return None
    roomy = replace(known, limits=replace(known.limits, ceiling=NO_CEILING), annotate=True)
    found = gate_read.waiting(conn, roomy)
    if not found.runs:
        return None
    order = sorted(found.runs.values(), key=lambda run: rank(run, known.limits, known.now))
    first = tuple(run.execution_id for run in order[:near])
    traces = durations.traced(conn, [*found.runs, *(run.execution_id for run in known.holding)])
    holding = tuple(_began(run, traces) for run in known.holding)
    state = gate_read.state(conn, replace(roomy, holding=holding), found)
    state.limits = known.limits
    return Outlook(
        pool=pool,
        now=known.now,
        state=state,
        near=first,
        far=_behind(conn, pool, known.limits.strategy, first, far),
        kinds={run: trace.kind for run, trace in traces.items()},
        lag=_lag(traces),
    )


def _began(run: Running, traces: dict[ExecutionId, Traced]) -> Running:
    """Return a run with the start of its open attempt: durations are counted from there."""
    trace = traces.get(run.execution_id)
    return replace(run, started_at=None if trace is None else trace.began_at)


def _behind(
    conn: Connection, pool: PoolName, strategy: Strategy, first: tuple[ExecutionId, ...], far: int
) -> tuple[ExecutionId, ...]:
    query = _FAR.get(strategy)
    if query is None or far <= len(first):
        return ()
    ids = conn.execute(query, {"pool": pool, "far": far}).scalars()
    simulated = set(first)
    return tuple(ExecutionId(run) for run in ids if run not in simulated)


def _lag(traces: dict[ExecutionId, Traced]) -> timedelta:
    """Return the median of what the runs that hold a place now waited for their start; none where nothing runs."""
    waits = [
        trace.began_at - trace.admitted_at
        for trace in traces.values()
        if trace.began_at is not None and trace.admitted_at is not None and trace.began_at >= trace.admitted_at
    ]
    return median_low(waits) if waits else timedelta()
