"""Makes the forecasts of a pool every few seconds. Of the workers of a pool, the first one that is due does it.

The computation runs in a thread between two transactions, so that no pass waits for it and no old row has to be kept.
"""

import asyncio
from concurrent.futures import Executor
from random import Random
from time import thread_time

from db.engine import Database
from model.ids import PoolName
from orchestrator import forecasts
from orchestrator.forecasts import Memory
from scheduler.forecast.question import Question, Scenario
from scheduler.forecast.scenarios import trial

SECONDS = 5.0
TRIALS = 30
FEWEST_TRIALS = 10
BUDGET_SECONDS = 1.5
"""Of CPU time."""
MOST_NEAR, FEWEST_NEAR = 200, 25
"""Runs that are simulated. There are fewer of them if a trial takes long."""
SEED = 4
"""The random numbers are the same each time, so that a forecast changes only if something has happened."""


class Forecasting:
    """Makes the forecasts of one pool. It computes in `threads`."""

    def __init__(self, db: Database, pool: PoolName, threads: Executor) -> None:
        self._db = db
        self._pool = pool
        self._threads = threads
        self._memory = Memory()
        self._near = MOST_NEAR

    async def make_round(self) -> int:
        """Make a round if one is due and no other worker makes it. Returns: how many forecasts were written."""
        pool = self._pool
        question = await self._db.run(lambda conn: forecasts.begin(conn, pool, self._memory, self._near))
        if question is None:
            return 0
        trials, seconds = await asyncio.get_running_loop().run_in_executor(self._threads, simulate, question)
        self._near = near_after(self._near, seconds / len(trials))
        return await self._db.run(lambda conn: forecasts.publish(conn, pool, question, trials, seconds))


def simulate(question: Question) -> tuple[list[Scenario], float]:
    """Return as many trials as the budget allows, and the CPU seconds of this thread that they took."""
    random, begun = Random(SEED), thread_time()
    trials = [trial(question, random)]
    while len(trials) < TRIALS and (len(trials) < FEWEST_TRIALS or thread_time() - begun < BUDGET_SECONDS):
        trials.append(trial(question, random))
    return trials, thread_time() - begun


def near_after(near: int, seconds: float) -> int:
    """Return how many runs to simulate next, if a trial of `near` runs took so many seconds."""
    cost = seconds * TRIALS
    if cost > BUDGET_SECONDS:
        return max(FEWEST_NEAR, near // 2)
    return min(MOST_NEAR, near * 2) if cost < BUDGET_SECONDS / 4 else near
