"""One pass of the gate: who gets a place, what is written, and who is told."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection, text

from db import gate, gate_locks, gate_read, nodes, pools, workers
from db.errors import NotFoundError, UnavailableError
from db.pools import Pool
from db.seeds import DEFAULT_POOL
from model.ids import PoolName, WorkerId
from scheduler.pool import Strategy

SECOND = PoolName("second")


def test_a_run_gets_a_place_and_a_new_epoch(house: Any) -> None:
    [run] = house.submit()

    [admitted] = house.run_pass().admitted
    row = house.row(run)

    assert (admitted.execution_id, admitted.epoch, admitted.node) == (run, 1, "n0")
    assert (row.state, row.epoch, row.fence, row.phase, row.status) == ("admitted", 1, 1, "admitted", "queued")
    assert row.decision["candidates"][0]["node"] == "n0"
    assert 0 <= row.decision["candidates"][0]["total"] <= 1


def test_the_order_is_priority_then_arrival(house: Any) -> None:
    house.pool(max_concurrent_tests=3)
    late = house.submit(2, priority=5)
    urgent = house.submit(priority=0)

    assert house.admitted() == [*urgent, *late]


def test_without_a_worker_nothing_starts_and_it_is_said(bare: Any) -> None:
    bare.node()
    [run] = bare.submit()

    assert bare.admitted() == []
    assert str(bare.position(run)) == "position 1 of 1; no live worker"


def test_a_draining_worker_is_none(house: Any) -> None:
    house.do(lambda conn: workers.drain(conn, WorkerId("w0")))
    house.submit()

    assert house.admitted() == []


def test_a_full_pool_says_so_with_positions(house: Any) -> None:
    house.pool(max_concurrent_tests=1)
    first, second, third = house.submit(3)

    assert house.admitted() == [first]
    assert str(house.position(second)) == "position 1 of 2; the pool runs 1 of 1"
    assert str(house.position(third)) == "position 2 of 2; the pool runs 1 of 1"
    assert [house.row(run).position for run in (second, third)] == [1, 2]
    assert house.position(first) is None


def test_a_new_run_gets_its_reason_from_the_first_pass_it_meets(house: Any) -> None:
    house.pool(max_concurrent_tests=1)
    house.submit()
    house.run_pass()
    [waiting] = house.submit()

    house.run_pass()

    assert house.row(waiting).reason == "the pool runs 1 of 1"
    assert house.do(lambda conn: gate.reason(conn, waiting)) == "the pool runs 1 of 1"


def test_limits_of_user_and_team_are_named(house: Any) -> None:
    team = house.team("payments", most=1)
    ann = house.person("ann", most=5, team=team)
    runs = house.submit(2, who=ann)

    assert house.admitted() == runs[:1]
    assert house.row(runs[1]).reason == "team payments runs 1 of 1"


def test_a_new_limit_counts_from_the_next_pass_and_stops_nobody(house: Any) -> None:
    first, second, third = house.submit(3)
    house.pool(max_concurrent_tests=2)
    assert house.admitted() == [first, second]

    house.pool(max_concurrent_tests=1)

    assert house.admitted() == []
    assert house.row(first).state == "admitted"
    assert house.row(third).reason == "the pool runs 2 of 1"


def test_a_team_at_its_limit_hides_nobody_however_much_it_submits(house: Any) -> None:
    """The head of the queue is the first few of each shape, not the first few rows."""
    team = house.team("busy", most=1)
    house.submit(1500, who=house.person("ann", most=9, team=team), priority=1)
    [other] = house.submit(priority=9)

    assert other in house.admitted()


def test_a_pass_reads_a_part_of_a_deep_queue_only(house: Any) -> None:
    house.submit(1500, cpu=9000)
    house.submit(1500, priority=7)

    def read(conn: Connection) -> int:
        return len(gate_read.waiting(conn, gate_read.facts(conn, DEFAULT_POOL)).runs)

    assert house.do(read) <= gate_read.ROWS + 2 * gate_read.FRONT + 2
    house.run_pass()
    assert house.do(read) <= gate_read.ROWS + 2


def test_runs_that_no_node_can_hold_hide_nobody(house: Any) -> None:
    big = house.submit(300, cpu=9000, priority=0)
    [small] = house.submit()

    assert house.admitted() == [small]
    assert house.row(big[0]).reason == "needs 9000m CPU; the largest node has 4000m CPU"


def test_a_pass_starts_as_many_as_there_is_room_for(house: Any) -> None:
    house.pool(max_concurrent_tests=1000)
    house.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 1000}'")
    house.sql("UPDATE teams SET quota = '{\"max_concurrent_tests\": 1000}'")
    house.node(cpu=100_000, pods=1000)
    runs = house.submit(450)

    assert house.admitted() == runs


def test_the_order_of_a_deep_line_is_kept_from_pass_to_pass(house: Any) -> None:
    house.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 1000}'")
    house.sql("UPDATE teams SET quota = '{\"max_concurrent_tests\": 1000}'")
    house.node(cpu=100_000, pods=1000)
    runs = house.submit(500)
    started = []
    for most in (150, 300, 450):
        house.pool(max_concurrent_tests=most)
        started += house.admitted()

    assert started == runs[:450]


def test_a_run_that_no_pass_reached_has_the_reason_of_its_line(house: Any) -> None:
    team = house.team("busy", most=1)
    runs = house.submit(900, who=house.person("ann", most=9, team=team))

    house.run_pass()

    assert house.row(runs[-1]).reason == ""
    assert house.position(runs[-1]).reason == "team busy runs 1 of 1"
    assert house.do(lambda conn: gate.reason(conn, runs[-1])) == "team busy runs 1 of 1"
    assert house.do(lambda conn: gate.queue(conn, DEFAULT_POOL, 1, 898))[0][0].reason == "team busy runs 1 of 1"


def test_an_aged_run_has_its_node_kept_free(house: Any) -> None:
    [holder] = house.submit(cpu=2000)
    house.run_pass()
    [old] = house.submit(cpu=4000, priority=9)
    house.sql("UPDATE queue SET enqueued_at = enqueued_at - interval '2 hours' WHERE execution_id = :id", id=old)
    [young] = house.submit(priority=0)

    assert house.admitted() == []
    assert house.row(old).nominated == "n0"
    assert house.row(young).decision["blocked_by"] == [str(old)]

    house.do(lambda conn: gate.release(conn, holder, 1))

    assert house.admitted() == [old]
    assert house.row(old).nominated is None


def test_the_submitters_clock_makes_nobody_old(house: Any) -> None:
    house.submit()
    [(age,)] = house.sql("SELECT max(clock_timestamp() - enqueued_at) FROM queue")

    assert age < timedelta(minutes=1, seconds=30)


def test_fifo_looks_at_arrival_only(house: Any) -> None:
    house.pool(max_concurrent_tests=1, strategy=Strategy.FIFO)
    [first] = house.submit(priority=9)
    [second] = house.submit(priority=0)

    assert house.admitted() == [first]
    assert house.position(second).position == 1


def test_an_unknown_pool_is_told(house: Any) -> None:
    with pytest.raises(NotFoundError, match="no pool nowhere"):
        house.do(lambda conn: gate.run_pass(conn, PoolName("nowhere")))


def test_one_message_a_pass_and_each_below_the_limit(house: Any) -> None:
    house.pool(max_concurrent_tests=1000)
    house.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 1000}'")
    house.sql("UPDATE teams SET quota = '{\"max_concurrent_tests\": 1000}'")
    house.node(cpu=100_000, pods=1000)
    listening = psycopg2.connect(house.db.url.replace("+psycopg2", ""))
    listening.autocommit = True
    with listening.cursor() as cursor:
        cursor.execute("LISTEN assay")
        runs = house.submit(450)
        house.run_pass()
        cursor.execute("SELECT 1")
    payloads = [message.payload for message in listening.notifies]
    listening.close()

    assert len(payloads) == 3
    assert all(len(payload) < 8000 for payload in payloads)
    told = [part for payload in payloads for part in payload.removeprefix("admitted:").split(",")]
    assert told == [str(run) for run in runs]


def test_submitting_twice_changes_nothing(house: Any) -> None:
    [run] = house.submit()
    waiting = gate.Waiting(
        execution_id=run,
        pool=DEFAULT_POOL,
        priority=0,
        enqueued_at=datetime.now(UTC),  # noqa: TID251  a test is its own wiring
        user_id=house.new_id(),
        team_id=None,
        resources=house.do(lambda _: gate.Resources()),
    )

    assert not house.do(lambda conn: gate.enqueue(conn, waiting))
    assert house.row(run).priority == 5


class TestPlaces:
    """The way of a place."""

    def test_a_release_under_an_old_epoch_frees_nothing(self, house: Any) -> None:
        [run] = house.submit()
        house.run_pass()

        assert not house.do(lambda conn: gate.release(conn, run, 0))
        assert house.row(run).state == "admitted"
        assert house.do(lambda conn: gate.release(conn, run, 1))
        assert house.row(run) is None

    def test_a_run_goes_back_to_its_old_place_but_not_before_its_time(self, house: Any) -> None:
        house.pool(max_concurrent_tests=1)
        first, second = house.submit(2)
        house.run_pass()
        seq = house.row(first).seq
        later = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251  a test is its own wiring

        assert house.do(lambda conn: gate.requeue(conn, first, 1, later))
        assert house.admitted() == [second]
        assert house.row(first).seq == seq
        assert str(house.position(first)).startswith("in backoff until ")
        assert house.position(first).position is None

        house.sql("UPDATE queue SET not_before = clock_timestamp() WHERE execution_id = :id", id=first)
        house.do(lambda conn: gate.release(conn, second, 1))
        [again] = house.run_pass().admitted

        assert (again.execution_id, again.epoch) == (first, 2)

    def test_going_back_under_an_old_epoch_changes_nothing(self, house: Any) -> None:
        [run] = house.submit()
        house.run_pass()

        assert not house.do(lambda conn: gate.requeue(conn, run, 0, None))
        assert house.row(run).state == "admitted"

    def test_a_node_that_failed_a_run_is_avoided(self, house: Any) -> None:
        house.node("n1", cpu=4000)
        [run] = house.submit()
        [first] = house.run_pass().admitted

        house.do(lambda conn: gate.requeue(conn, run, first.epoch, None, avoid_node=first.node))
        [second] = house.run_pass().admitted

        assert {first.node, second.node} == {"n0", "n1"}

    def test_a_cancelled_run_leaves_the_queue_and_its_place(self, house: Any) -> None:
        waiting, started = house.submit(priority=9), house.submit(priority=0)
        house.pool(max_concurrent_tests=1)
        assert house.admitted() == started

        for run in (*waiting, *started):
            assert house.do(lambda conn, run=run: gate.withdraw(conn, run))
        assert house.sql("SELECT 1 FROM queue") == []

    def test_a_running_run_is_not_withdrawn(self, house: Any) -> None:
        [run] = house.submit()
        house.run_pass()
        house.begin(run, 1)

        assert not house.do(lambda conn: gate.withdraw(conn, run))

    def test_a_place_that_nobody_took_up_is_given_back_after_a_minute(self, house: Any) -> None:
        taken, lost = house.submit(2)
        house.run_pass()
        house.sql("UPDATE queue SET admitted_at = admitted_at - interval '61 s'")
        house.do(
            lambda conn: conn.execute(text("INSERT INTO leases VALUES (:id, 1, 'w0', now(), now())"), {"id": taken})
        )

        outcome = house.run_pass()

        assert outcome.given_back == 1
        assert [(run.execution_id, run.epoch) for run in outcome.admitted] == [(lost, 2)]
        assert house.row(taken).epoch == 1

    def test_what_ended_without_leaving_the_queue_frees_its_place(self, house: Any) -> None:
        house.pool(max_concurrent_tests=1)
        ended, waiting = house.submit(2)
        house.run_pass()
        house.sql("UPDATE queue SET admitted_at = admitted_at - interval '61 s'")
        house.sql("UPDATE test_executions SET status = 'cancelled', phase = 'ended' WHERE execution_id = :id", id=ended)

        assert house.admitted() == [waiting]
        assert house.row(ended) is None


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

    def test_a_waiter_that_gives_up_leaves_no_lock(self, house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gate_locks, "PATIENCE", "50ms")
        with house.db._engine.begin() as holder:
            gate_locks.try_pass(holder, DEFAULT_POOL)
            assert _pass(house) is None

        assert house.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


def _pass(house: Any, pool: PoolName = DEFAULT_POOL) -> gate.PassOutcome | None:
    outcome: gate.PassOutcome | None = house.do(lambda conn: gate.run_pass(conn, pool, blocking=True))
    return outcome


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
