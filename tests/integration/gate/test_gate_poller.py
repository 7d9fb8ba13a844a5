"""The pulse of a worker: however long the interval of the pool is, what is due is seen at the next look."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from db import nodes, pools, workers
from db.gate import pass_locks, queue
from db.gate.queue import Requeue
from db.pools import Pool
from db.seeds import DEFAULT_POOL
from flows.gate_poller import LONGEST, GatePoller
from model.ids import PoolName, WorkerId
from orchestrator import admission

SECOND = PoolName("second")


@pytest.fixture
def pulse(gate_db: Any) -> GatePoller:
    """A pulse whose pool wants a pass an hour."""
    gate_db.pool(scheduling_interval_seconds=3600.0)

    async def again() -> None:
        """Nothing: what is due is seen without it."""

    return GatePoller(gate_db.db, DEFAULT_POOL, again)


def waiting(gate_db: Any) -> int:
    return len(gate_db.sql("SELECT FROM queue WHERE pool = 'default' AND state = 'waiting'"))


def one_in_backoff(gate_db: Any) -> Any:
    [run] = gate_db.submit()
    gate_db.run_pass()
    gate_db.do(lambda conn: queue.requeue(conn, run, 1, Requeue(delay=timedelta(hours=1))))
    return lambda: gate_db.sql("UPDATE queue SET not_before = clock_timestamp()")


def one_without_a_node(gate_db: Any) -> Any:
    gate_db.submit(cpu=9000)
    return lambda: gate_db.node("n1", cpu=10_000)


def one_of_a_team_that_runs_elsewhere(gate_db: Any) -> Any:
    gate_db.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    gate_db.worker("w2", pool=SECOND)
    gate_db.do(lambda conn: nodes.record(conn, SECOND, nodes.read(conn, DEFAULT_POOL)))
    ann = gate_db.person("ann", most=9, team=gate_db.team("red", most=1))
    [there], _ = gate_db.submit(who=ann, pool=SECOND), gate_db.submit(who=ann)
    gate_db.do(lambda conn: admission.request(conn, SECOND, blocking=True))
    return lambda: gate_db.do(lambda conn: queue.release(conn, there, 1))


def one_of_a_team_whose_place_is_kept_for_another_pool(gate_db: Any) -> Any:
    gate_db.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    gate_db.worker("w2", pool=SECOND)
    gate_db.do(lambda conn: nodes.record(conn, SECOND, nodes.read(conn, DEFAULT_POOL)))
    ann = gate_db.person("ann", most=9, team=gate_db.team("red", most=1))
    [holder] = gate_db.submit(who=ann)
    gate_db.run_pass()
    [old] = gate_db.submit(who=ann, pool=SECOND)
    gate_db.sql("UPDATE queue SET enqueued_at = enqueued_at - interval '12 hours' WHERE execution_id = :id", id=old)
    gate_db.do(lambda conn: admission.request(conn, SECOND, blocking=True))
    gate_db.do(lambda conn: queue.release(conn, holder, 1))
    gate_db.submit(who=ann)
    return lambda: gate_db.do(lambda conn: queue.withdraw(conn, old))


def one_without_a_worker(gate_db: Any) -> Any:
    gate_db.do(lambda conn: workers.leave(conn, WorkerId("w0")))
    gate_db.submit()
    return lambda: gate_db.worker("w1")


def one_of_a_user_who_may_run_none(gate_db: Any) -> Any:
    gate_db.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 0}'")
    gate_db.submit()
    return lambda: gate_db.sql("UPDATE users SET quota = '{\"max_concurrent_tests\": 1}'")


def one_behind_a_place_that_nobody_took_up(gate_db: Any) -> Any:
    gate_db.pool(max_concurrent_tests=1)
    gate_db.submit(2, priority=5)
    gate_db.run_pass()
    [lost] = [row.execution_id for row in gate_db.sql("SELECT execution_id FROM queue WHERE state = 'admitted'")]
    gate_db.sql("UPDATE runs SET status = 'cancelled', phase = 'ended' WHERE id = :id", id=lost)
    return lambda: gate_db.sql("UPDATE queue SET admitted_at = admitted_at - interval '61 s' WHERE state = 'admitted'")


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
    gate_db: Any, pulse: GatePoller, prepare: Callable[[Any], Any]
) -> None:
    happen = prepare(gate_db)
    for second in (1, 2, 3):
        assert await pulse.beat(second) == LONGEST
    assert waiting(gate_db) == 1

    happen()
    await pulse.beat(4)

    assert waiting(gate_db) == 0


async def test_a_new_run_whose_own_pass_waited_in_vain_is_seen(gate_db: Any, pulse: GatePoller) -> None:
    await pulse.beat(1)
    gate_db.submit()

    await pulse.beat(2)

    assert waiting(gate_db) == 0


async def test_while_nothing_happens_passes_are_as_seldom_as_the_pool_says(gate_db: Any, pulse: GatePoller) -> None:
    gate_db.submit(cpu=9000)
    made = []
    for second in (1, 2, 3, 4, 3602, 3603):
        gate_db.sql("UPDATE pools SET annotated_at = NULL")
        await pulse.beat(second)
        made += [second for row in gate_db.sql("SELECT annotated_at FROM pools") if row.annotated_at]

    assert made == [1, 3602]


async def test_what_another_s_pass_may_have_overlooked_stays_due(gate_db: Any, pulse: GatePoller) -> None:
    await pulse.beat(1)

    def while_one_is_under_way(conn: Connection) -> None:
        assert pass_locks.try_pass(conn, DEFAULT_POOL)
        gate_db.submit()

    with gate_db.db._engine.begin() as other:
        while_one_is_under_way(other)
        await pulse.beat(2)
        assert waiting(gate_db) == 1
    await pulse.beat(3)

    assert waiting(gate_db) == 0


async def test_whom_another_pool_s_pass_is_in_the_way_of_is_looked_at_again_at_once_and_stays_due(gate_db: Any) -> None:
    gate_db.pool(scheduling_interval_seconds=3600.0)
    gate_db.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    ann = gate_db.person("ann", most=9)
    again: list[int] = []

    async def look_again() -> None:
        again.append(waiting(gate_db))

    pulse = GatePoller(gate_db.db, DEFAULT_POOL, look_again)
    gate_db.submit(who=ann)
    with gate_db.db._engine.begin() as other:
        assert pass_locks.try_claims(other, [pass_locks.owner_claim(ann.user_id)])
        await pulse.beat(1)
    assert again == [1]
    await pulse.beat(2)

    assert (again, waiting(gate_db)) == ([1], 0)


async def test_a_pool_that_wants_them_oftener_gets_them_oftener(gate_db: Any, pulse: GatePoller) -> None:
    gate_db.pool(scheduling_interval_seconds=0.25)

    assert await pulse.beat(1) == timedelta(seconds=0.25)
