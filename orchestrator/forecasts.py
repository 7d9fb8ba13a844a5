"""The forecasts of a pool: what its round is made from, and what is told of what it found.

begin      claim the round, settle what has started, read the pool and how long its kinds of runs take
(compute)  outside any transaction, see flows.forecasting
tell       keep what moved
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

from sqlalchemy import Connection

from db import durations, forecasts, outlook
from db.durations import Kind
from db.forecasts import Forecast
from model.ids import PoolName
from scheduler.estimate import Estimate, Question, Trial, estimates, steady
from scheduler.history import LEAST, History, known

EVERY = timedelta(seconds=5)
REST = 10.0
"""For each second of computing so many without: a tenth of a core at most, for all workers together."""
REMEMBERED = timedelta(minutes=1)

Key = TypeVar("Key")
Seconds: TypeAlias = list[float]


@dataclass(slots=True)
class Memory:
    """Durations that were read, for a minute: a test that runs again and again is not looked up each time."""

    read_at: datetime | None = None
    levels: dict[tuple[str, object], Seconds] = field(default_factory=dict)

    def histories(self, conn: Connection, kinds: Iterable[Kind], now: datetime) -> dict[Kind, History]:
        """Return the history of each kind: of the test, else of its suite, its team, or all. None where all is new."""
        if self.read_at is None or not timedelta() <= now - self.read_at < REMEMBERED:
            self.read_at, self.levels = now, {}
        wanted = set(kinds)
        self._learn("test", {kind.definition_id for kind in wanted}, lambda keys: durations.of_tests(conn, keys))
        poor = {kind for kind in wanted if len(self._seconds("test", kind.definition_id)) < LEAST}
        suites = {kind.suite for kind in poor if kind.suite is not None}
        self._learn("suite", suites, lambda keys: durations.of_suites(conn, keys))
        teams = {kind.team_id for kind in poor if kind.team_id is not None}
        self._learn("team", teams, lambda keys: durations.of_teams(conn, keys))
        if poor:
            self._learn("all", {None}, lambda _: {None: durations.of_all(conn)})
        found = {kind: known(self._levels(kind)) for kind in wanted}
        return {kind: history for kind, history in found.items() if history is not None}

    def _learn(self, level: str, keys: Collection[Key], read: Callable[[Collection[Key]], dict[Key, Seconds]]) -> None:
        new = {key for key in keys if (level, key) not in self.levels}
        found = read(new) if new else {}
        self.levels |= {(level, key): found.get(key, []) for key in new}

    def _seconds(self, level: str, key: object) -> Seconds:
        return self.levels.get((level, key), [])

    def _levels(self, kind: Kind) -> tuple[Seconds, ...]:
        named = (("test", kind.definition_id), ("suite", kind.suite), ("team", kind.team_id), ("all", None))
        return tuple(self._seconds(level, key) for level, key in named)


def begin(conn: Connection, pool: PoolName, memory: Memory, near: int = outlook.NEAR) -> Question | None:
    """Claim a round of forecasts, and return what it asks; None where another has it, or nobody waits for a worker.

    Raises: NotFoundError if there is no such pool.
    """
    if not forecasts.claim(conn, pool, EVERY, REST):
        return None
    forecasts.settle(conn)
    found = outlook.read(conn, pool, near=near)
    if found is None:
        forecasts.close_round(conn, pool, seconds=0.0, trials=0, told=0)
        return None
    histories = memory.histories(conn, found.kinds.values(), found.now)
    return Question(
        state=found.state,
        now=found.now,
        near=found.near,
        far=found.far,
        history={run: histories[kind] for run, kind in found.kinds.items() if kind in histories},
        lag=found.lag,
    )


def tell(conn: Connection, pool: PoolName, question: Question, trials: Sequence[Trial], seconds: float) -> int:
    """Keep what the trials say; return of how many runs that is. `seconds` is what the trials cost."""
    fresh = estimates(question, trials)
    told = forecasts.read(conn, [found.execution_id for found in fresh])
    kept = [steady(found, _told(told.get(found.execution_id)), question.now) for found in fresh]
    forecasts.write(conn, kept, question.now)
    forecasts.close_round(conn, pool, seconds=seconds, trials=len(trials), told=len(kept))
    return len(kept)


def _told(found: Forecast | None) -> Estimate | None:
    if found is None:
        return None
    return Estimate(execution_id=found.execution_id, p50=found.p50, p90=found.p90, basis=found.basis)
