"""The database's clock leaps for hours: nobody loses a place or a verdict, no limit is broken, and all goes on.

The real statements run: in these databases `clock_timestamp()` is one of our own, which can be set.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from integration.gate.conftest import GateDatabase

from db import forecasts, leases, workers
from db.engine import Database
from db.gate import queue
from db.gate.queue import Requeue
from db.seeds import DEFAULT_POOL
from model.ids import ExecutionId, WorkerId
from scheduler.forecast.estimate import Basis, Estimate
from scheduler.values.pool import Strategy

TTL = timedelta(seconds=30)
LEAPS = pytest.mark.parametrize("hours", [-3, 3])
OWN_CLOCK = """
CREATE TABLE public.leap AS SELECT interval '0' AS by;
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
    AS 'SELECT pg_catalog.clock_timestamp() + by FROM public.leap';
CREATE FUNCTION public.now() RETURNS timestamptz VOLATILE LANGUAGE sql AS 'SELECT public.clock_timestamp()';
DO $$
DECLARE c record;
BEGIN
    FOR c IN SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND column_default IN ('clock_timestamp()', 'now()')
    LOOP
        EXECUTE format('ALTER TABLE %%I ALTER %%I SET DEFAULT public.clock_timestamp()', c.table_name, c.column_name);
    END LOOP;
END $$;
"""


class Clocked(GateDatabase):
    """A pool with one node and one worker, on a database whose clock can be set."""

    def leap(self, by: timedelta) -> None:
        self.sql("UPDATE public.leap SET by = by + CAST(:by AS interval)", by=by)

    def beat(self, worker: str = "w0") -> None:
        """Do what a worker does every few seconds."""
        self.do(lambda conn: leases.renew(conn, WorkerId(worker), TTL))
        self.do(lambda conn: workers.beat(conn, WorkerId(worker), TTL))

    def held(self, worker: str = "w0") -> list[ExecutionId]:
        query = "SELECT execution_id FROM leases WHERE holder = :worker AND expires_at > clock_timestamp() ORDER BY 1"
        return [row.execution_id for row in self.sql(query, worker=worker)]

    def states(self) -> list[tuple[Any, ...]]:
        query = "SELECT execution_id, state, epoch, node, seq, e.status FROM queue JOIN test_executions e USING"
        return [tuple(row) for row in self.sql(f"{query} (execution_id, epoch) ORDER BY seq")]


@pytest.fixture
def clocked(db: Database) -> Iterator[Clocked]:
    db.call(lambda conn: conn.exec_driver_sql(OWN_CLOCK))
    db.call(lambda conn: conn.exec_driver_sql(f"ALTER DATABASE {db.name} SET search_path = public, pg_catalog"))
    with Database(db.url) as database:
        made = Clocked(database)
        made.node()
        made.worker(ttl=TTL)
        yield made


@LEAPS
def test_no_place_and_no_verdict_is_lost_and_no_limit_broken(clocked: Clocked, hours: int) -> None:
    clocked.pool(max_concurrent_tests=2)
    first, second, third, fourth = clocked.submit(4)
    assert clocked.admitted() == [first, second]
    clocked.claim(WorkerId("w0"))
    clocked.begin(first, 1)
    before = clocked.states()

    clocked.leap(timedelta(hours=hours))
    clocked.beat()

    assert clocked.admitted() == []
    assert clocked.held() == sorted([first, second])
    assert clocked.states() == before
    clocked.do(lambda conn: queue.release(conn, first, 1))
    assert clocked.admitted() == [third]
    assert clocked.row(fourth).state == "waiting"


@LEAPS
def test_what_a_dead_worker_held_is_taken_over_within_its_ttl(clocked: Clocked, hours: int) -> None:
    [run] = clocked.submit()
    clocked.run_pass()
    clocked.claim(WorkerId("w0"), TTL)
    clocked.worker("w1", ttl=TTL)

    clocked.leap(timedelta(hours=hours))
    clocked.beat("w1")
    clocked.leap(TTL + timedelta(seconds=1))
    clocked.beat("w1")
    taken = clocked.claim(WorkerId("w1"), timedelta(seconds=1))

    assert [(claimed.execution_id, claimed.taken_over) for claimed in taken] == [(run, True)]
    assert clocked.do(lambda conn: workers.alive(conn, DEFAULT_POOL)) == ["w1"]


@LEAPS
def test_a_live_worker_keeps_what_it_holds_while_others_beat_first(clocked: Clocked, hours: int) -> None:
    [run] = clocked.submit()
    clocked.run_pass()
    clocked.claim(WorkerId("w0"), TTL)
    clocked.worker("w1", ttl=TTL)

    clocked.leap(timedelta(hours=hours))
    clocked.beat("w1")
    clocked.beat("w0")

    assert clocked.held("w0") == [run]
    assert clocked.claim(WorkerId("w1"), timedelta(seconds=1)) == []


@LEAPS
def test_a_backoff_does_not_last_for_hours(clocked: Clocked, hours: int) -> None:
    [run] = clocked.submit()
    clocked.run_pass()
    clocked.do(lambda conn: queue.requeue(conn, run, 1, Requeue(delay=timedelta(seconds=40))))
    clocked.run_pass()

    clocked.leap(timedelta(hours=hours))
    clocked.beat()

    assert clocked.admitted() == [run]


def test_a_backoff_is_as_long_as_was_asked_whatever_the_clock_of_the_worker_says(clocked: Clocked) -> None:
    [run] = clocked.submit()
    clocked.run_pass()
    clocked.leap(timedelta(hours=3))
    clocked.beat()
    clocked.do(lambda conn: queue.requeue(conn, run, 1, Requeue(delay=timedelta(minutes=2))))

    assert clocked.admitted() == []
    clocked.leap(timedelta(minutes=2))
    clocked.beat()
    assert clocked.admitted() == [run]


@LEAPS
def test_a_wait_is_bounded_by_the_ageing_limit_after_the_leap_too(clocked: Clocked, hours: int) -> None:
    [holder] = clocked.submit(cpu=3000)
    clocked.run_pass()
    clocked.claim(WorkerId("w0"))
    [old] = clocked.submit(cpu=4000, priority=0)
    clocked.run_pass()

    clocked.leap(timedelta(hours=hours))
    clocked.beat()
    clocked.run_pass()
    clocked.leap(timedelta(hours=1))
    clocked.beat()
    clocked.submit(priority=0)

    assert clocked.admitted() == []
    assert clocked.row(old).nominated == "n0"
    clocked.do(lambda conn: queue.release(conn, holder, 1))
    assert clocked.admitted() == [old]


@LEAPS
def test_forecasts_from_before_the_leap_are_not_told_and_new_ones_are_made(clocked: Clocked, hours: int) -> None:
    clocked.pool(max_concurrent_tests=0)
    [run] = clocked.submit()
    [(now,)] = clocked.sql("SELECT clock_timestamp()")
    made = Estimate(execution_id=run, p50=now, p90=now, basis=Basis.HISTORY)
    every = timedelta(seconds=5)
    assert clocked.do(lambda conn: forecasts.claim(conn, DEFAULT_POOL, every, 0))
    assert not clocked.do(lambda conn: forecasts.claim(conn, DEFAULT_POOL, every, 0))
    assert clocked.do(lambda conn: forecasts.write(conn, [made], now)) == 1

    clocked.leap(timedelta(hours=hours))

    assert clocked.do(lambda conn: forecasts.read(conn, [run])) == {}
    assert clocked.do(lambda conn: forecasts.claim(conn, DEFAULT_POOL, every, 0))
    assert clocked.do(lambda conn: forecasts.write(conn, [made], now)) == 1
    assert list(clocked.do(lambda conn: forecasts.read(conn, [run]))) == [run]


@LEAPS
@pytest.mark.parametrize("strategy", Strategy)
def test_reasons_positions_and_shares_are_written_again_at_once(
    clocked: Clocked, hours: int, strategy: Strategy
) -> None:
    clocked.pool(max_concurrent_tests=1, strategy=strategy)
    clocked.submit(2)
    clocked.run_pass()
    clocked.claim(WorkerId("w0"))
    [late] = clocked.submit()

    clocked.leap(timedelta(hours=hours))
    clocked.beat()
    clocked.run_pass()

    position = None if strategy is Strategy.FAIR_SHARE else 2  # by shares it is told only where there is room
    assert (clocked.row(late).position, clocked.row(late).reason) == (position, "the pool runs 1 of 1")
    assert all(0 <= row.usage <= 1 for row in clocked.sql("SELECT usage FROM fair_usage"))
    [(ahead,)] = clocked.sql("SELECT count(*) FROM pools WHERE greatest(annotated_at, usage_at) > clock_timestamp()")
    assert ahead == 0


@LEAPS
def test_an_admitted_run_that_nobody_took_up_gives_its_place_back(clocked: Clocked, hours: int) -> None:
    clocked.pool(max_concurrent_tests=1)
    [run] = clocked.submit()
    clocked.run_pass()

    clocked.leap(timedelta(hours=hours))
    clocked.beat()
    clocked.run_pass()
    clocked.leap(timedelta(seconds=61))
    clocked.beat()
    again = clocked.run_pass()

    assert clocked.row(run).epoch > 1
    assert again.given_back == 1
