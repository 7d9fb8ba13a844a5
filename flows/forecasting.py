"""The worker's part in forecasts: a round every few seconds, by whichever worker of the pool comes first.

What is computed is computed in a thread, between two transactions: no pass waits for it, and no row stays old for it.
"""

import asyncio
from concurrent.futures import Executor
from random import Random
from time import thread_time

from db.engine import Database
from model.ids import PoolName
from orchestrator import forecasts
from orchestrator.forecasts import Memory
from scheduler.futures import Question, Trial, trial

SECONDS = 5.0
TRIALS = 30
FEWEST_TRIALS = 10
BUDGET_SECONDS = 1.5
"""Of CPU time."""
MOST_NEAR, FEWEST_NEAR = 200, 25
"""Runs simulated, of which there are fewer where a trial costs much."""
SEED = 4
"""The same dice each time, so that a forecast moves only because something has happened."""


class Forecasting:
    """Makes the forecasts of one pool; in `threads` it computes."""

    def __init__(self, db: Database, pool: PoolName, threads: Executor) -> None:
        self._db = db
        self._pool = pool
        self._threads = threads
        self._memory = Memory()
        self._near = MOST_NEAR

    async def make_round(self) -> int:
        """Make a round if it is due and nobody else makes it; return of how many runs something was told."""
        pool = self._pool
        question = await self._db.run(lambda conn: forecasts.begin(conn, pool, self._memory, self._near))
        if question is None:
            return 0
        trials, seconds = await asyncio.get_running_loop().run_in_executor(self._threads, simulate, question)
        self._near = near_after(self._near, seconds / len(trials))
        return await self._db.run(lambda conn: forecasts.tell(conn, pool, question, trials, seconds))


def simulate(question: Question) -> tuple[list[Trial], float]:
    """Return as many trials as the budget allows, and what they cost in seconds of this thread's CPU time."""
    random, begun = Random(SEED), thread_time()
    trials = [trial(question, random)]
    while len(trials) < TRIALS and (len(trials) < FEWEST_TRIALS or thread_time() - begun < BUDGET_SECONDS):
        trials.append(trial(question, random))
    return trials, thread_time() - begun


def near_after(near: int, seconds: float) -> int:
    """Return how many runs to simulate next, after a trial of `near` cost so many seconds."""
    cost = seconds * TRIALS
    if cost > BUDGET_SECONDS:
        return max(FEWEST_NEAR, near // 2)
    return min(MOST_NEAR, near * 2) if cost < BUDGET_SECONDS / 4 else near
