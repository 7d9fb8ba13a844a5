"""What a deep queue of 50 shapes costs: a pass, a position, a page of the queue, a round of forecasts.

A pass is timed whole, from the pool's lock to the commit, with one place free, with 16, and with none; once a second a
pass also writes positions, which is timed apart. Each is told as its caller sees it, over one connection.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_queue_depth.py [--queued N ...] [--rounds N] [--strategy NAME]
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import goals
from ground import SHAPES, Costs, Ground, furnished, load, timed
from sqlalchemy import Connection, text

from db import pools
from db.gate.queue_position import near, position, queue
from db.pools import PoolChange
from db.seeds import DEFAULT_POOL
from flows.forecasting import simulate
from model.ids import ExecutionId
from orchestrator import admission, forecasts
from orchestrator.forecasts import Memory
from scheduler.values.pool import Strategy

GOAL_MS = 50.0
GOAL_QUEUED = 10_000
NEAR = 1000
PLACES = ((1, "one place free"), (16, "16 places free"), (0, "no place free"))

_NOT_DUE = "UPDATE pools SET annotated_at = clock_timestamp()"
_DUE = "UPDATE pools SET annotated_at = NULL"
_END = "DELETE FROM queue WHERE state = 'admitted'"
_ROUND_DUE = "DELETE FROM forecast_rounds"
_SOME = {
    "first": "SELECT execution_id FROM queue ORDER BY priority, seq LIMIT 1",
    "last": "SELECT execution_id FROM queue ORDER BY priority DESC, seq DESC LIMIT 1",
}


def pass_once(ground: Ground, free: int, before: str = _NOT_DUE) -> float:
    """Time one pass with so many free places, and end what it started."""
    ground.places(free)
    ground.sql(before)
    cost = timed(lambda: ground.db.call(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True)))
    ground.sql(_END)
    return cost


def pass_costs(ground: Ground, free: int, rounds: int, before: str = _NOT_DUE) -> Costs:
    """Time passes, and let as many wait as before."""
    costs = tuple(pass_once(ground, free, before) for _ in range(rounds))
    ground.fill(free * rounds)
    return Costs(seconds=costs)


def read_costs(ground: Ground, work: Callable[[Connection], object], rounds: int) -> Costs:
    """Time a reader."""
    return Costs(seconds=tuple(timed(lambda: ground.db.call(work)) for _ in range(rounds)))


def some(ground: Ground, which: str) -> ExecutionId:
    """Return the run that is first, or last, in the queue."""
    return ground.db.call(lambda conn: ExecutionId(conn.execute(text(_SOME[which])).scalar_one()))


def show(name: str, costs: Costs) -> None:
    """Print one line."""
    print(f"  {name:42} {costs}", flush=True)


def passes(ground: Ground, rounds: int) -> Costs:
    """Print what passes cost; return the cost with one place free."""
    found = {}
    for free, name in PLACES:
        found[free] = pass_costs(ground, free, rounds)
        show(f"pass, {name}", found[free])
    for free, name in PLACES[::2]:
        show(f"pass that writes positions, {name}", pass_costs(ground, free, rounds // 3, _DUE))
    return found[1]


def readers(ground: Ground, rounds: int) -> None:
    """Print what it costs to be told where a run stands."""
    for which in _SOME:
        run = some(ground, which)
        show(f"position of the {which}", read_costs(ground, partial(position, execution_id=run), rounds))
        show(f"near ({NEAR}) of the {which}", read_costs(ground, partial(near, execution_id=run, most=NEAR), rounds))
    show("page of the queue, first 50", read_costs(ground, partial(queue, pool=DEFAULT_POOL), rounds))
    deep = partial(queue, pool=DEFAULT_POOL, offset=900)
    show("page of the queue, 50 from 900 on", read_costs(ground, deep, rounds))


def estimating(ground: Ground) -> None:
    """Print what a round of forecasts costs: reading, computing (beside the passes), writing."""
    ground.places(16)
    ground.sql(_ROUND_DUE)
    memory, start = Memory(), time.perf_counter()
    question = ground.db.call(lambda conn: forecasts.begin(conn, DEFAULT_POOL, memory))
    read = time.perf_counter()
    if question is None:
        print("  no round of forecasts was due")
        return
    trials, seconds = simulate(question)
    computed = time.perf_counter()
    told = ground.db.call(lambda conn: forecasts.publish(conn, DEFAULT_POOL, question, trials, seconds))
    wrote = time.perf_counter()
    print(
        f"  forecasts of {told}: read {1000 * (read - start):.0f} ms, {len(trials)} trials {computed - read:.2f} s"
        f" in a thread, tell {1000 * (wrote - computed):.0f} ms",
        flush=True,
    )


def main() -> None:
    """Print all figures; the queue only grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--strategy", type=Strategy, default=Strategy.PRIORITY)
    given = parser.parse_args()
    with furnished() as ground:
        change = PoolChange(strategy=given.strategy)
        ground.db.call(lambda conn: pools.update_pool(conn, DEFAULT_POOL, change))
        waiting = 0
        for queued in sorted(given.queued):
            filling = timed(lambda more=queued - waiting: ground.fill(more))
            rate = (queued - waiting) / filling
            waiting = queued
            print(f"{queued} queued of {SHAPES} shapes, {given.strategy}; {rate:.0f} enqueued a second; {load()}")
            one = passes(ground, given.rounds)
            readers(ground, given.rounds)
            estimating(ground)
            if queued == GOAL_QUEUED:
                print(f"  a pass with one place free: {one.at(0.5):.1f} ms at p50, {one.at(0.95):.1f} at p95")
                print(goals.at_most(f"a pass with {queued:,} queued, p50", one.at(0.5), GOAL_MS, " ms"), flush=True)


if __name__ == "__main__":
    main()
