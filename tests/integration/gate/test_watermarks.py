"""Where the live rows begin: reading starts there, and nobody is overlooked for it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from db.gate import queue, queue_watermarks
from db.gate.queue import Requeue, Waiting
from db.seeds import DEFAULT_POOL, DEFAULT_TEAM, LOCAL_USER
from model.resources import Resources


@pytest.fixture(autouse=True)
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise a watermark however little it rises."""
    monkeypatch.setattr(queue_watermarks, "SMALLEST_STEP", 1)


def advance(gate_db: Any) -> bool:
    raised: bool = gate_db.do(lambda conn: queue_watermarks.advance(conn, DEFAULT_POOL))
    return raised


def watermark(gate_db: Any, level: int) -> int:
    return sum(
        row.lowest for row in gate_db.sql("SELECT lowest FROM queue_watermarks WHERE level = :level", level=level)
    )


def through(gate_db: Any, number: int, **given: Any) -> list[Any]:
    """Let runs come, start and end; return them."""
    runs: list[Any] = gate_db.submit(number, **given)
    places = [(run.execution_id, run.epoch) for run in gate_db.run_pass().admitted]
    assert [run for run, _ in places] == runs
    gate_db.do(lambda conn: queue.release_many(conn, places))
    return runs


def test_the_watermark_of_a_priority_is_its_first_that_waits_and_without_one_the_next_that_comes(gate_db: Any) -> None:
    through(gate_db, 5)
    [waiting] = gate_db.submit(priority=7, cpu=99_000)
    assert advance(gate_db)

    assert watermark(gate_db, 7) == gate_db.row(waiting).seq
    assert watermark(gate_db, 5) == watermark(gate_db, 0) == gate_db.row(waiting).seq + 1
    assert gate_db.admitted() == []
    later = gate_db.submit(2) + gate_db.submit(1, priority=0)
    assert sorted(gate_db.admitted()) == sorted(later)


def test_who_comes_back_below_the_watermark_is_found_in_its_old_place(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    [back] = gate_db.submit()
    gate_db.run_pass()
    [next_one] = gate_db.submit()
    advance(gate_db)
    gate_db.do(lambda conn: queue.requeue(conn, back, 1, Requeue()))
    assert watermark(gate_db, 5) > gate_db.row(back).seq

    assert gate_db.admitted() == [back]
    gate_db.do(lambda conn: queue.release(conn, back, 2))
    assert gate_db.admitted() == [next_one]


def test_no_watermark_rises_over_a_run_whose_submission_is_not_committed(gate_db: Any) -> None:
    """Its number was drawn before those of others that came, started and ended meanwhile."""
    [slow] = gate_db.submit()
    gate_db.sql("DELETE FROM queue")
    run = Waiting(
        execution_id=slow,
        pool=DEFAULT_POOL,
        priority=5,
        enqueued_at=datetime.now(UTC),  # noqa: TID251  a test is its own wiring
        user_id=LOCAL_USER,
        team_id=DEFAULT_TEAM,
        resources=Resources(cpu_milli=100),
    )
    with gate_db.db._engine.connect() as conn:
        assert queue.enqueue(conn, run)
        through(gate_db, 3)
        assert not advance(gate_db)
        conn.commit()

    assert advance(gate_db)
    assert watermark(gate_db, 5) == gate_db.row(slow).seq
    assert gate_db.admitted() == [slow]


def test_who_has_held_its_place_for_long_is_counted_still(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=2)
    [long] = gate_db.submit()
    gate_db.run_pass()
    for _ in range(3):
        through(gate_db, 1)
        advance(gate_db)
    gate_db.submit(3)

    assert len(gate_db.admitted()) == 1
    gate_db.do(lambda conn: queue.release(conn, long, 1))
    assert advance(gate_db)
    assert watermark(gate_db, queue_watermarks.HOLDING) > 1
    assert len(gate_db.admitted()) == 1
    assert gate_db.admitted() == []


def test_a_watermark_that_would_rise_by_little_is_left_alone(gate_db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_watermarks, "SMALLEST_STEP", 200)
    through(gate_db, 3)

    assert advance(gate_db)
    assert watermark(gate_db, 5) == 0
