"""Who came lately, as forecasts learn it: whose runs, of what kind and shape, and that it is a bounded read."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from db import arrivals, definitions, forecasts
from db.gate import forecast_input
from db.seeds import DEFAULT_POOL, DEFAULT_TEAM, LOCAL_USER
from flows.forecasting import Forecasting
from model.config import ExecutionConfig
from model.content import InlineContent
from model.definition import define
from model.ids import DefinitionId, ExecutionId
from model.request import TestRequest, TestType
from model.resources import ResourceRequirements
from orchestrator.forecasts import Memory, begin, coming
from scheduler.forecast.arrivals import WINDOW, Newcomer
from scheduler.forecast.estimate import Basis
from scheduler.values.pool import Strategy

CAME = """
WITH e AS (
    INSERT INTO runs (id, kind, status, phase, door, pool, priority, submitted_by, team_id, submitted_at, started_at,
        completed_at)
    VALUES (:id, 'test', :status, 'ended', 'rest', :pool, :priority, :user, :team, :at, :started,
        CAST(:at AS timestamptz) + make_interval(secs => :seconds))
    RETURNING id, started_at
), d AS (
    INSERT INTO test_run_details (execution_id, definition_id) SELECT id, :definition FROM e
)
INSERT INTO test_attempts (execution_id, number, definition_id, epoch, cause, started_at, ended_at, status)
SELECT id, 1, :definition, 1, 'first', started_at, started_at + make_interval(secs => :seconds), 'completed'
FROM e WHERE started_at IS NOT NULL
"""


class Door:
    """Lets runs come and go, some minutes ago."""

    def __init__(self, gate_db: Any) -> None:
        self.gate_db = gate_db
        at: datetime = gate_db.sql("SELECT clock_timestamp() AS at")[0].at
        self.now = at

    def came(self, *minutes: float, **given: Any) -> list[ExecutionId]:
        """Write runs that were submitted so long ago, and ran at once."""
        return [self._came(self.now - timedelta(minutes=ago), given) for ago in minutes]

    def define(self, **config: Any) -> DefinitionId:
        request = TestRequest(
            name="urgent",
            type=TestType.CUSTOM,
            content=InlineContent(files={"run.sh": "true"}),
            command=("true",),
            resources=ResourceRequirements(cpu_request="700m", memory_request="1Gi"),
            config=ExecutionConfig(**config),
            labels={"app": "shop"},
        )
        made = define(request, DefinitionId(self.gate_db.new_id()), LOCAL_USER, self.now)
        found: DefinitionId = self.gate_db.do(lambda conn: definitions.save(conn, made))
        return found

    def _came(self, at: datetime, given: dict[str, Any]) -> ExecutionId:
        made = ExecutionId(self.gate_db.new_id())
        values = {
            "id": made,
            "definition": self.gate_db.definition,
            "status": "completed",
            "pool": DEFAULT_POOL,
            "priority": 0,
            "user": LOCAL_USER,
            "team": DEFAULT_TEAM,
            "at": at,
            "started": at,
            "seconds": 60,
        }
        self.gate_db.sql(CAME, **(values | given))
        return made


@pytest.fixture
def door(gate_db: Any) -> Door:
    return Door(gate_db)


def learned(gate_db: Any) -> list[Newcomer]:
    """Who came, the newest piece first, as the next round of forecasts has it."""
    gate_db.sql("DELETE FROM forecast_rounds")
    question = gate_db.do(lambda conn: begin(conn, DEFAULT_POOL, Memory()))
    return list(question.arrivals.all())


def test_who_came_to_the_pool_in_the_last_hour_is_read(door: Door) -> None:
    """Not who came earlier, nor to another pool, nor who was cancelled before it started."""
    first, second = door.came(50, 10, priority=3)
    [stopped] = door.came(5, status="cancelled")
    door.came(61)
    door.came(4, status="cancelled", started=None)
    door.gate_db.sql("INSERT INTO pools (name) VALUES ('other')")
    door.came(3, pool="other")

    lately = door.gate_db.do(lambda conn: arrivals.read(conn, DEFAULT_POOL, door.now))

    assert [run.execution_id for run in lately.came] == [first, second, stopped]
    assert [run.priority for run in lately.came] == [3, 3, 0]
    assert lately.came[0].at == door.now - timedelta(minutes=50)
    assert lately.came[0].kind.team_id == DEFAULT_TEAM
    assert lately.window == WINDOW


def test_of_many_the_newest_are_read_and_tell_of_a_shorter_time(door: Door) -> None:
    """Never of less than five minutes: a burst that fills the read would else go on for ever."""
    door.came(*range(1, 9))

    def read(most: int) -> arrivals.Lately:
        found: arrivals.Lately = door.gate_db.do(lambda conn: arrivals.read(conn, DEFAULT_POOL, door.now, most=most))
        return found

    assert (len(read(7).came), read(7).window) == (7, timedelta(minutes=7))
    assert (len(read(2).came), read(2).window) == (2, timedelta(minutes=5))


def test_of_many_that_count_each_stands_for_some(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "SAMPLE", 4)
    door.came(*range(1, 11), priority=2)
    door.came(*range(1, 31), priority=5)
    door.gate_db.submit()

    lately = door.gate_db.do(lambda conn: arrivals.read(conn, DEFAULT_POOL, door.now, last=4))

    assert [run.times for run in lately.came] == [3, 3, 3]
    assert {run.priority for run in lately.came} == {2}
    assert len(learned(door.gate_db)) == 9


def test_a_newcomer_asks_for_what_its_definition_asks_for(door: Door) -> None:
    urgent = door.define(timeout=77, exclusive=("staging",), node_selector={"zone": "a"}, restartable=True)
    door.came(*range(1, 7), definition=urgent, seconds=42)
    door.gate_db.submit()

    found = learned(door.gate_db)
    run, history = found[0].run, found[0].history

    assert len(found) == 6
    assert run.shape.resources.cpu_milli == 700
    assert run.shape.constraints.node_selector == (("zone", "a"),)
    assert (run.exclusive, run.labels, run.restartable) == ((".unknown/none#s", "staging"), (("app", "shop"),), True)
    assert (run.limit, run.user_id, run.team_id) == (timedelta(seconds=77), LOCAL_USER, DEFAULT_TEAM)
    assert history is not None
    assert history.draw(0.5) == pytest.approx(42)
    assert run.expected is not None
    assert run.expected.total_seconds() == pytest.approx(42, rel=0.1)


@pytest.mark.parametrize(
    ("strategy", "priorities"),
    [
        (Strategy.PRIORITY, {0, 4}),
        (Strategy.RESOURCE_AWARE, {0, 4, 5}),
        (Strategy.FAIR_SHARE, {0, 4, 5, 9}),
        (Strategy.FIFO, set()),
    ],
)
def test_only_who_would_start_before_one_that_waits_is_learned(
    door: Door, strategy: Strategy, priorities: set[int]
) -> None:
    door.gate_db.pool(strategy=strategy)
    for priority in (0, 4, 5, 9):
        door.came(7, priority=priority)
    door.gate_db.submit(priority=5)

    assert {newcomer.run.priority for newcomer in learned(door.gate_db)} == priorities


def test_the_limits_of_those_who_come_hold_in_the_forecast_too(door: Door) -> None:
    guest = door.gate_db.person("guest", most=1, team=None)
    door.came(7, user=guest.user_id, team=None)
    door.gate_db.submit()

    found = door.gate_db.do(lambda conn: forecast_input.read(conn, DEFAULT_POOL))
    assert guest.user_id not in found.state.owners
    door.gate_db.do(lambda conn: coming(conn, found, Memory()))

    assert found.state.owners[guest.user_id].ceiling.runs == 1
    assert LOCAL_USER in found.state.owners


async def test_a_forecast_counts_on_those_who_come_and_says_so(door: Door) -> None:
    """One place, a minute each: with a more important one every two minutes the tenth starts twice as late."""
    door.gate_db.pool(max_concurrent_tests=1)
    door.came(*[61 + place for place in range(20)])
    runs = door.gate_db.submit(10)

    async def told() -> forecasts.Forecast:
        door.gate_db.sql("DELETE FROM forecast_rounds")
        with ThreadPoolExecutor(1) as threads:
            await Forecasting(door.gate_db.db, DEFAULT_POOL, threads).make_round()
        found: dict[ExecutionId, forecasts.Forecast] = door.gate_db.do(lambda conn: forecasts.read(conn, runs[-1:]))
        return found[runs[-1]]

    alone = await told()
    door.came(*[0.5 + 2 * place for place in range(30)])
    put_off = await told()

    assert (alone.basis, put_off.basis) == (Basis.HISTORY, Basis.HISTORY_ARRIVALS)
    assert alone.p50 - alone.first_at == pytest.approx(timedelta(minutes=9), rel=0.1)
    assert timedelta(minutes=13) < put_off.p50 - alone.first_at < timedelta(minutes=23)
    assert put_off.p90 > put_off.p50 + timedelta(minutes=2)


def test_what_was_read_of_definitions_is_remembered_for_a_minute(door: Door) -> None:
    memory = Memory()
    asked = {door.define()}

    first = door.gate_db.do(lambda conn: memory.asked(conn, asked, door.now))
    door.gate_db.sql("DELETE FROM test_definitions WHERE name = 'urgent'")
    again = door.gate_db.do(lambda conn: memory.asked(conn, asked, door.now + timedelta(seconds=59)))
    late = door.gate_db.do(lambda conn: memory.asked(conn, asked, door.now + timedelta(seconds=60)))

    assert first == again != {}
    assert late == {}


def test_the_read_goes_by_the_index_of_submits_however_many_there_were(door: Door) -> None:
    door.came(*range(100, 150))
    door.gate_db.sql("ANALYZE runs")  # without statistics every index costs the same
    values = {"pool": DEFAULT_POOL, "since": door.now - WINDOW, "last": 9, "most": 99, "sample": 9}

    def plan(conn: Any) -> str:
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(row[0] for row in conn.execute(text(f"EXPLAIN {arrivals._LATELY.text}"), values))

    assert "idx_runs_submitted_at" in door.gate_db.do(plan)
