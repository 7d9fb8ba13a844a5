"""Groups of shards: the elastic ones (`start: one-by-one`) take what room there is, the others all that they need."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import text

from db import nodes, workers
from db.engine import Database
from db.gate import queue
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.execution import Door
from model.ids import ExecutionId, NodeName, SuiteRunId, WorkerId, uuid7
from model.resources import Resources
from orchestrator import admission
from orchestrator.checking import check_suite
from orchestrator.suites import SuiteOrder, SuiteSubmitted, submit_suite
from scheduler.values.node import DEFAULT_BACKEND, Node

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SHARD = {
    "type": "custom",
    "command": ["true"],
    "content": {"type": "inline", "files": {"a": "b"}},
    "resources": {"cpuRequest": "1"},
}


def shards(db: Database, number: int, **how: str) -> list[ExecutionId]:
    order = SuiteOrder(
        suite=check_suite({"name": "shards", "tests": [SHARD | {"name": f"s{n}"} for n in range(number)], **how}),
        suite_run_id=SuiteRunId(uuid7(NOON, Random(number))),
        user_id=LOCAL_USER,
        door=Door.REST,
        now=NOON,
    )
    outcome = db.call(lambda conn: submit_suite(conn, order))
    assert isinstance(outcome, SuiteSubmitted)
    return list(outcome.execution_ids)


def started(db: Database) -> list[ExecutionId]:
    outcome = db.call(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True))
    assert outcome is not None
    return [run.execution_id for run in outcome.admitted]


def end(db: Database, run: ExecutionId) -> None:
    assert db.call(lambda conn: queue.release(conn, run, 1))


@pytest.fixture
def room_for_two(db: Database) -> Database:
    node = Node(name=NodeName("n"), capacity=Resources(cpu_milli=2000, memory_bytes=2**36))
    db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, [node]))
    db.call(lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), [DEFAULT_BACKEND]))
    return db


@pytest.mark.parametrize("how", [{}, {"start": "one-by-one"}])
def test_shards_of_an_elastic_group_start_one_by_one_as_room_appears(
    room_for_two: Database, how: dict[str, str]
) -> None:
    first, second, third, fourth = shards(room_for_two, 4, **how)

    assert started(room_for_two) == [first, second]
    for ending, next_one in ((second, third), (first, fourth)):
        end(room_for_two, ending)
        assert started(room_for_two) == [next_one]


def test_shards_that_start_together_wait_until_there_is_room_for_all(room_for_two: Database) -> None:
    [holder] = shards(room_for_two, 1)
    assert started(room_for_two) == [holder]
    both = shards(room_for_two, 2, start="together")

    assert started(room_for_two) == []
    end(room_for_two, holder)
    assert sorted(started(room_for_two)) == sorted(both)
    grouped = "SELECT count(DISTINCT group_id) FROM queue"
    assert room_for_two.call(lambda conn: conn.execute(text(grouped)).scalar_one()) == 1
