"""One pass of the gate: who gets a place, what is written, and who is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection

from db import gate, gate_read, gate_standing, people, workers
from db.errors import NotFoundError
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.ids import PoolName, WorkerId
from scheduler.pool import Strategy

SECOND = PoolName("second")


def test_a_run_gets_a_place_and_a_new_epoch(house: Any) -> None:
    [run] = house.submit()

    [admitted] = house.run_pass().admitted
    row = house.row(run)

    assert (admitted.execution_id, admitted.epoch, admitted.node) == (run, 1, "n0")
    assert (row.state, row.epoch, row.fence, row.phase, row.status) == ("admitted", 1, 1, "admitted", "queued")


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


def test_after_the_last_worker_has_died_everybody_hears_of_that_and_of_nothing_older(house: Any) -> None:
    house.pool(max_concurrent_tests=1)
    [holder] = house.submit()
    house.run_pass()
    [waiting, resting] = house.submit(2)
    house.run_pass()
    house.sql("UPDATE queue SET not_before = clock_timestamp() + interval '1 h', reason = 'in backoff until noon'"
              " WHERE execution_id = :id", id=resting)  # fmt: skip

    house.sql("UPDATE workers SET expires_at = clock_timestamp() - interval '1 s'")

    listed, _ = house.do(lambda conn: gate_standing.queue(conn, DEFAULT_POOL))
    noted = house.do(lambda conn: gate_standing.noted(conn, [holder, waiting, resting]))
    told = [house.do(lambda conn, run=run: gate_standing.reason(conn, run)) for run in (waiting, resting)]
    expected = ["no live worker", "in backoff until noon"]
    assert [entry.reason for entry in listed] == [noted[run].reason for run in (waiting, resting)] == told == expected


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
    assert house.do(lambda conn: gate_standing.reason(conn, waiting)) == "the pool runs 1 of 1"


def test_limits_of_user_and_team_are_named(house: Any) -> None:
    team = house.team("payments", most=1)
    ann = house.person("ann", most=5, team=team)
    runs = house.submit(2, who=ann)

    assert house.admitted() == runs[:1]
    assert house.row(runs[1]).reason == "team payments runs 1 of 1"


@pytest.mark.parametrize(("table", "most"), [("users", 10), ("teams", 50)])
def test_the_limit_that_is_shown_where_a_quota_says_nothing_is_the_one_that_holds(
    house: Any, table: str, most: int
) -> None:
    house.node(cpu=64_000, pods=1000)
    unlimited = '{"max_concurrent_tests": null}'
    house.sql(f"UPDATE users SET quota = '{unlimited}'")
    house.sql(f"UPDATE teams SET quota = '{unlimited}'")
    house.sql(f"UPDATE {table} SET quota = '{{}}'")
    usage = house.do(lambda conn: people.quota_usage(conn, LOCAL_USER, datetime(2026, 1, 1, tzinfo=UTC)))
    shown = {"users": usage[0], "teams": usage[1]}[table]
    house.submit(60)

    assert len(house.admitted()) == most == shown.quota.max_concurrent_tests


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
    assert house.do(lambda conn: gate_standing.reason(conn, runs[-1])) == "team busy runs 1 of 1"
    [last], _ = house.do(lambda conn: gate_standing.queue(conn, DEFAULT_POOL, 1, 898))
    assert last.reason == "team busy runs 1 of 1"


def test_an_aged_run_has_its_node_kept_free(house: Any) -> None:
    [holder] = house.submit(cpu=2000)
    house.run_pass()
    [old] = house.submit(cpu=4000, priority=9)
    house.sql("UPDATE queue SET enqueued_at = enqueued_at - interval '2 hours' WHERE execution_id = :id", id=old)
    [young] = house.submit(priority=0)

    assert house.admitted() == []
    assert house.row(old).nominated == "n0"
    assert house.said(young)[-1].blocked_by == (old,)

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


def test_one_message_a_round_and_each_below_the_limit(house: Any) -> None:
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
