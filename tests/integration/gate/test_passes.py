"""One pass of the gate: who gets a place, what is written, and who is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection

from db import people, workers
from db.errors import NotFoundError
from db.gate import pass_input, queue, queue_position
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.ids import PoolName, WorkerId
from orchestrator import admission
from scheduler.values.pool import Strategy

SECOND = PoolName("second")


def test_a_run_gets_a_place_and_a_new_epoch(gate_db: Any) -> None:
    [run] = gate_db.submit()

    [admitted] = gate_db.run_pass().admitted
    row = gate_db.row(run)

    assert (admitted.execution_id, admitted.epoch, admitted.node) == (run, 1, "n0")
    assert (row.state, row.epoch, row.fence, row.phase, row.status) == ("admitted", 1, 1, "admitted", "queued")


def test_the_order_is_priority_then_arrival(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=3)
    late = gate_db.submit(2, priority=5)
    urgent = gate_db.submit(priority=0)

    assert gate_db.admitted() == [*urgent, *late]


def test_without_a_worker_nothing_starts_and_it_is_said(bare: Any) -> None:
    bare.node()
    [run] = bare.submit()

    assert bare.admitted() == []
    assert str(bare.position(run)) == "position 1 of 1; no live worker"


def test_after_the_last_worker_has_died_everybody_hears_of_that_and_of_nothing_older(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    [holder] = gate_db.submit()
    gate_db.run_pass()
    [waiting, resting] = gate_db.submit(2)
    gate_db.run_pass()
    gate_db.sql("UPDATE queue SET not_before = clock_timestamp() + interval '1 h', reason = 'in backoff until noon'"
              " WHERE execution_id = :id", id=resting)  # fmt: skip

    gate_db.sql("UPDATE workers SET expires_at = clock_timestamp() - interval '1 s'")

    listed, _ = gate_db.do(lambda conn: queue_position.queue(conn, DEFAULT_POOL))
    noted = gate_db.do(lambda conn: queue_position.noted(conn, [holder, waiting, resting]))
    told = [gate_db.do(lambda conn, run=run: queue_position.reason(conn, run)) for run in (waiting, resting)]
    expected = ["no live worker", "in backoff until noon"]
    assert [entry.reason for entry in listed] == [noted[run].reason for run in (waiting, resting)] == told == expected


def test_a_draining_worker_is_none(gate_db: Any) -> None:
    gate_db.do(lambda conn: workers.drain(conn, WorkerId("w0")))
    gate_db.submit()

    assert gate_db.admitted() == []


def test_a_full_pool_says_so_with_positions(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    first, second, third = gate_db.submit(3)

    assert gate_db.admitted() == [first]
    assert str(gate_db.position(second)) == "position 1 of 2; the pool runs 1 of 1"
    assert str(gate_db.position(third)) == "position 2 of 2; the pool runs 1 of 1"
    assert [gate_db.row(run).position for run in (second, third)] == [1, 2]
    assert gate_db.position(first) is None


def test_a_new_run_gets_its_reason_from_the_first_pass_it_meets(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    gate_db.submit()
    gate_db.run_pass()
    [waiting] = gate_db.submit()

    gate_db.run_pass()

    assert gate_db.row(waiting).reason == "the pool runs 1 of 1"
    assert gate_db.do(lambda conn: queue_position.reason(conn, waiting)) == "the pool runs 1 of 1"


def test_limits_of_user_and_team_are_named(gate_db: Any) -> None:
    team = gate_db.team("payments", most=1)
    ann = gate_db.person("ann", most=5, team=team)
    runs = gate_db.submit(2, who=ann)

    assert gate_db.admitted() == runs[:1]
    assert gate_db.row(runs[1]).reason == "team payments runs 1 of 1"


@pytest.mark.parametrize(("table", "most"), [("users", 10), ("teams", 50)])
def test_the_limit_that_is_shown_where_a_quota_says_nothing_is_the_one_that_holds(
    gate_db: Any, table: str, most: int
) -> None:
    gate_db.node(cpu=64_000, pods=1000)
    unlimited = '{"max_concurrent_tests": null}'
    gate_db.sql(f"UPDATE users SET quota = '{unlimited}'")
    gate_db.sql(f"UPDATE teams SET quota = '{unlimited}'")
    gate_db.sql(f"UPDATE {table} SET quota = '{{}}'")
    usage = gate_db.do(lambda conn: people.quota_usage(conn, LOCAL_USER, datetime(2026, 1, 1, tzinfo=UTC)))
    shown = {"users": usage[0], "teams": usage[1]}[table]
    gate_db.submit(60)

    assert len(gate_db.admitted()) == most == shown.quota.max_concurrent_tests


def test_a_new_limit_counts_from_the_next_pass_and_stops_nobody(gate_db: Any) -> None:
    first, second, third = gate_db.submit(3)
    gate_db.pool(max_concurrent_tests=2)
    assert gate_db.admitted() == [first, second]

    gate_db.pool(max_concurrent_tests=1)

    assert gate_db.admitted() == []
    assert gate_db.row(first).state == "admitted"
    assert gate_db.row(third).reason == "the pool runs 2 of 1"


def test_a_team_at_its_limit_hides_nobody_however_much_it_submits(gate_db: Any) -> None:
    """The head of the queue is the first few of each shape, not the first few rows."""
    team = gate_db.team("busy", most=1)
    gate_db.submit(1500, who=gate_db.person("ann", most=9, team=team), priority=1)
    [other] = gate_db.submit(priority=9)

    assert other in gate_db.admitted()


def test_a_pass_reads_a_part_of_a_deep_queue_only(gate_db: Any) -> None:
    gate_db.submit(1500, cpu=9000)
    gate_db.submit(1500, priority=7)

    def read(conn: Connection, *, annotate: bool) -> int:
        known = replace(pass_input.facts(conn, DEFAULT_POOL), annotate=annotate)
        return len(pass_input.waiting(conn, known).runs)

    assert gate_db.do(partial(read, annotate=True)) <= pass_input.ROWS + 2 * pass_input.POSITIONS + 2
    gate_db.run_pass()
    assert gate_db.do(partial(read, annotate=False)) <= pass_input.ROWS + 2


def test_runs_that_no_node_can_hold_hide_nobody(gate_db: Any) -> None:
    big = gate_db.submit(300, cpu=9000, priority=0)
    [small] = gate_db.submit()

    assert gate_db.admitted() == [small]
    assert gate_db.row(big[0]).reason == "needs 9000m CPU; the largest node has 4000m CPU"


def test_a_pass_starts_as_many_as_there_is_room_for(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1000)
    gate_db.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 1000}'")
    gate_db.sql("UPDATE teams SET quota = '{\"max_concurrent_tests\": 1000}'")
    gate_db.node(cpu=100_000, pods=1000)
    runs = gate_db.submit(450)

    assert gate_db.admitted() == runs


def test_the_order_of_a_deep_line_is_kept_from_pass_to_pass(gate_db: Any) -> None:
    gate_db.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 1000}'")
    gate_db.sql("UPDATE teams SET quota = '{\"max_concurrent_tests\": 1000}'")
    gate_db.node(cpu=100_000, pods=1000)
    runs = gate_db.submit(500)
    started = []
    for most in (150, 300, 450):
        gate_db.pool(max_concurrent_tests=most)
        started += gate_db.admitted()

    assert started == runs[:450]


def test_a_run_that_no_pass_reached_has_the_reason_of_its_line(gate_db: Any) -> None:
    team = gate_db.team("busy", most=1)
    runs = gate_db.submit(900, who=gate_db.person("ann", most=9, team=team))

    gate_db.run_pass()

    assert gate_db.row(runs[-1]).reason == ""
    assert gate_db.position(runs[-1]).reason == "team busy runs 1 of 1"
    assert gate_db.do(lambda conn: queue_position.reason(conn, runs[-1])) == "team busy runs 1 of 1"
    [last], _ = gate_db.do(lambda conn: queue_position.queue(conn, DEFAULT_POOL, 1, 898))
    assert last.reason == "team busy runs 1 of 1"


def test_an_aged_run_has_its_node_kept_free(gate_db: Any) -> None:
    [holder] = gate_db.submit(cpu=2000)
    gate_db.run_pass()
    [old] = gate_db.submit(cpu=4000, priority=9)
    gate_db.sql("UPDATE queue SET enqueued_at = enqueued_at - interval '12 hours' WHERE execution_id = :id", id=old)
    [young] = gate_db.submit(priority=0)

    assert gate_db.admitted() == []
    assert gate_db.row(old).nominated == "n0"
    assert gate_db.said(young)[-1].blocked_by == (old,)

    gate_db.do(lambda conn: queue.release(conn, holder, 1))

    assert gate_db.admitted() == [old]
    assert gate_db.row(old).nominated is None


def test_the_submitters_clock_makes_nobody_old(gate_db: Any) -> None:
    gate_db.submit()
    [(age,)] = gate_db.sql("SELECT max(clock_timestamp() - enqueued_at) FROM queue")

    assert age < timedelta(minutes=1, seconds=30)


def test_fifo_looks_at_arrival_only(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1, strategy=Strategy.FIFO)
    [first] = gate_db.submit(priority=9)
    [second] = gate_db.submit(priority=0)

    assert gate_db.admitted() == [first]
    assert gate_db.position(second).position == 1


def test_an_unknown_pool_is_told(gate_db: Any) -> None:
    with pytest.raises(NotFoundError, match="no pool nowhere"):
        gate_db.do(lambda conn: admission.request(conn, PoolName("nowhere")))


def test_one_message_a_round_and_each_below_the_limit(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1000)
    gate_db.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 1000}'")
    gate_db.sql("UPDATE teams SET quota = '{\"max_concurrent_tests\": 1000}'")
    gate_db.node(cpu=100_000, pods=1000)
    listening = psycopg2.connect(gate_db.db.url.replace("+psycopg2", ""))
    listening.autocommit = True
    with listening.cursor() as cursor:
        cursor.execute("LISTEN assay")
        runs = gate_db.submit(450)
        gate_db.run_pass()
        cursor.execute("SELECT 1")
    payloads = [message.payload for message in listening.notifies]
    listening.close()

    assert len(payloads) == 3
    assert all(len(payload) < 8000 for payload in payloads)
    told = [part for payload in payloads for part in payload.removeprefix("admitted:").split(",")]
    assert told == [str(run) for run in runs]


def test_submitting_twice_changes_nothing(gate_db: Any) -> None:
    [run] = gate_db.submit()
    waiting = queue.Waiting(
        execution_id=run,
        pool=DEFAULT_POOL,
        priority=0,
        enqueued_at=datetime.now(UTC),  # noqa: TID251  a test is its own wiring
        user_id=gate_db.new_id(),
        team_id=None,
        resources=gate_db.do(lambda _: queue.Resources()),
    )

    assert not gate_db.do(lambda conn: queue.enqueue(conn, waiting))
    assert gate_db.row(run).priority == 5
