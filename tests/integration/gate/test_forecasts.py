"""Forecasts: what is told, to whom, for how long it holds, and how its quality is measured."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db import forecasts
from db.gate import forecast_input
from db.seeds import DEFAULT_POOL
from flows.forecasting import Forecasting, near_after, simulate
from model.ids import ExecutionId
from orchestrator.forecasts import Memory, begin
from scheduler.forecast.estimate import Basis, Estimate
from scheduler.forecast.history import LEAST

PAST = """
WITH e AS (
    INSERT INTO runs (kind, status, phase, door, pool, submitted_by, started_at, completed_at)
    SELECT 'test', 'completed', 'ended', 'rest', 'default', user_id, now() - interval '1 h',
        now() - interval '1 h' + make_interval(secs => :seconds)
    FROM users WHERE username = 'local' RETURNING id, started_at, completed_at
), d AS (
    INSERT INTO test_run_details (execution_id, definition_id) SELECT id, :definition FROM e
)
INSERT INTO test_attempts (execution_id, number, definition_id, epoch, cause, started_at, ended_at, status)
SELECT id, 1, :definition, 1, 'first', started_at, completed_at, 'completed' FROM e
"""
ATTEMPT = """
INSERT INTO test_attempts (execution_id, number, epoch, cause, started_at)
VALUES (:id, :number, 1, 'first', :at)
"""


def clock(gate_db: Any) -> datetime:
    at: datetime = gate_db.sql("SELECT clock_timestamp() AS at")[0].at
    return at.astimezone(UTC)


def told(gate_db: Any, run: ExecutionId) -> forecasts.Forecast | None:
    found: dict[ExecutionId, forecasts.Forecast] = gate_db.do(lambda conn: forecasts.read(conn, [run]))
    return found.get(run)


def tell(gate_db: Any, run: ExecutionId, now: datetime, seconds: float = 60) -> None:
    """Tell a run that it starts so many seconds after `now`, twice as many at the latest."""
    made = Estimate(
        execution_id=run,
        p50=now + timedelta(seconds=seconds),
        p90=now + timedelta(seconds=2 * seconds),
        basis=Basis.HISTORY,
    )
    gate_db.do(lambda conn: forecasts.write(conn, [made], now))


def started(gate_db: Any, run: ExecutionId, at: datetime, number: int = 1) -> None:
    gate_db.sql(ATTEMPT, id=run, at=at, number=number)
    gate_db.do(forecasts.settle)


def history(gate_db: Any, *seconds: float) -> None:
    for second in seconds:
        gate_db.sql(PAST, definition=gate_db.definition, seconds=second)


@pytest.fixture
def busy(gate_db: Any) -> Any:
    """One place, which a run has had for a minute; runs take two minutes, or a little more or less."""
    gate_db.pool(max_concurrent_tests=1)
    history(gate_db, *range(110, 131, 2))
    [holder] = gate_db.submit()
    gate_db.run_pass()
    gate_db.sql("UPDATE queue SET admitted_at = admitted_at - interval '1 min' WHERE state = 'admitted'")
    gate_db.sql(ATTEMPT, id=holder, at=clock(gate_db) - timedelta(minutes=1), number=1)
    return gate_db


def service(gate_db: Any, threads: ThreadPoolExecutor) -> Forecasting:
    return Forecasting(gate_db.db, DEFAULT_POOL, threads)


async def test_a_round_tells_each_waiting_run_when_it_will_start(busy: Any) -> None:
    runs = busy.submit(3)
    with ThreadPoolExecutor(1) as threads:
        count = await service(busy, threads).make_round()

    found = [told(busy, run) for run in runs]
    now = clock(busy)

    assert count == 3
    for place, forecast in enumerate(found):
        assert forecast is not None
        assert forecast.basis is Basis.HISTORY
        expected = now + timedelta(seconds=60 + 120 * place)
        assert abs(forecast.p50 - expected) < timedelta(seconds=20)
        assert forecast.p50 <= forecast.p90 < forecast.p50 + timedelta(seconds=60)


async def test_a_round_is_made_once_however_many_workers_try(busy: Any) -> None:
    busy.submit()
    with ThreadPoolExecutor(1) as threads:
        first, second = [await service(busy, threads).make_round() for _ in range(2)]

    assert (first, second) == (1, 0)


async def test_who_makes_a_round_makes_others_go_their_way(busy: Any) -> None:
    busy.submit()
    with busy.db._engine.begin() as other, ThreadPoolExecutor(1) as threads:
        assert forecasts.claim(other, DEFAULT_POOL, timedelta(), 0)

        assert await service(busy, threads).make_round() == 0


def test_a_round_that_cost_much_is_followed_by_a_longer_rest(gate_db: Any) -> None:
    def claim() -> bool:
        due: bool = gate_db.do(lambda conn: forecasts.claim(conn, DEFAULT_POOL, timedelta(), rest=10))
        return due

    assert claim()
    gate_db.do(lambda conn: forecasts.close_round(conn, DEFAULT_POOL, seconds=0.0, trials=1, told=1))
    assert claim()

    gate_db.do(lambda conn: forecasts.close_round(conn, DEFAULT_POOL, seconds=60.0, trials=1, told=1))
    assert not claim()
    gate_db.sql("UPDATE forecast_rounds SET claimed_at = claimed_at - interval '601 s'")
    assert claim()


def test_nothing_is_computed_where_nobody_waits_or_nobody_lives(bare: Any) -> None:
    bare.node()
    bare.worker()
    assert bare.do(lambda conn: forecast_input.read(conn, DEFAULT_POOL)) is None

    bare.submit()
    assert bare.do(lambda conn: forecast_input.read(conn, DEFAULT_POOL)) is not None

    bare.sql("UPDATE workers SET draining = true")
    assert bare.do(lambda conn: forecast_input.read(conn, DEFAULT_POOL)) is None


async def test_without_any_history_the_answer_is_wide_and_says_so(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    gate_db.submit()
    gate_db.run_pass()
    [run] = gate_db.submit()
    with ThreadPoolExecutor(1) as threads:
        await service(gate_db, threads).make_round()

    found = told(gate_db, run)

    assert found is not None
    assert found.basis is Basis.LIMITS
    assert found.p90 - found.p50 > timedelta(minutes=5)  # the limit is an hour, and any part of it as likely


async def test_a_run_that_can_never_start_is_told_nothing(busy: Any) -> None:
    [huge] = busy.submit(cpu=10**9)
    [small] = busy.submit()
    with ThreadPoolExecutor(1) as threads:
        await service(busy, threads).make_round()

    assert told(busy, huge) is None
    assert told(busy, small) is not None


async def test_runs_behind_those_simulated_are_told_by_the_rate_of_starts(busy: Any) -> None:
    runs = busy.submit(60)

    def ask(conn: Any) -> Any:
        return begin(conn, DEFAULT_POOL, Memory(), 40)

    question = busy.do(ask)
    assert question.near == tuple(runs[:40])
    assert [run.execution_id for run in question.far] == runs[40:]
    assert {question.now - run.enqueued_at < timedelta(minutes=1) for run in question.far} == {True}

    with ThreadPoolExecutor(1) as threads:
        fresh = service(busy, threads)
        fresh._near = 40
        busy.sql("DELETE FROM forecast_rounds")
        await fresh.make_round()
    last_simulated, last = told(busy, runs[39]), told(busy, runs[-1])

    assert last_simulated is not None
    assert last is not None
    assert last.basis is Basis.RATE
    assert (last.p50 - last_simulated.p50) / 20 == pytest.approx(timedelta(seconds=120), rel=0.05)


def test_a_full_pool_is_simulated_with_its_nodes(busy: Any) -> None:
    """A pass does not read the nodes of a full pool; without them nothing would ever start."""
    busy.submit()
    found = busy.do(lambda conn: forecast_input.read(conn, DEFAULT_POOL))

    assert len(found.state.node_usage) == 1
    assert found.state.limits.ceiling.runs == 1
    assert len(found.state.running) == 1


def test_the_time_between_an_admission_and_its_start_is_part_of_the_wait(busy: Any) -> None:
    busy.submit()
    busy.sql("UPDATE queue SET admitted_at = admitted_at - interval '3 s' WHERE state = 'admitted'")
    found = busy.do(lambda conn: forecast_input.read(conn, DEFAULT_POOL))

    assert timedelta(seconds=3) <= found.lag < timedelta(seconds=4)


def test_a_forecast_that_nobody_renews_is_told_no_more(gate_db: Any) -> None:
    [run] = gate_db.submit()
    tell(gate_db, run, clock(gate_db))
    assert told(gate_db, run) is not None

    gate_db.sql("UPDATE forecasts SET made_at = made_at - CAST(:stale AS interval)", stale=forecasts.STALE)
    assert told(gate_db, run) is None


def test_the_first_forecast_stays_what_was_first_told(gate_db: Any) -> None:
    [run] = gate_db.submit()
    now = clock(gate_db)
    tell(gate_db, run, now, 60)
    tell(gate_db, run, now + timedelta(seconds=10), 600)

    found = told(gate_db, run)

    assert found is not None
    assert (found.first_at, found.first_p50) == (now, now + timedelta(seconds=60))
    assert found.p50 == now + timedelta(seconds=610)


def test_a_run_that_has_started_meanwhile_is_told_nothing(gate_db: Any) -> None:
    [run] = gate_db.submit()
    gate_db.run_pass()
    tell(gate_db, run, clock(gate_db))

    assert gate_db.sql("SELECT count(*) AS n FROM forecasts")[0].n == 0


def test_a_forecast_that_did_not_move_is_not_written_again(gate_db: Any) -> None:
    [run] = gate_db.submit()
    now = clock(gate_db)
    made = Estimate(execution_id=run, p50=now, p90=now, basis=Basis.HISTORY)

    assert gate_db.do(lambda conn: forecasts.write(conn, [made], now)) == 1
    assert gate_db.do(lambda conn: forecasts.write(conn, [made], now)) == 0
    gate_db.sql("UPDATE forecasts SET made_at = made_at - CAST(:renew AS interval)", renew=forecasts.RENEW_AFTER)
    assert gate_db.do(lambda conn: forecasts.write(conn, [made], now)) == 1


def test_calibration_counts_how_often_a_start_came_before_what_was_first_told(gate_db: Any) -> None:
    """Told 60 and 120 seconds: one start before both, two between, one after both."""
    runs = gate_db.submit(4)
    now = clock(gate_db)
    for run, seconds in zip(runs, (30, 80, 100, 160), strict=True):
        tell(gate_db, run, now)
        tell(gate_db, run, now, 5000)  # told later, and never asked for
        started(gate_db, run, now + timedelta(seconds=seconds))

    [found] = gate_db.do(lambda conn: forecasts.calibration(conn, now))

    assert (found.pool, found.number) == (DEFAULT_POOL, 4)
    assert (found.before_p50, found.before_p90) == (0.25, 0.75)
    assert found.loss_p50 == pytest.approx((15 + 10 + 20 + 50) / 4)
    assert found.loss_p90 == pytest.approx((9 + 4 + 2 + 36) / 4)
    assert found.median_error == pytest.approx(35)


def test_calibration_looks_back_only_so_far(gate_db: Any) -> None:
    [run] = gate_db.submit()
    now = clock(gate_db)
    tell(gate_db, run, now)
    started(gate_db, run, now + timedelta(seconds=1))

    assert gate_db.do(lambda conn: forecasts.calibration(conn, now + timedelta(days=6), days=7))
    assert not gate_db.do(lambda conn: forecasts.calibration(conn, now + timedelta(days=8), days=7))


def test_the_start_that_counts_is_the_first_after_the_first_forecast(gate_db: Any) -> None:
    """A run that waits for its second attempt is told when that one starts; its first start was not foretold."""
    [run] = gate_db.submit()
    now = clock(gate_db)
    gate_db.sql(ATTEMPT, id=run, at=now - timedelta(minutes=5), number=1)
    tell(gate_db, run, now)
    gate_db.do(forecasts.settle)
    assert gate_db.sql("SELECT started_at FROM forecasts")[0].started_at is None

    started(gate_db, run, now + timedelta(seconds=9), number=2)
    started(gate_db, run, now + timedelta(seconds=99), number=3)
    assert gate_db.sql("SELECT started_at FROM forecasts")[0].started_at == now + timedelta(seconds=9)


def test_a_run_cancelled_while_it_waited_counts_for_nothing(gate_db: Any) -> None:
    [run] = gate_db.submit()
    tell(gate_db, run, clock(gate_db))
    gate_db.sql("UPDATE runs SET status = 'cancelled', phase = 'ended', completed_at = now()")
    gate_db.do(forecasts.settle)

    assert gate_db.sql("SELECT count(*) AS n FROM forecasts")[0].n == 0


def test_the_same_state_gives_the_same_forecast(busy: Any) -> None:
    """What moves a forecast is what happened, not the dice."""
    busy.submit(5)
    question = busy.do(lambda conn: begin(conn, DEFAULT_POOL, Memory()))

    assert simulate(question)[0][:10] == simulate(question)[0][:10]


@pytest.mark.parametrize(
    ("seconds", "near", "then"), [(1.0, 200, 100), (1.0, 30, 25), (0.02, 100, 100), (0.001, 25, 50), (0.001, 200, 200)]
)
def test_where_a_trial_costs_much_fewer_runs_are_simulated(seconds: float, near: int, then: int) -> None:
    assert near_after(near, seconds) == then


def test_history_needs_some_attempts(busy: Any) -> None:
    busy.submit()
    assert busy.do(lambda conn: begin(conn, DEFAULT_POOL, Memory())).history
    busy.sql("DELETE FROM test_attempts WHERE ended_at IS NOT NULL")
    busy.sql("DELETE FROM forecast_rounds")
    history(busy, *[1.0] * (LEAST - 1))

    assert not busy.do(lambda conn: begin(conn, DEFAULT_POOL, Memory())).history
