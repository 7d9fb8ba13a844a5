"""The forecasts of a pool: what its round is made from, and what is published of what it found.

begin      claim the round, settle what has started, read the pool and how long its kinds of runs take
(compute)  outside any transaction, see flows.forecasting
publish    write down what moved
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

from sqlalchemy import Connection

from db import arrivals, durations, forecasts
from db.arrivals import Lately
from db.durations import Kind
from db.forecasts import Forecast
from db.gate import forecast_input
from db.gate.forecast_input import ForecastInput
from model.ids import DefinitionId, PoolName
from orchestrator.arrivals import Form, form, newcomer
from scheduler.forecast.arrivals import Arrivals, hourly, last_before, learn
from scheduler.forecast.estimate import Estimate, estimates, steady
from scheduler.forecast.history import LEAST, History, known
from scheduler.forecast.question import Question, Scenario

EVERY = timedelta(seconds=5)
REST = 10.0
"""For each second of computing so many without: a tenth of a core at most, for all workers together."""
REMEMBERED = timedelta(minutes=1)

Key = TypeVar("Key")
Seconds: TypeAlias = list[float]


@dataclass(slots=True)
class Memory:
    """What was read of tests, for a minute: one that runs again and again is not looked up each time."""

    read_at: datetime | None = None
    levels: dict[tuple[str, object], Seconds] = field(default_factory=dict)
    forms: dict[DefinitionId, Form] = field(default_factory=dict)

    def histories(self, conn: Connection, kinds: Iterable[Kind], now: datetime) -> dict[Kind, History]:
        """Return the history of each kind: of the test, else of its suite, its team, or all. None where all is new."""
        self._forget(now)
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

    def asked(self, conn: Connection, definitions: Collection[DefinitionId], now: datetime) -> dict[DefinitionId, Form]:
        """Return what each definition asks for; of one that is gone nothing."""
        self._forget(now)
        new = [definition for definition in definitions if definition not in self.forms]
        found = arrivals.asked(conn, new) if new else {}
        self.forms |= {definition: form(asked) for definition, asked in found.items()}
        return {definition: self.forms[definition] for definition in definitions if definition in self.forms}

    def _forget(self, now: datetime) -> None:
        if self.read_at is None or not timedelta() <= now - self.read_at < REMEMBERED:
            self.read_at, self.levels, self.forms = now, {}, {}

    def _learn(self, level: str, keys: Collection[Key], read: Callable[[Collection[Key]], dict[Key, Seconds]]) -> None:
        new = {key for key in keys if (level, key) not in self.levels}
        found = read(new) if new else {}
        self.levels |= {(level, key): found.get(key, []) for key in new}

    def _seconds(self, level: str, key: object) -> Seconds:
        return self.levels.get((level, key), [])

    def _levels(self, kind: Kind) -> tuple[Seconds, ...]:
        named = (("test", kind.definition_id), ("suite", kind.suite), ("team", kind.team_id), ("all", None))
        return tuple(self._seconds(level, key) for level, key in named)


def begin(conn: Connection, pool: PoolName, memory: Memory, near: int = forecast_input.NEAR) -> Question | None:
    """Claim a round of forecasts, and return what it asks; None where another has it, or nobody waits for a worker.

    Raises: NotFoundError if there is no such pool.
    """
    if not forecasts.claim(conn, pool, EVERY, REST):
        return None
    forecasts.settle(conn)
    found = forecast_input.read(conn, pool, near=near)
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
        arrivals=coming(conn, found, memory),
    )


def coming(conn: Connection, found: ForecastInput, memory: Memory) -> Arrivals:
    """Return who came lately and would, if they came again, start before one that waits now."""
    last = last_before(_least_important(found), found.state.limits.strategy)
    lately = arrivals.read(conn, found.pool, found.now, last) if last >= 0 else Lately()
    forms = memory.asked(conn, {run.kind.definition_id for run in lately.came}, found.now)
    histories = memory.histories(conn, {run.kind for run in lately.came}, found.now)
    new = [
        (run.times, newcomer(run, forms[run.kind.definition_id], histories.get(run.kind)))
        for run in lately.came
        if run.kind.definition_id in forms
    ]
    forecast_input.add_owners(conn, found, [one.run for _, one in new])
    return learn((one for times, one in new for _ in range(times)), found.now, lately.window)


def foreseen(conn: Connection, pool: PoolName, now: datetime) -> dict[int, float]:
    """Return how many runs of each priority the forecasts count on in an hour, as they came lately."""
    lately = arrivals.read(conn, pool, now)
    times: dict[int, list[datetime]] = {}
    for run in lately.came:
        times.setdefault(run.priority, []).extend([run.at] * run.times)
    return {priority: hourly(times[priority], now, lately.window) for priority in sorted(times)}


def _least_important(found: ForecastInput) -> int:
    near = (found.state.queued[run].priority for run in found.near)
    return max((*near, *(run.priority for run in found.far)))


def publish(conn: Connection, pool: PoolName, question: Question, scenarios: Sequence[Scenario], seconds: float) -> int:
    """Write down the estimates of these scenarios; return how many. `seconds` is what the scenarios cost."""
    fresh = estimates(question, scenarios)
    before = forecasts.read(conn, [found.execution_id for found in fresh])
    kept = [steady(found, _estimate(before.get(found.execution_id)), question.now) for found in fresh]
    forecasts.write(conn, kept, question.now)
    forecasts.close_round(conn, pool, seconds=seconds, trials=len(scenarios), told=len(kept))
    return len(kept)


def _estimate(found: Forecast | None) -> Estimate | None:
    if found is None:
        return None
    return Estimate(execution_id=found.execution_id, p50=found.p50, p90=found.p90, basis=found.basis)
