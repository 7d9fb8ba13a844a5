"""Settings of pools, facts of nodes, and the list of who waits."""

from typing import Any

import pytest

from db import gate, nodes, pools
from db.errors import ConflictError, NotFoundError
from db.pools import Pool, PoolChange
from db.seeds import DEFAULT_POOL
from model.config import Effect
from model.ids import NodeName, PoolName
from model.resources import Resources
from scheduler.node import Node, Taint
from scheduler.pool import Strategy


def test_settings_change_one_by_one_and_count_versions(bare: Any) -> None:
    before = bare.do(lambda conn: pools.read(conn, DEFAULT_POOL))
    change = PoolChange(max_concurrent_tests=7, strategy=Strategy.FIFO, default_node_selector={"disk": "ssd"})

    after = bare.do(lambda conn: pools.update_pool(conn, DEFAULT_POOL, change))

    assert after == bare.do(lambda conn: pools.read(conn, DEFAULT_POOL))
    assert (after.max_concurrent_tests, after.strategy, after.default_node_selector) == (7, "FIFO", {"disk": "ssd"})
    assert (after.version, after.ageing_limit_seconds) == (before.version + 1, before.ageing_limit_seconds)


@pytest.mark.parametrize(
    "change",
    [
        {"max_concurrent_tests": -1},
        {"target_node_utilization": 0.0},
        {"target_node_utilization": 1.5},
        {"ageing_limit_seconds": 0.0},
        {"scheduling_interval_seconds": float("nan")},
    ],
)
def test_settings_that_cannot_be_are_refused(bare: Any, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        bare.do(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(**change)))
    assert bare.do(lambda conn: pools.read(conn, DEFAULT_POOL)).version == 1


def test_pools_are_made_once_and_found_by_name(bare: Any) -> None:
    made = bare.do(lambda conn: pools.create(conn, Pool(name=PoolName("gpu"), max_concurrent_tests=2)))

    assert bare.do(lambda conn: pools.read(conn, PoolName("gpu"))) == made
    assert bare.do(pools.names) == ["default", "gpu"]
    with pytest.raises(ConflictError, match="there is a pool gpu already"):
        bare.do(lambda conn: pools.create(conn, Pool(name=PoolName("gpu"))))
    for unknown in (pools.read, lambda c, n: pools.update_pool(c, n, PoolChange())):
        with pytest.raises(NotFoundError, match="no pool nowhere"):
            bare.do(lambda conn, unknown=unknown: unknown(conn, PoolName("nowhere")))


def test_nodes_are_read_as_they_were_recorded(bare: Any) -> None:
    facts = Node(
        name=NodeName("n1"),
        capacity=Resources(cpu_milli=2000, memory_bytes=2**40, ephemeral_bytes=5, gpu=1),
        pods=7,
        labels={"disk": "ssd"},
        taints=(Taint(key="gpu", value="yes", effect=Effect.NO_SCHEDULE),),
        ready=False,
    )
    bare.node("n0")
    bare.do(lambda conn: nodes.record(conn, DEFAULT_POOL, [facts]))

    assert [node.name for node in bare.do(lambda conn: nodes.read(conn, DEFAULT_POOL))] == ["n0", "n1"]
    assert bare.do(lambda conn: nodes.read(conn, DEFAULT_POOL))[1] == facts

    bare.do(lambda conn: nodes.forget(conn, DEFAULT_POOL, [NodeName("n0")]))

    assert bare.do(lambda conn: nodes.read(conn, DEFAULT_POOL)) == [facts]


def test_the_list_is_in_the_order_of_the_plan(house: Any) -> None:
    plain = house.submit(2, priority=5)
    urgent = house.submit(priority=0)
    aged = house.submit(priority=9)
    resting = house.submit(priority=0)
    house.sql("UPDATE queue SET enqueued_at = enqueued_at - interval '2 hours' WHERE execution_id = :id", id=aged[0])
    house.sql("UPDATE queue SET not_before = now() + interval '1 hour' WHERE execution_id = :id", id=resting[0])

    entries, total = house.do(lambda conn: gate.queue(conn, DEFAULT_POOL, 10, 0))

    assert total == 5
    assert [entry.execution_id for entry in entries] == [*aged, *urgent, *plain, *resting]
    assert [entry.position for entry in entries] == [1, 2, 3, 4, None]
    assert [house.position(entry.execution_id).position for entry in entries] == [1, 2, 3, 4, None]
    assert [e.execution_id for e in house.do(lambda conn: gate.queue(conn, DEFAULT_POOL, 2, 1))[0]] == [
        *urgent,
        plain[0],
    ]
