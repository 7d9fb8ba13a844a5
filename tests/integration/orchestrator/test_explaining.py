"""The records of a run in words, and a run that nothing was said to yet."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest

from db.engine import Database
from db.gate.decision_records import Pass, Record, Returned, Started, Stopped, Waited, Withdrawn
from db.seeds import LOCAL_USER
from model.execution import Cause, Door
from model.ids import ExecutionId, NodeName, uuid7
from orchestrator.checking import check
from orchestrator.explaining import explain, sentence
from orchestrator.submit import Order, submit
from scheduler.placement.score import Score
from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
RAW = {"name": "one", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}
BY = Pass(strategy=Strategy.PRIORITY, snapshot=7)
OTHER = ExecutionId(UUID("01900000-0000-7000-8000-0000deadbeef"))


def score(node: str, total: float) -> Score:
    return Score(node=NodeName(node), total=total, free=0.5, utilisation=0.5, affinity=1.0, spot=0.5, balance=1.0)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Waited(by=BY, code=Code.BUSY, text="needs 4", position=3, priority=5), "waits at position 3: needs 4"),
        (Waited(by=BY, code=Code.BACKOFF, text="in backoff until 12:00", priority=5), "waits: in backoff until 12:00"),
        (
            Started(by=BY, node=NodeName("b"), candidates=(score("b", 0.8), score("a", 0.7)), priority=5, waited=1.25),
            "got a place on b, the best of 2 with 0.800, after 1.2 s",
        ),
        (
            Stopped(beneficiary=OTHER, priority=0, held=90.0),
            "asked to stop after 90.0 s, for the more important run deadbeef",
        ),
        (Returned(text="no worker took it up"), "waits again: no worker took it up"),
        (Returned(text="", cause=Cause.PREEMPTED), "waits again: it made room for a more important run"),
        (Returned(text=""), "waits again: it never began"),
        (
            Waited(by=BY, code=Code.PREEMPTING, text="waits until another has stopped: 1", position=1, priority=5),
            "waits at position 1: until another has stopped: 1",
        ),
        (Withdrawn(), "cancelled before it ran"),
    ],
)
def test_each_kind_of_record_is_one_sentence_with_its_numbers(record: Record, words: str) -> None:
    assert sentence(record) == words


def test_a_run_that_no_pass_has_seen_has_a_place_and_no_records(db: Database) -> None:
    run = ExecutionId(uuid7(NOW, Random(2)))
    order = Order(request=check(RAW), execution_id=run, user_id=LOCAL_USER, door=Door.REST, now=NOW)
    db.call(lambda conn: submit(conn, order))

    found = db.call(lambda conn: explain(conn, run, NOW + timedelta(seconds=5)))

    assert found.decisions == ()
    assert found.waiting is not None
    assert (found.waiting.position, found.waiting.waited_seconds, found.waiting.estimate) == (1, 5.0, None)
