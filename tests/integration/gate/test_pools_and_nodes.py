"""Settings of pools, facts of nodes, and the list of who waits."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection

from db import nodes, pools
from db.errors import ConflictError, NotFoundError
from db.gate import queue_position
from db.pools import Pool, PoolChange
from db.seeds import DEFAULT_POOL
from model.config import Effect
from model.ids import BackendName, NodeName, PoolName
from model.resources import Resources
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.node import DEFAULT_BACKEND, Node, Taint
from scheduler.values.node_table import HOSTNAME
from scheduler.values.pool import Strategy


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


def test_the_version_of_the_nodes_rises_with_each_change_and_only_then(bare: Any) -> None:
    def version() -> int:
        found = bare.do(lambda conn: nodes.snapshot(conn, DEFAULT_POOL))
        assert list(found.nodes) == bare.do(lambda conn: nodes.read(conn, DEFAULT_POOL))
        return found.version

    versions = [version()]
    for change in (
        lambda: bare.node("n0"),
        lambda: bare.node("n1"),
        lambda: bare.node("n0", cpu=1),
        lambda: bare.node("n0", cpu=1, ready=False),
        lambda: bare.node("n0", cpu=1, ready=False, labels={"a": "b"}),
        lambda: bare.do(lambda conn: nodes.forget(conn, DEFAULT_POOL, [NodeName("n1")])),
    ):
        change()
        versions.append(version())
    bare.node("n0", cpu=1, ready=False, labels={"a": "b"})
    bare.do(lambda conn: nodes.forget(conn, DEFAULT_POOL, [NodeName("n1")]))

    assert versions[0] == 0
    assert versions == sorted(set(versions))
    assert version() == versions[-1]


def test_the_same_facts_again_renew_the_age_of_the_snapshot_only(bare: Any) -> None:
    bare.node()
    bare.sql("UPDATE node_snapshots SET observed_at = 'epoch'")
    bare.sql("UPDATE nodes SET observed_at = 'epoch'")

    bare.node()

    seen = "SELECT count(*) FROM {} WHERE observed_at > now() - interval '1 minute'"
    assert [bare.sql(seen.format(table))[0][0] for table in ("node_snapshots", "nodes")] == [1, 0]


def test_a_snapshot_that_is_known_is_not_read_again(bare: Any) -> None:
    bare.node()
    known = bare.do(lambda conn: nodes.snapshot(conn, DEFAULT_POOL))

    assert bare.do(lambda conn: nodes.snapshot(conn, DEFAULT_POOL, known.version)) is None
    bare.node("n1")
    assert len(bare.do(lambda conn: nodes.snapshot(conn, DEFAULT_POOL, known.version)).nodes) == 2


def test_each_pass_has_a_fleet_of_its_own_on_the_same_ground(bare: Any) -> None:
    bare.node()
    first, version = bare.do(lambda conn: nodes.node_usage(conn, DEFAULT_POOL))
    first.take(NodeName("n0"), Resources(cpu_milli=1000), 1, (("app", "web"),))
    second, same = bare.do(lambda conn: nodes.node_usage(conn, DEFAULT_POOL))

    assert same == version
    assert second.node_table is first.node_table
    assert not second.used.any()
    hosts = second.node_table.domains(HOSTNAME)
    assert not second.label_counts.by_domain(HOSTNAME, hosts, (("app", "web"),)).any()
    assert first.label_counts.by_domain(HOSTNAME, hosts, (("app", "web"),)).tolist() == [1]

    bare.node("n1")
    third, later = bare.do(lambda conn: nodes.node_usage(conn, DEFAULT_POOL))

    assert later > version
    assert [node.name for node in third.nodes] == ["n0", "n1"]


def test_a_pool_made_anew_is_not_taken_for_the_old_one(bare: Any) -> None:
    bare.node("old")
    _, version = bare.do(lambda conn: nodes.node_usage(conn, DEFAULT_POOL))
    bare.sql("TRUNCATE nodes, node_snapshots")
    bare.node("new")

    fleet, later = bare.do(lambda conn: nodes.node_usage(conn, DEFAULT_POOL))

    assert [node.name for node in fleet.nodes] == ["new"]
    assert later != version


@pytest.mark.parametrize("packed", ["version = 0, packed = ''", "packed = '\\xff00'"])
def test_nodes_that_nobody_packed_or_another_version_did_are_read_row_by_row(bare: Any, packed: str) -> None:
    """So it is right after an upgrade, and while two versions of Assay run side by side."""
    bare.node("n0")
    bare.node("n1")
    bare.sql(f"UPDATE node_snapshots SET {packed}")

    fleet, _ = bare.do(lambda conn: nodes.node_usage(conn, DEFAULT_POOL))

    assert [node.name for node in fleet.nodes] == ["n0", "n1"]
    bare.node("n0")
    assert bare.do(lambda conn: nodes.snapshot(conn, DEFAULT_POOL)).version
    bare.node("n2")
    assert len(bare.do(lambda conn: nodes.snapshot(conn, DEFAULT_POOL)).nodes) == 3


def test_a_fleet_knows_which_of_its_nodes_are_served_whatever_was_asked_before(bare: Any) -> None:
    """A process keeps fleets ready; one for other live workers must not be given."""
    one, other = BackendName("local/n0"), BackendName("local/n1")
    bare.node("n0", backend=one)
    bare.node("n1", backend=other)

    def served(*backends: BackendName) -> list[bool]:
        fleet, _ = bare.do(
            lambda conn: nodes.node_usage(conn, DEFAULT_POOL, reach=nodes.Reach(served=frozenset(backends)))
        )
        return [bool(each) for each in fleet.node_table.served]

    asked = [(one, other), (one,), (other,), (), (one,), (one, other), (one, other, BackendName("local/n2"))]
    assert [served(*backends) for backends in asked] == [
        [backend in backends for backend in (one, other)] for backends in asked
    ]
    bare.node("n1", backend=one)
    assert served(one) == [True, True]


def test_two_who_write_at_once_lose_nothing(bare: Any) -> None:
    """The second waits until the first has committed, and adds to what that one wrote."""
    bare.node("n0")
    locked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    with ThreadPoolExecutor(1) as thread:

        def first(conn: Connection) -> Future[None]:
            nodes.forget(conn, DEFAULT_POOL, [])  # locks, and changes nothing yet
            second = thread.submit(bare.node, "n2")
            while not bare.sql(locked)[0][0]:
                assert not second.done()
            nodes.record(conn, DEFAULT_POOL, [Node(name=NodeName("n1"), capacity=Resources(cpu_milli=1))])
            return second

        bare.do(first).result(timeout=30)

    names = ["n0", "n1", "n2"]
    assert [node.name for node in bare.do(lambda conn: nodes.snapshot(conn, DEFAULT_POOL)).nodes] == names
    assert [node.name for node in bare.do(lambda conn: nodes.read(conn, DEFAULT_POOL))] == names


def test_the_fleets_that_are_ready_are_bounded() -> None:
    ready = nodes._Ready()
    for number in range(nodes.FLEETS + 3):
        ready.keep(("url", PoolName(str(number))), nodes._Base(version=1, node_usage=NodeUsage()))

    assert ready.get(("url", PoolName("2"))).version == nodes.UNKNOWN
    assert ready.get(("url", PoolName("3"))).version == 1


def test_the_list_is_in_the_order_of_the_plan(gate_db: Any) -> None:
    plain = gate_db.submit(2, priority=5)
    urgent = gate_db.submit(priority=0)
    aged = gate_db.submit(priority=9)
    resting = gate_db.submit(priority=0)
    gate_db.sql("UPDATE queue SET enqueued_at = enqueued_at - interval '12 hours' WHERE execution_id = :id", id=aged[0])
    gate_db.sql("UPDATE queue SET not_before = now() + interval '1 hour' WHERE execution_id = :id", id=resting[0])

    entries, total = gate_db.do(lambda conn: queue_position.queue(conn, DEFAULT_POOL, 10, 0))

    assert total == 5
    assert [entry.execution_id for entry in entries] == [*aged, *urgent, *plain, *resting]
    assert [entry.position for entry in entries] == [1, 2, 3, 4, None]
    assert [gate_db.position(entry.execution_id).position for entry in entries] == [1, 2, 3, 4, None]
    assert [e.execution_id for e in gate_db.do(lambda conn: queue_position.queue(conn, DEFAULT_POOL, 2, 1))[0]] == [
        *urgent,
        plain[0],
    ]


def facts_of(*cpus: int) -> tuple[Node, ...]:
    return tuple(Node(name=NodeName(f"c{i}"), capacity=Resources(cpu_milli=cpu)) for i, cpu in enumerate(cpus))


def test_the_nodes_of_a_backend_are_written_where_they_differ_and_taken_out_where_they_are_gone(bare: Any) -> None:
    def record(facts: tuple[Node, ...], last: Any = None) -> Any:
        return bare.do(lambda conn: nodes.record_all(conn, DEFAULT_POOL, DEFAULT_BACKEND, facts, last))

    rows = "SELECT name, CAST(CAST(xmin AS text) AS bigint) AS by FROM nodes ORDER BY name"
    first = record(facts_of(1, 2, 3))
    written = {row.name: row.by for row in bare.sql(rows)}
    second = record(facts_of(1, 9), first)
    again = record(facts_of(1, 9), second)

    after = {row.name: row.by for row in bare.sql(rows)}
    assert [node.capacity.cpu_milli for node in bare.do(lambda conn: nodes.read(conn, DEFAULT_POOL))] == [1, 9]
    assert {name for name, by in after.items() if by != written[name]} == {"c1"}
    assert again is second
    assert second.version > first.version


def test_what_another_worker_wrote_meanwhile_is_written_again(bare: Any) -> None:
    first = bare.do(lambda conn: nodes.record_all(conn, DEFAULT_POOL, DEFAULT_BACKEND, facts_of(1)))
    bare.do(lambda conn: nodes.record_all(conn, DEFAULT_POOL, DEFAULT_BACKEND, facts_of(5)))

    bare.do(lambda conn: nodes.record_all(conn, DEFAULT_POOL, DEFAULT_BACKEND, facts_of(1), first))

    assert [node.capacity.cpu_milli for node in bare.do(lambda conn: nodes.read(conn, DEFAULT_POOL))] == [1]


def test_of_two_workers_that_look_at_one_backend_one_writes(bare: Any) -> None:
    def first(conn: Connection) -> Any:
        held = nodes.record_all(conn, DEFAULT_POOL, DEFAULT_BACKEND, facts_of(1))
        other = bare.do(lambda own: nodes.record_all(own, DEFAULT_POOL, DEFAULT_BACKEND, facts_of(2)))
        return held, other

    held, other = bare.do(first)

    assert (held is None, other) == (False, None)
    assert [node.capacity.cpu_milli for node in bare.do(lambda conn: nodes.read(conn, DEFAULT_POOL))] == [1]
