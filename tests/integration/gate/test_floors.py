"""Where the live rows begin: reading starts there, and nobody is overlooked for it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from db import gate, gate_floors
from db.gate import Requeue, Waiting
from db.seeds import DEFAULT_POOL, DEFAULT_TEAM, LOCAL_USER
from model.resources import Resources


@pytest.fixture(autouse=True)
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise a floor however little it rises."""
    monkeypatch.setattr(gate_floors, "LEAP", 1)


def lift(house: Any) -> bool:
    lifted: bool = house.do(lambda conn: gate_floors.lift(conn, DEFAULT_POOL))
    return lifted


def floor(house: Any, level: int) -> int:
    return sum(row.lowest for row in house.sql("SELECT lowest FROM queue_floors WHERE level = :level", level=level))


def through(house: Any, number: int, **given: Any) -> list[Any]:
    """Let runs come, start and end; return them."""
    runs: list[Any] = house.submit(number, **given)
    places = [(run.execution_id, run.epoch) for run in house.run_pass().admitted]
    assert [run for run, _ in places] == runs
    house.do(lambda conn: gate.release_many(conn, places))
    return runs


def test_the_floor_of_a_priority_is_its_first_that_waits_and_without_one_the_next_that_comes(house: Any) -> None:
    through(house, 5)
    [waiting] = house.submit(priority=7, cpu=99_000)
    assert lift(house)

    assert floor(house, 7) == house.row(waiting).seq
    assert floor(house, 5) == floor(house, 0) == house.row(waiting).seq + 1
    assert house.admitted() == []
    later = house.submit(2) + house.submit(1, priority=0)
    assert sorted(house.admitted()) == sorted(later)


def test_who_comes_back_below_the_floor_is_found_in_its_old_place(house: Any) -> None:
    house.pool(max_concurrent_tests=1)
    [back] = house.submit()
    house.run_pass()
    [next_one] = house.submit()
    lift(house)
    house.do(lambda conn: gate.requeue(conn, back, 1, Requeue()))
    assert floor(house, 5) > house.row(back).seq

    assert house.admitted() == [back]
    house.do(lambda conn: gate.release(conn, back, 2))
    assert house.admitted() == [next_one]


def test_no_floor_rises_over_a_run_whose_submission_is_not_committed(house: Any) -> None:
    """Its number was drawn before those of others that came, started and ended meanwhile."""
    [slow] = house.submit()
    house.sql("DELETE FROM queue")
    run = Waiting(
        execution_id=slow,
        pool=DEFAULT_POOL,
        priority=5,
        enqueued_at=datetime.now(UTC),  # noqa: TID251  a test is its own wiring
        user_id=LOCAL_USER,
        team_id=DEFAULT_TEAM,
        resources=Resources(cpu_milli=100),
    )
    with house.db._engine.connect() as conn:
        assert gate.enqueue(conn, run)
        through(house, 3)
        assert not lift(house)
        conn.commit()

    assert lift(house)
    assert floor(house, 5) == house.row(slow).seq
    assert house.admitted() == [slow]


def test_who_has_held_its_place_for_long_is_counted_still(house: Any) -> None:
    house.pool(max_concurrent_tests=2)
    [long] = house.submit()
    house.run_pass()
    for _ in range(3):
        through(house, 1)
        lift(house)
    house.submit(3)

    assert len(house.admitted()) == 1
    house.do(lambda conn: gate.release(conn, long, 1))
    assert lift(house)
    assert floor(house, gate_floors.HOLDING) > 1
    assert len(house.admitted()) == 1
    assert house.admitted() == []


def test_a_floor_that_would_rise_by_little_is_left_alone(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_floors, "LEAP", 200)
    through(house, 3)

    assert lift(house)
    assert floor(house, 5) == 0
