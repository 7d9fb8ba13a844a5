"""The way of a place: given, held, given back, under epochs that never go down."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from db.gate import queue
from db.gate.queue import Requeue
from model.execution import Status
from model.notices import Ended
from model.runs import RunKind
from orchestrator.place_releases import PlaceReleases


def test_a_release_under_an_old_epoch_frees_nothing(gate_db: Any) -> None:
    [run] = gate_db.submit()
    gate_db.run_pass()

    assert not gate_db.do(lambda conn: queue.release(conn, run, 0))
    assert gate_db.row(run).state == "admitted"
    assert gate_db.do(lambda conn: queue.release(conn, run, 1))
    assert gate_db.row(run) is None


def test_runs_that_end_in_one_transaction_are_freed_together_each_under_its_epoch(gate_db: Any) -> None:
    first, second, third = gate_db.submit(3)
    gate_db.run_pass()
    ends = PlaceReleases()
    for run, epoch in ((first, 1), (second, 0), (third, 1)):
        ends.add(run, epoch, Ended(run_id=run, kind=RunKind.TEST, status=Status.COMPLETED))

    gate_db.do(ends.carry_out)

    assert [gate_db.row(run) is None for run in (first, second, third)] == [True, False, True]


def test_a_run_goes_back_to_its_old_place_but_not_before_its_time(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    first, second = gate_db.submit(2)
    gate_db.run_pass()
    seq = gate_db.row(first).seq

    assert gate_db.do(lambda conn: queue.requeue(conn, first, 1, Requeue(delay=timedelta(hours=1))))
    assert gate_db.admitted() == [second]
    assert gate_db.row(first).seq == seq
    assert str(gate_db.position(first)).startswith("in backoff until ")
    assert gate_db.position(first).position is None

    gate_db.sql("UPDATE queue SET not_before = clock_timestamp() WHERE execution_id = :id", id=first)
    gate_db.do(lambda conn: queue.release(conn, second, 1))
    [again] = gate_db.run_pass().admitted

    assert (again.execution_id, again.epoch) == (first, 2)


def test_going_back_under_an_old_epoch_changes_nothing(gate_db: Any) -> None:
    [run] = gate_db.submit()
    gate_db.run_pass()

    assert not gate_db.do(lambda conn: queue.requeue(conn, run, 0, Requeue()))
    assert gate_db.row(run).state == "admitted"


def test_a_node_that_failed_a_run_is_avoided(gate_db: Any) -> None:
    gate_db.node("n1", cpu=4000)
    [run] = gate_db.submit()
    [first] = gate_db.run_pass().admitted

    gate_db.do(lambda conn: queue.requeue(conn, run, first.epoch, Requeue(avoid=frozenset({first.node}))))
    [second] = gate_db.run_pass().admitted

    assert {first.node, second.node} == {"n0", "n1"}


def test_a_cancelled_run_leaves_the_queue_and_its_place(gate_db: Any) -> None:
    waiting, started = gate_db.submit(priority=9), gate_db.submit(priority=0)
    gate_db.pool(max_concurrent_tests=1)
    assert gate_db.admitted() == started

    for run in (*waiting, *started):
        assert gate_db.do(lambda conn, run=run: queue.withdraw(conn, run))
    assert gate_db.sql("SELECT 1 FROM queue") == []


def test_a_running_run_is_not_withdrawn(gate_db: Any) -> None:
    [run] = gate_db.submit()
    gate_db.run_pass()
    gate_db.begin(run, 1)

    assert not gate_db.do(lambda conn: queue.withdraw(conn, run))


def test_a_place_that_nobody_took_up_is_given_back_after_a_minute(gate_db: Any) -> None:
    taken, lost = gate_db.submit(2)
    gate_db.run_pass()
    gate_db.sql("UPDATE queue SET admitted_at = admitted_at - interval '61 s'")
    gate_db.do(lambda conn: conn.execute(text("INSERT INTO leases VALUES (:id, 1, 'w0', now(), now())"), {"id": taken}))

    outcome = gate_db.run_pass()

    assert outcome.given_back == 1
    assert [(run.execution_id, run.epoch) for run in outcome.admitted] == [(lost, 2)]
    assert gate_db.row(taken).epoch == 1


def test_what_ended_without_leaving_the_queue_frees_its_place(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    ended, waiting = gate_db.submit(2)
    gate_db.run_pass()
    gate_db.sql("UPDATE queue SET admitted_at = admitted_at - interval '61 s'")
    gate_db.sql("UPDATE runs SET status = 'cancelled', phase = 'ended' WHERE id = :id", id=ended)

    assert gate_db.admitted() == [waiting]
    assert gate_db.row(ended) is None
