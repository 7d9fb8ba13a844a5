"""Who passes, who waits, and that nobody's change is overlooked."""

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import forecasts, locks, nodes, pools
from db.errors import UnavailableError
from db.gate import pass_locks, queue
from db.pools import Pool
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.ids import PoolName
from model.resources import Resources
from orchestrator import admission

SECOND = PoolName("second")


class TestLocks:
    """Who passes, who waits, and that nobody's change is overlooked."""

    def test_a_second_pass_does_not_wait_when_it_need_not(self, gate_db: Any) -> None:
        def both(conn: Connection) -> admission.PassOutcome | None:
            assert pass_locks.try_pass(conn, DEFAULT_POOL)
            return gate_db.do(lambda other: admission.request(other, DEFAULT_POOL))

        assert gate_db.do(both) is None

    def test_of_many_that_come_at_once_one_waits_and_the_others_go(self, gate_db: Any) -> None:
        done: list[admission.PassOutcome | None] = []
        with gate_db.db._engine.begin() as holder:
            assert pass_locks.try_pass(holder, DEFAULT_POOL)
            waiter = threading.Thread(target=lambda: done.append(_pass(gate_db)))
            waiter.start()
            _until_waiting(holder)
            [run] = gate_db.submit()

            assert _pass(gate_db) is None
        waiter.join()

        assert [outcome.admitted[0].execution_id for outcome in done if outcome] == [run]

    def test_a_change_and_its_pass_may_share_a_transaction(self, gate_db: Any) -> None:
        gate_db.pool(max_concurrent_tests=1)
        first, second = gate_db.submit(2)
        gate_db.run_pass()

        def end_and_pass(conn: Connection) -> admission.PassOutcome | None:
            queue.release(conn, first, 1)
            return admission.request(conn, DEFAULT_POOL, blocking=True)

        assert [run.execution_id for run in gate_db.do(end_and_pass).admitted] == [second]

    def test_a_run_that_somebody_has_in_hand_is_left_out_not_waited_for(self, gate_db: Any) -> None:
        in_hand, free = gate_db.submit(2)
        with gate_db.db._engine.begin() as other:
            other.execute(text("SELECT 1 FROM runs WHERE id = :id FOR UPDATE"), {"id": in_hand})
            assert gate_db.admitted() == [free]
        assert gate_db.admitted() == [in_hand]

    def test_a_waiter_whose_connection_is_lost_leaves_no_lock(self, gate_db: Any) -> None:
        lost: list[BaseException] = []

        def waiting() -> None:
            try:
                _pass(gate_db)
            except UnavailableError as exc:
                lost.append(exc)

        with gate_db.db._engine.begin() as holder:
            pass_locks.try_pass(holder, DEFAULT_POOL)
            waiter = threading.Thread(target=waiting)
            waiter.start()
            _until_waiting(holder)
            sever = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            holder.execute(text(sever))
            waiter.join()

        assert len(lost) == 1
        assert gate_db.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
        assert _pass(gate_db) is not None

    def test_two_pools_never_decide_for_one_owner_at_once(self, gate_db: Any) -> None:
        """The first pass has not committed, so the second one cannot see what it used up."""
        first, second = _one_team_in_two_pools(gate_db)
        done: list[admission.PassOutcome | None] = []
        with gate_db.db._engine.begin() as conn:
            started = admission.request(conn, DEFAULT_POOL)
            assert started is not None
            assert [run.execution_id for run in started.admitted] == first
            tried = gate_db.do(lambda other: admission.request(other, SECOND))
            assert tried is not None
            assert tried.admitted == ()
            waiter = threading.Thread(target=lambda: done.append(_pass(gate_db, SECOND)))
            waiter.start()
            _until_waiting(conn)
        waiter.join()

        assert [outcome.admitted for outcome in done if outcome] == [()]
        assert gate_db.row(second[0]).reason == "team red runs 1 of 1 (1 in other pools)"

    def test_a_pass_that_waits_for_a_pool_to_be_made_knows_of_it(self, gate_db: Any) -> None:
        with gate_db.db._engine.begin() as conn:
            pass_locks.try_pass(conn, DEFAULT_POOL)
            done: list[Pool] = []
            maker = threading.Thread(
                target=lambda: done.append(gate_db.do(lambda c: pools.create(c, Pool(name=SECOND))))
            )
            maker.start()
            _until_waiting(conn)
            assert done == []
        maker.join()

        assert done[0].name == SECOND

    def test_no_lock_is_left_behind(self, gate_db: Any) -> None:
        gate_db.submit(3)
        for _ in range(3):
            gate_db.run_pass()

        assert gate_db.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []

    def test_no_number_of_a_lock_has_two_meanings(self) -> None:
        """`unique` sees to it in the one module where they stand; so none may stand elsewhere."""
        numbers = re.compile(r"\b(0x[0-9a-fA-F]{5,}|\d[\d_]{6,})\b")
        locking = [path for path in Path(locks.__file__).parent.rglob("*.py") if "advisory" in path.read_text()]
        elsewhere = [path.name for path in locking if path.name != "locks.py" and numbers.search(path.read_text())]

        assert len({lock.value for lock in locks.Lock}) == len(locks.Lock.__members__)
        assert elsewhere == []
        assert len(locking) > 3

    def test_who_submits_does_not_wait_for_a_round_of_forecasts(self, gate_db: Any) -> None:
        run = _no_row_yet(gate_db)

        def enqueue(conn: Connection) -> bool:
            conn.execute(text("SET LOCAL lock_timeout = '500ms'"))
            return queue.enqueue(conn, run)

        with gate_db.db._engine.begin() as forecasting:
            assert forecasts.claim(forecasting, DEFAULT_POOL, timedelta(), 0)

            assert gate_db.do(enqueue)

    def test_a_round_of_forecasts_is_claimed_while_somebody_submits(self, gate_db: Any) -> None:
        with gate_db.db._engine.begin() as submitting:
            queue.enqueue(submitting, _no_row_yet(gate_db))

            assert gate_db.do(lambda conn: forecasts.claim(conn, DEFAULT_POOL, timedelta(), 0))

    def test_a_waiter_that_gives_up_leaves_no_lock(self, gate_db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pass_locks, "PATIENCE", "50ms")
        with gate_db.db._engine.begin() as holder:
            pass_locks.try_pass(holder, DEFAULT_POOL)
            assert _pass(gate_db) is None

        assert gate_db.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


def _pass(gate_db: Any, pool: PoolName = DEFAULT_POOL) -> admission.PassOutcome | None:
    outcome: admission.PassOutcome | None = gate_db.do(lambda conn: admission.request(conn, pool, blocking=True))
    return outcome


def _no_row_yet(gate_db: Any) -> queue.Waiting:
    """Return a run that has an execution, and is still to wait."""
    [run] = gate_db.submit()
    gate_db.sql("DELETE FROM queue")
    return queue.Waiting(
        execution_id=run,
        pool=DEFAULT_POOL,
        priority=5,
        enqueued_at=datetime(2026, 1, 1, tzinfo=UTC),
        user_id=LOCAL_USER,
        team_id=None,
        resources=Resources(cpu_milli=100),
    )


def _one_team_in_two_pools(gate_db: Any) -> tuple[list[Any], list[Any]]:
    """Let a team that may run one wait in two pools with room, once in each."""
    gate_db.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    gate_db.worker("w2", pool=SECOND)
    gate_db.do(lambda conn: nodes.record(conn, SECOND, nodes.read(conn, DEFAULT_POOL)))
    ann = gate_db.person("ann", most=9, team=gate_db.team("red", most=1))
    return gate_db.submit(who=ann), gate_db.submit(who=ann, pool=SECOND)


def _until_waiting(conn: Connection) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while not conn.execute(waiting).scalar_one():
        pass
