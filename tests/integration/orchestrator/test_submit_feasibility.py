"""What is asked for against the nodes, at submit; and what of a request the queue row keeps for the gate."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from db import nodes, pools
from db.engine import Database
from db.errors import NotFoundError
from db.pools import Pool, PoolChange
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.execution import Door
from model.ids import ExecutionId, NodeName, PoolName, SuiteRunId, uuid7
from model.problems import InvalidError
from model.resources import Resources
from orchestrator.checking import check, check_suite
from orchestrator.submit import Order, Submitted, submit
from orchestrator.suites import SuiteOrder, SuiteSubmitted, submit_suite
from scheduler.values.node import Node

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
RANDOM = Random(5)
GI = 2**30
RAW = {"name": "one", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}


def add(db: Database, *names: str, cpu: int = 4000, **facts: Any) -> None:
    capacity = Resources(cpu_milli=cpu, memory_bytes=8 * GI)
    made = [Node(name=NodeName(name), capacity=capacity, **facts) for name in names]
    db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, made))


def fix(db: Database) -> None:
    db.call(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(fixed_nodes=True)))


def order(**change: Any) -> Order:
    pool = change.pop("pool", DEFAULT_POOL)
    return Order(
        request=check(RAW | change),
        execution_id=ExecutionId(uuid7(NOON, RANDOM)),
        user_id=LOCAL_USER,
        door=Door.REST,
        now=NOON,
        pool=pool,
    )


def submitted(db: Database, **change: Any) -> Submitted:
    wanted = order(**change)
    outcome = db.call(lambda conn: submit(conn, wanted))
    assert isinstance(outcome, Submitted)
    return outcome


def suite(db: Database, *tests: dict[str, Any], start: str = "together") -> SuiteSubmitted:
    whole = [RAW | {"name": f"t{number}"} | test for number, test in enumerate(tests)]
    wanted = SuiteOrder(
        suite=check_suite({"name": "suite", "start": start, "tests": whole}),
        suite_run_id=SuiteRunId(uuid7(NOON, RANDOM)),
        user_id=LOCAL_USER,
        door=Door.REST,
        now=NOON,
    )
    outcome = db.call(lambda conn: submit_suite(conn, wanted))
    assert isinstance(outcome, SuiteSubmitted)
    return outcome


def problems(work: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as caught:
        work()
    return [(problem.path, problem.message) for problem in caught.value.problems]


def queued(db: Database) -> list[Any]:
    return db.call(lambda conn: conn.execute(text("SELECT * FROM queue ORDER BY seq")).all())


def test_more_than_any_fixed_node_has_is_refused_with_the_largest_nodes_numbers(db: Database) -> None:
    add(db, "small", cpu=1000)
    add(db, "large")
    fix(db)

    found = problems(lambda: submitted(db, resources={"cpuRequest": "5", "memoryRequest": "9Gi", "gpuRequest": 1}))

    assert found == [
        ("resources.cpuRequest", "needs 5000m CPU; the largest node has 4000m CPU"),
        ("resources.gpuRequest", "needs 1 GPU; the largest node has 0 GPUs"),
        ("resources.memoryRequest", "needs 9Gi memory; the largest node has 8Gi memory"),
    ]
    assert queued(db) == []


def test_what_is_too_large_waits_with_a_warning_where_a_larger_node_may_come(db: Database) -> None:
    add(db, "large")

    outcome = submitted(db, resources={"cpuRequest": "5"})

    assert outcome.warnings == (
        "it waits until the pool's nodes change: needs 5000m CPU; the largest node has 4000m CPU",
    )
    assert len(queued(db)) == 1


def bound(db: Database, **ceiling: int) -> None:
    db.call(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(**ceiling)))


def test_more_than_the_pool_may_ever_use_is_told_as_for_too_small_nodes(db: Database) -> None:
    add(db, "large")
    bound(db, max_cpu_milli=2000, max_memory_bytes=GI)
    asked = {"cpuRequest": "3", "memoryRequest": "2Gi"}

    assert submitted(db, resources=asked).warnings == (
        "it waits until the pool's limit is raised: needs 3000m CPU; the pool may use 2000m CPU",
        "it waits until the pool's limit is raised: needs 2Gi memory; the pool may use 1Gi memory",
    )
    fix(db)
    assert problems(lambda: submitted(db, resources=asked)) == [
        ("resources.cpuRequest", "needs 3000m CPU; the pool may use 2000m CPU"),
        ("resources.memoryRequest", "needs 2Gi memory; the pool may use 1Gi memory"),
    ]
    assert len(queued(db)) == 1


def test_a_group_that_the_pool_may_never_have_at_once_is_told(db: Database) -> None:
    add(db, "a", "b", "c")
    bound(db, max_cpu_milli=2000, max_concurrent_tests=2)
    tests = [{"resources": {"cpuRequest": "1"}}] * 3

    assert suite(db, *tests).warnings == (
        "they wait until the pool's limit is raised: the 3 tests start together; the pool runs 2 at once",
        "they wait until the pool's limit is raised: the 3 tests need 3000m CPU; the pool may use 2000m CPU",
    )
    assert suite(db, *tests, start="one-by-one").warnings == ()
    fix(db)
    assert [path for path, _ in problems(lambda: suite(db, *tests))] == ["tests", "tests"]


def test_a_selector_that_matches_no_node_waits_with_a_warning_even_where_nodes_are_fixed(db: Database) -> None:
    add(db, "large")
    fix(db)

    (warning,) = submitted(db, config={"nodeSelector": {"disk": "ssd"}}).warnings

    assert warning.endswith("no node matches: of 1, 1 without label disk=ssd")
    assert len(queued(db)) == 1


def test_nothing_is_said_of_a_pool_without_nodes_or_with_none_ready(db: Database) -> None:
    """They come with the worker, or come back: that is no mistake of the sender."""
    fix(db)
    without = submitted(db, resources={"cpuRequest": "900"})
    add(db, "large", ready=False)

    assert without.warnings == submitted(db).warnings == ()


def test_a_test_that_fits_has_no_warning_whatever_runs_now(db: Database) -> None:
    add(db, "large")

    assert submitted(db, resources={"cpuRequest": "4"}).warnings == ()
    assert submitted(db, resources={"cpuRequest": "4"}).warnings == ()


def test_a_group_larger_than_all_fixed_nodes_is_refused_whole(db: Database) -> None:
    add(db, "a", "b")
    fix(db)
    large = {"resources": {"cpuRequest": "3"}}

    found = problems(lambda: suite(db, large, large, large))

    assert found == [("tests", "the 3 tests need 9000m CPU together; all nodes have 8000m CPU")]
    assert queued(db) == []
    assert suite(db, large, large, large, start="one-by-one").warnings == ()


def test_a_group_that_never_finds_room_at_once_waits_with_a_warning(db: Database) -> None:
    add(db, "a", "b")
    half = {"resources": {"cpuRequest": "2500m"}}

    (warning,) = suite(db, half, half, half).warnings

    assert warning.endswith("on empty nodes only 2 of the 3 tests find room at the same time")
    assert suite(db, half, half).warnings == ()


def test_a_problem_with_the_nodes_is_told_at_its_test_beside_the_others(db: Database) -> None:
    add(db, "a")
    fix(db)
    secret = {"env": {"KEY": "${secrets.nobody}"}}

    found = problems(lambda: suite(db, secret, {"resources": {"cpuRequest": "9"}}, start="one-by-one"))

    assert [path for path, _ in found] == ["tests[0].env.KEY", "tests[1].resources.cpuRequest"]


def test_a_warning_of_a_suite_names_its_test(db: Database) -> None:
    add(db, "a")

    (warning,) = suite(db, {}, {"config": {"nodeSelector": {"disk": "ssd"}}}).warnings

    assert warning.startswith("t1: it waits")


def test_an_unknown_pool_takes_nothing(db: Database) -> None:
    with pytest.raises(NotFoundError):
        submitted(db, pool=PoolName("nowhere"))

    db.call(lambda conn: pools.create(conn, Pool(name=PoolName("gpu"))))
    assert submitted(db, pool=PoolName("gpu")).pool == "gpu"
    assert [row.pool for row in queued(db)] == ["gpu"]


def test_the_queue_row_keeps_what_the_gate_decides_by(db: Database) -> None:
    config = {
        "timeout": 90,
        "exclusive": ["staging", "printer"],
        "uses": ["local/shop"],
        "restartable": True,
        "apart": [{"matchLabels": {"suite": "load"}}],
        "spread": [{"matchLabels": {"suite": "load"}, "maxSkew": 2}],
    }
    submitted(db, config=config, labels={"suite": "load"})

    (row,) = queued(db)

    claims = ["local#is", "local/shop#s", "printer", "staging"]
    assert (row.exclusive, row.restartable, row.limit_seconds) == (claims, True, 90.0)
    assert (row.labels, row.group_id, row.expected_seconds) == ({"suite": "load"}, None, None)
    assert row.constraints["apart"][0]["topology"] == "kubernetes.io/hostname"
    assert row.constraints["spread"][0]["max_skew"] == 2


def test_only_tests_that_start_together_are_a_group(db: Database) -> None:
    together, alone = suite(db, {}, {}), suite(db, {}, {}, start="one-by-one")

    assert [row.group_id for row in queued(db)] == [together.suite_run_id] * 2 + [None] * 2
    assert len(alone.execution_ids) == 2


def test_what_a_test_took_before_is_expected_of_it_again(db: Database) -> None:
    """The p90 of its own attempts, once there are enough; an attempt of infrastructure does not count."""
    before = [submitted(db).execution_id for _ in range(10)]
    attempt = text(
        "INSERT INTO test_attempts (execution_id, number, definition_id, epoch, cause, status, started_at, ended_at)"
        " SELECT execution_id, 1, definition_id, 1, 'first', 'completed', now(), now() + make_interval(secs => :took)"
        " FROM test_run_details WHERE execution_id = :id"
    )
    ended = text("UPDATE runs SET status = 'completed', completed_at = now() WHERE id = :id")
    for took, run in enumerate(before, start=1):
        db.call(lambda conn, run=run, took=took: conn.execute(attempt, {"id": run, "took": took}))
        db.call(lambda conn, run=run: conn.execute(ended, {"id": run}))

    submitted(db)

    assert timedelta(seconds=queued(db)[-1].expected_seconds) == timedelta(seconds=9)
