"""The way of a place: given, held, given back, under epochs that never go down."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from db import gate
from db.gate import Requeue
from orchestrator.ends import Ends


def test_a_release_under_an_old_epoch_frees_nothing(house: Any) -> None:
    [run] = house.submit()
    house.run_pass()

    assert not house.do(lambda conn: gate.release(conn, run, 0))
    assert house.row(run).state == "admitted"
    assert house.do(lambda conn: gate.release(conn, run, 1))
    assert house.row(run) is None


def test_runs_that_end_in_one_transaction_are_freed_together_each_under_its_epoch(house: Any) -> None:
    first, second, third = house.submit(3)
    house.run_pass()
    ends = Ends()
    for run, epoch in ((first, 1), (second, 0), (third, 1)):
        ends.add(run, epoch)

    house.do(ends.carry_out)

    assert [house.row(run) is None for run in (first, second, third)] == [True, False, True]


def test_a_run_goes_back_to_its_old_place_but_not_before_its_time(house: Any) -> None:
    house.pool(max_concurrent_tests=1)
    first, second = house.submit(2)
    house.run_pass()
    seq = house.row(first).seq

    assert house.do(lambda conn: gate.requeue(conn, first, 1, Requeue(delay=timedelta(hours=1))))
    assert house.admitted() == [second]
    assert house.row(first).seq == seq
    assert str(house.position(first)).startswith("in backoff until ")
    assert house.position(first).position is None

    house.sql("UPDATE queue SET not_before = clock_timestamp() WHERE execution_id = :id", id=first)
    house.do(lambda conn: gate.release(conn, second, 1))
    [again] = house.run_pass().admitted

    assert (again.execution_id, again.epoch) == (first, 2)


def test_going_back_under_an_old_epoch_changes_nothing(house: Any) -> None:
    [run] = house.submit()
    house.run_pass()

    assert not house.do(lambda conn: gate.requeue(conn, run, 0, Requeue()))
    assert house.row(run).state == "admitted"


def test_a_node_that_failed_a_run_is_avoided(house: Any) -> None:
    house.node("n1", cpu=4000)
    [run] = house.submit()
    [first] = house.run_pass().admitted

    house.do(lambda conn: gate.requeue(conn, run, first.epoch, Requeue(avoid_node=first.node)))
    [second] = house.run_pass().admitted

    assert {first.node, second.node} == {"n0", "n1"}


def test_a_cancelled_run_leaves_the_queue_and_its_place(house: Any) -> None:
    waiting, started = house.submit(priority=9), house.submit(priority=0)
    house.pool(max_concurrent_tests=1)
    assert house.admitted() == started

    for run in (*waiting, *started):
        assert house.do(lambda conn, run=run: gate.withdraw(conn, run))
    assert house.sql("SELECT 1 FROM queue") == []


def test_a_running_run_is_not_withdrawn(house: Any) -> None:
    [run] = house.submit()
    house.run_pass()
    house.begin(run, 1)

    assert not house.do(lambda conn: gate.withdraw(conn, run))


def test_a_place_that_nobody_took_up_is_given_back_after_a_minute(house: Any) -> None:
    taken, lost = house.submit(2)
    house.run_pass()
    house.sql("UPDATE queue SET admitted_at = admitted_at - interval '61 s'")
    house.do(lambda conn: conn.execute(text("INSERT INTO leases VALUES (:id, 1, 'w0', now(), now())"), {"id": taken}))

    outcome = house.run_pass()

    assert outcome.given_back == 1
    assert [(run.execution_id, run.epoch) for run in outcome.admitted] == [(lost, 2)]
    assert house.row(taken).epoch == 1


def test_what_ended_without_leaving_the_queue_frees_its_place(house: Any) -> None:
    house.pool(max_concurrent_tests=1)
    ended, waiting = house.submit(2)
    house.run_pass()
    house.sql("UPDATE queue SET admitted_at = admitted_at - interval '61 s'")
    house.sql("UPDATE test_executions SET status = 'cancelled', phase = 'ended' WHERE execution_id = :id", id=ended)

    assert house.admitted() == [waiting]
    assert house.row(ended) is None
