"""Who passes, who waits, and that nobody's change is overlooked."""

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import forecasts, gate, gate_locks, locks, nodes, pools
from db.errors import UnavailableError
from db.pools import Pool
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.ids import PoolName
from model.resources import Resources

SECOND = PoolName("second")


class TestLocks:
    """Who passes, who waits, and that nobody's change is overlooked."""

    def test_a_second_pass_does_not_wait_when_it_need_not(self, house: Any) -> None:
        def both(conn: Connection) -> gate.PassOutcome | None:
            assert gate_locks.try_pass(conn, DEFAULT_POOL)
            return house.do(lambda other: gate.run_pass(other, DEFAULT_POOL))

        assert house.do(both) is None

    def test_of_many_that_come_at_once_one_waits_and_the_others_go(self, house: Any) -> None:
        done: list[gate.PassOutcome | None] = []
        with house.db._engine.begin() as holder:
            assert gate_locks.try_pass(holder, DEFAULT_POOL)
            waiter = threading.Thread(target=lambda: done.append(_pass(house)))
            waiter.start()
            _until_waiting(holder)
            [run] = house.submit()

            assert _pass(house) is None
        waiter.join()

        assert [outcome.admitted[0].execution_id for outcome in done if outcome] == [run]

    def test_a_change_and_its_pass_may_share_a_transaction(self, house: Any) -> None:
        house.pool(max_concurrent_tests=1)
        first, second = house.submit(2)
        house.run_pass()

        def end_and_pass(conn: Connection) -> gate.PassOutcome | None:
            gate.release(conn, first, 1)
            return gate.run_pass(conn, DEFAULT_POOL, blocking=True)

        assert [run.execution_id for run in house.do(end_and_pass).admitted] == [second]

    def test_a_run_that_somebody_has_in_hand_is_left_out_not_waited_for(self, house: Any) -> None:
        in_hand, free = house.submit(2)
        with house.db._engine.begin() as other:
            other.execute(text("SELECT 1 FROM test_executions WHERE execution_id = :id FOR UPDATE"), {"id": in_hand})
            assert house.admitted() == [free]
        assert house.admitted() == [in_hand]

    def test_a_waiter_whose_connection_is_lost_leaves_no_lock(self, house: Any) -> None:
        lost: list[BaseException] = []

        def waiting() -> None:
            try:
                _pass(house)
            except UnavailableError as exc:
                lost.append(exc)

        with house.db._engine.begin() as holder:
            gate_locks.try_pass(holder, DEFAULT_POOL)
            waiter = threading.Thread(target=waiting)
            waiter.start()
            _until_waiting(holder)
            sever = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            holder.execute(text(sever))
            waiter.join()

        assert len(lost) == 1
        assert house.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
        assert _pass(house) is not None

    def test_two_pools_never_decide_for_one_owner_at_once(self, house: Any) -> None:
        """The first pass has not committed, so the second one cannot see what it used up."""
        first, second = _one_team_in_two_pools(house)
        done: list[gate.PassOutcome | None] = []
        with house.db._engine.begin() as conn:
            started = gate.run_pass(conn, DEFAULT_POOL)
            assert started is not None
            assert [run.execution_id for run in started.admitted] == first
            tried = house.do(lambda other: gate.run_pass(other, SECOND))
            assert tried is not None
            assert tried.admitted == ()
            waiter = threading.Thread(target=lambda: done.append(_pass(house, SECOND)))
            waiter.start()
            _until_waiting(conn)
        waiter.join()

        assert [outcome.admitted for outcome in done if outcome] == [()]
        assert house.row(second[0]).reason == "team red runs 1 of 1 (1 in other pools)"

    def test_a_pass_that_waits_for_a_pool_to_be_made_knows_of_it(self, house: Any) -> None:
        with house.db._engine.begin() as conn:
            gate_locks.try_pass(conn, DEFAULT_POOL)
            done: list[Pool] = []
            maker = threading.Thread(target=lambda: done.append(house.do(lambda c: pools.create(c, Pool(name=SECOND)))))
            maker.start()
            _until_waiting(conn)
            assert done == []
        maker.join()

        assert done[0].name == SECOND

    def test_no_lock_is_left_behind(self, house: Any) -> None:
        house.submit(3)
        for _ in range(3):
            house.run_pass()

        assert house.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []

    def test_no_number_of_a_lock_has_two_meanings(self) -> None:
        """`unique` sees to it in the one module where they stand; so none may stand elsewhere."""
        numbers = re.compile(r"\b(0x[0-9a-fA-F]{5,}|\d[\d_]{6,})\b")
        locking = [path for path in Path(locks.__file__).parent.rglob("*.py") if "advisory" in path.read_text()]
        elsewhere = [path.name for path in locking if path.name != "locks.py" and numbers.search(path.read_text())]

        assert len({lock.value for lock in locks.Lock}) == len(locks.Lock.__members__)
        assert elsewhere == []
        assert len(locking) > 3

    def test_who_submits_does_not_wait_for_a_round_of_forecasts(self, house: Any) -> None:
        run = _no_row_yet(house)

        def enqueue(conn: Connection) -> bool:
            conn.execute(text("SET LOCAL lock_timeout = '500ms'"))
            return gate.enqueue(conn, run)

        with house.db._engine.begin() as forecasting:
            assert forecasts.claim(forecasting, DEFAULT_POOL, timedelta(), 0)

            assert house.do(enqueue)

    def test_a_round_of_forecasts_is_claimed_while_somebody_submits(self, house: Any) -> None:
        with house.db._engine.begin() as submitting:
            gate.enqueue(submitting, _no_row_yet(house))

            assert house.do(lambda conn: forecasts.claim(conn, DEFAULT_POOL, timedelta(), 0))

    def test_a_waiter_that_gives_up_leaves_no_lock(self, house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gate_locks, "PATIENCE", "50ms")
        with house.db._engine.begin() as holder:
            gate_locks.try_pass(holder, DEFAULT_POOL)
            assert _pass(house) is None

        assert house.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


def _pass(house: Any, pool: PoolName = DEFAULT_POOL) -> gate.PassOutcome | None:
    outcome: gate.PassOutcome | None = house.do(lambda conn: gate.run_pass(conn, pool, blocking=True))
    return outcome


def _no_row_yet(house: Any) -> gate.Waiting:
    """Return a run that has an execution, and is still to wait."""
    [run] = house.submit()
    house.sql("DELETE FROM queue")
    return gate.Waiting(
        execution_id=run,
        pool=DEFAULT_POOL,
        priority=5,
        enqueued_at=datetime(2026, 1, 1, tzinfo=UTC),
        user_id=LOCAL_USER,
        team_id=None,
        resources=Resources(cpu_milli=100),
    )


def _one_team_in_two_pools(house: Any) -> tuple[list[Any], list[Any]]:
    """Let a team that may run one wait in two pools with room, once in each."""
    house.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    house.worker("w2", pool=SECOND)
    house.do(lambda conn: nodes.record(conn, SECOND, nodes.read(conn, DEFAULT_POOL)))
    ann = house.person("ann", most=9, team=house.team("red", most=1))
    return house.submit(who=ann), house.submit(who=ann, pool=SECOND)


def _until_waiting(conn: Connection) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while not conn.execute(waiting).scalar_one():
        pass
