"""Where a run stands: what the answer to a submit says without reading a deep queue is what the whole count says."""

from datetime import UTC, datetime
from random import Random

import pytest
from sqlalchemy import text

from db.engine import Database
from db.gate import queue_position
from db.seeds import LOCAL_USER
from model.execution import Door
from model.ids import ExecutionId, uuid7
from orchestrator import listing
from orchestrator.checking import check
from orchestrator.submit import Order, submit

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
RAW = {"name": "one", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}
AGED = "UPDATE queue SET enqueued_at = now() - interval '12 hours' WHERE seq <= (SELECT min(seq) + :aged FROM queue)"
RESTING = "UPDATE queue SET not_before = now() + interval '1 hour' WHERE seq % 7 = 0"
HOLDING = "UPDATE queue SET state = 'admitted' WHERE seq % 11 = 0"


@pytest.fixture
def runs(db: Database) -> list[ExecutionId]:
    """Sixty runs of all priorities that wait; some rest, some hold a place."""
    random = Random(3)
    orders = [
        Order(
            request=check(RAW | {"priority": random.randrange(10)}),
            execution_id=ExecutionId(uuid7(NOON, random)),
            user_id=LOCAL_USER,
            door=Door.REST,
            now=NOON,
        )
        for _ in range(60)
    ]
    db.call(lambda conn: [submit(conn, order) for order in orders])
    db.call(lambda conn: [conn.execute(text(statement)) for statement in (RESTING, HOLDING)])
    return [order.execution_id for order in orders]


@pytest.mark.parametrize("strategy", ["PRIORITY", "FIFO"])
@pytest.mark.parametrize("aged", [-1, 3, 20, 60])
def test_the_near_count_is_the_whole_count_as_far_as_it_goes(
    db: Database, runs: list[ExecutionId], strategy: str, aged: int
) -> None:
    db.call(lambda conn: conn.execute(text(AGED), {"aged": aged}))
    db.call(lambda conn: conn.execute(text("UPDATE pools SET strategy = :strategy"), {"strategy": strategy}))

    for run in runs:
        whole = db.call(lambda conn, run=run: queue_position.position(conn, run))
        for most in (1, 8, 100):
            near = db.call(lambda conn, run=run, most=most: queue_position.near(conn, run, most))
            if whole is None:
                assert near is None
                continue
            far = whole.position is None or whole.position > most
            assert near is not None
            assert (near.position, near.reason) == (None if far else whole.position, whole.reason)


def test_a_new_run_far_behind_has_a_reason_and_no_position(
    db: Database, runs: list[ExecutionId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "COUNTED", 2)
    standings = [db.call(lambda conn, run=run: listing.first_standing(conn, run)) for run in runs]

    waiting = [standing for standing in standings if standing]
    assert sorted(standing.position for standing in waiting if standing.position) == [1, 2]
    assert len(waiting) > 50
    assert {standing.reason for standing in waiting if standing.reason} == {"no live worker"}
