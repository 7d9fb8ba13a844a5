"""The pulse of a worker: however long the interval of the pool is, what is due is seen at the next look."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from db import gate, gate_locks, nodes, pools, workers
from db.gate import Requeue
from db.pools import Pool
from db.seeds import DEFAULT_POOL
from flows.pulse import LONGEST, Pulse
from model.ids import PoolName, WorkerId

SECOND = PoolName("second")


@pytest.fixture
def pulse(house: Any) -> Pulse:
    """A pulse whose pool wants a pass an hour."""
    house.pool(scheduling_interval_seconds=3600.0)

    async def again() -> None:
        """Nothing: what is due is seen without it."""

    return Pulse(house.db, DEFAULT_POOL, again)


def waiting(house: Any) -> int:
    return len(house.sql("SELECT FROM queue WHERE pool = 'default' AND state = 'waiting'"))


def one_in_backoff(house: Any) -> Any:
    [run] = house.submit()
    house.run_pass()
    house.do(lambda conn: gate.requeue(conn, run, 1, Requeue(delay=timedelta(hours=1))))
    return lambda: house.sql("UPDATE queue SET not_before = clock_timestamp()")


def one_without_a_node(house: Any) -> Any:
    house.submit(cpu=9000)
    return lambda: house.node("n1", cpu=10_000)


def one_of_a_team_that_runs_elsewhere(house: Any) -> Any:
    house.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    house.worker("w2", pool=SECOND)
    house.do(lambda conn: nodes.record(conn, SECOND, nodes.read(conn, DEFAULT_POOL)))
    ann = house.person("ann", most=9, team=house.team("red", most=1))
    [there], _ = house.submit(who=ann, pool=SECOND), house.submit(who=ann)
    house.do(lambda conn: gate.run_pass(conn, SECOND, blocking=True))
    return lambda: house.do(lambda conn: gate.release(conn, there, 1))


def one_of_a_team_whose_place_is_kept_for_another_pool(house: Any) -> Any:
    house.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    house.worker("w2", pool=SECOND)
    house.do(lambda conn: nodes.record(conn, SECOND, nodes.read(conn, DEFAULT_POOL)))
    ann = house.person("ann", most=9, team=house.team("red", most=1))
    [holder] = house.submit(who=ann)
    house.run_pass()
    [old] = house.submit(who=ann, pool=SECOND)
    house.sql("UPDATE queue SET enqueued_at = enqueued_at - interval '2 hours' WHERE execution_id = :id", id=old)
    house.do(lambda conn: gate.run_pass(conn, SECOND, blocking=True))
    house.do(lambda conn: gate.release(conn, holder, 1))
    house.submit(who=ann)
    return lambda: house.do(lambda conn: gate.withdraw(conn, old))


def one_without_a_worker(house: Any) -> Any:
    house.do(lambda conn: workers.leave(conn, WorkerId("w0")))
    house.submit()
    return lambda: house.worker("w1")


def one_of_a_user_who_may_run_none(house: Any) -> Any:
    house.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 0}'")
    house.submit()
    return lambda: house.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 1}'")


def one_behind_a_place_that_nobody_took_up(house: Any) -> Any:
    house.pool(max_concurrent_tests=1)
    house.submit(2, priority=5)
    house.run_pass()
    [lost] = [row.execution_id for row in house.sql("SELECT execution_id FROM queue WHERE state = 'admitted'")]
    house.sql("UPDATE test_executions SET status = 'cancelled', phase = 'ended' WHERE execution_id = :id", id=lost)
    return lambda: house.sql("UPDATE queue SET admitted_at = admitted_at - interval '61 s' WHERE state = 'admitted'")


CASES: tuple[Callable[[Any], Any], ...] = (
    one_in_backoff,
    one_without_a_node,
    one_of_a_team_that_runs_elsewhere,
    one_of_a_team_whose_place_is_kept_for_another_pool,
    one_without_a_worker,
    one_of_a_user_who_may_run_none,
    one_behind_a_place_that_nobody_took_up,
)


@pytest.mark.parametrize("prepare", CASES)
async def test_what_is_due_is_seen_within_a_second_however_long_the_interval_is(
    house: Any, pulse: Pulse, prepare: Callable[[Any], Any]
) -> None:
    happen = prepare(house)
    for second in (1, 2, 3):
        assert await pulse.beat(second) == LONGEST
    assert waiting(house) == 1

    happen()
    await pulse.beat(4)

    assert waiting(house) == 0


async def test_a_new_run_whose_own_pass_waited_in_vain_is_seen(house: Any, pulse: Pulse) -> None:
    await pulse.beat(1)
    house.submit()

    await pulse.beat(2)

    assert waiting(house) == 0


async def test_while_nothing_happens_passes_are_as_seldom_as_the_pool_says(house: Any, pulse: Pulse) -> None:
    house.submit(cpu=9000)
    made = []
    for second in (1, 2, 3, 4, 3602, 3603):
        house.sql("UPDATE pools SET annotated_at = NULL")
        await pulse.beat(second)
        made += [second for row in house.sql("SELECT annotated_at FROM pools") if row.annotated_at]

    assert made == [1, 3602]


async def test_what_another_s_pass_may_have_overlooked_stays_due(house: Any, pulse: Pulse) -> None:
    await pulse.beat(1)

    def while_one_is_under_way(conn: Connection) -> None:
        assert gate_locks.try_pass(conn, DEFAULT_POOL)
        house.submit()

    with house.db._engine.begin() as other:
        while_one_is_under_way(other)
        await pulse.beat(2)
        assert waiting(house) == 1
    await pulse.beat(3)

    assert waiting(house) == 0


async def test_whom_another_pool_s_pass_is_in_the_way_of_is_looked_at_again_at_once_and_stays_due(house: Any) -> None:
    house.pool(scheduling_interval_seconds=3600.0)
    house.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    ann = house.person("ann", most=9)
    again: list[int] = []

    async def look_again() -> None:
        again.append(waiting(house))

    pulse = Pulse(house.db, DEFAULT_POOL, look_again)
    house.submit(who=ann)
    with house.db._engine.begin() as other:
        assert gate_locks.try_claims(other, [gate_locks.owner_claim(ann.user_id)])
        await pulse.beat(1)
    assert again == [1]
    await pulse.beat(2)

    assert (again, waiting(house)) == ([1], 0)


async def test_a_pool_that_wants_them_oftener_gets_them_oftener(house: Any, pulse: Pulse) -> None:
    house.pool(scheduling_interval_seconds=0.25)

    assert await pulse.beat(1) == timedelta(seconds=0.25)
