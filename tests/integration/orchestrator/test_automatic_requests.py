"""`cpuRequest: auto`: what a test requests by what it used before, on a real database."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, update

from db import consumption, executions, nodes, runs, tables
from db.engine import Database
from db.gate import queue
from db.runs import Become, Fenced
from db.seeds import DEFAULT_POOL, LOCAL_USER, PREFECT_USER
from model.execution import Door, Phase, Status, Verdict
from model.fields import AUTO
from model.ids import BackendName, ExecutionId, NodeName, UserId, uuid7
from model.resources import ResourceRequirements, Resources, Used
from orchestrator import listing
from orchestrator.checking import check
from orchestrator.submit import Order, Submitted, submit
from scheduler.values.node import Node

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
RANDOM = Random(11)
MIB = 2**20
PASSED = Verdict(status=Status.COMPLETED)


def raw(**change: Any) -> dict[str, Any]:
    content = {"type": "inline", "files": {"a": "b"}}
    automatic = {"cpuRequest": "auto", "memoryRequest": "auto"}
    return {"name": "one", "type": "custom", "command": ["true"], "content": content, "resources": automatic} | change


def submitted(conn: Connection, user: UserId = LOCAL_USER, **change: Any) -> ExecutionId:
    execution_id = ExecutionId(uuid7(NOON, RANDOM))
    order = Order(request=check(raw(**change)), execution_id=execution_id, user_id=user, door=Door.REST, now=NOON)
    assert isinstance(submit(conn, order), Submitted)
    return execution_id


def ran(conn: Connection, cpu: float, memory: int, **change: Any) -> ExecutionId:
    """Write a run that has ended and used so much."""
    run = submitted(conn, **change)
    fenced = Fenced(run_id=run, epoch=0)
    runs.transition(conn, fenced, Status.QUEUED, Become(status=Status.RUNNING, phase=Phase.RUNNING))
    executions.open_attempt(conn, run, epoch=0, node="n0")
    executions.close_attempt(conn, run, 1, PASSED, 0)
    used = {"peak_cpu_milli": cpu, "peak_memory_bytes": memory}
    executions.set_outcome(conn, run, metrics=used, progress={})
    runs.transition(conn, fenced, Status.RUNNING, Become(status=Status.COMPLETED, phase=Phase.ENDED))
    return run


def test_without_a_history_auto_is_a_default(db: Database) -> None:
    assert db.call(lambda conn: queue.requested(conn, submitted(conn))) == Resources(
        cpu_milli=500, memory_bytes=256 * MIB
    )


def test_a_launch_gets_the_amounts_that_the_gate_has_counted() -> None:
    asked = ResourceRequirements(cpu_request=AUTO, memory_request=AUTO, cpu_limit="2")

    fixed = asked.fixed(Resources(cpu_milli=340, memory_bytes=100 * MIB))

    assert fixed == ResourceRequirements(cpu_request="340m", memory_request="100Mi", cpu_limit="2")
    assert fixed.requested() == Resources(cpu_milli=340, memory_bytes=100 * MIB)


def test_with_a_history_auto_is_the_95th_percentile_of_the_peaks(db: Database) -> None:
    """Also in another version of the test: its arguments and its timeout do not make it another one."""

    def write(conn: Connection) -> Resources:
        for number in range(1, 21):
            ran(conn, cpu=40 * number, memory=10 * number * MIB)
        return queue.requested(conn, submitted(conn, arguments=["--all"]))

    assert db.call(write) == Resources(cpu_milli=760, memory_bytes=190 * MIB)


def test_only_the_last_runs_of_the_same_test_of_the_same_owner_count(db: Database) -> None:
    def write(conn: Connection) -> Resources:
        old = ran(conn, cpu=1800, memory=900 * MIB)
        long_ago = tables.TestAttempt.execution_id == old
        conn.execute(update(tables.TestAttempt).where(long_ago).values(ended_at=NOON - timedelta(days=9)))
        for _ in range(consumption.RUNS):
            ran(conn, cpu=300, memory=100 * MIB)
        ran(conn, cpu=1800, memory=900 * MIB, name="another")
        ran(conn, cpu=1800, memory=900 * MIB, user=PREFECT_USER)
        return queue.requested(conn, submitted(conn))

    assert db.call(write) == Resources(cpu_milli=300, memory_bytes=100 * MIB)


@pytest.mark.parametrize(
    ("cpu", "memory", "expected"),
    [
        (0, MIB, Resources(cpu_milli=100, memory_bytes=64 * MIB)),
        (2013, 5000 * MIB, Resources(cpu_milli=2000, memory_bytes=4096 * MIB)),
    ],
    ids=["a test that did nothing", "a test that had the whole machine"],
)
def test_auto_has_a_floor_and_fits_on_the_largest_node(
    db: Database, cpu: int, memory: int, expected: Resources
) -> None:
    def write(conn: Connection) -> Resources:
        for name, cores in (("n0", 1000), ("n1", 2000)):
            capacity = Resources(cpu_milli=cores, memory_bytes=4096 * MIB)
            one = Node(name=NodeName(name), capacity=capacity, backend=BackendName(f"local/{name}"))
            nodes.record(conn, DEFAULT_POOL, [one])
        ran(conn, cpu=cpu, memory=memory)
        return queue.requested(conn, submitted(conn))

    assert db.call(write) == expected


def test_a_request_that_is_given_stays_and_the_use_is_suggested(db: Database) -> None:
    given = {"cpuRequest": "1", "memoryRequest": "1Gi"}

    def write(conn: Connection) -> tuple[Resources, Used | None, Used | None]:
        before = listing.show(conn, submitted(conn, resources=given)).used
        run = ran(conn, cpu=340, memory=100 * MIB, resources=given)
        return queue.requested(conn, submitted(conn, resources=given)), before, listing.show(conn, run).used

    asked, before, after = db.call(write)
    assert asked == Resources(cpu_milli=1000, memory_bytes=1024 * MIB)
    assert before is None
    assert after == Used(cpu_milli=340, memory_bytes=100 * MIB, runs=1)
