"""Notices on their way through the database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from queue import Queue
from random import Random

import pytest

from db import listen, notices
from db.engine import Database
from db.listen import Listener
from db.notices import IDS_A_MESSAGE
from model.execution import Status
from model.ids import RunId, uuid7
from model.notices import Admitted, CancelAsked, Ended, LookAgain, Notice, PreemptAsked
from model.runs import RunKind

SOON = 20
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def heard(db: Database) -> Iterator["Queue[Notice]"]:
    """What a listener on the test's database was told, after its first `LookAgain`."""
    told: Queue[Notice] = Queue()
    with Listener(db.url) as listener:
        listener.subscribe(lambda payload: told.put(notices.parse(payload)))
        assert told.get(timeout=SOON) == LookAgain()
        yield told


@pytest.fixture
def new_ids() -> list[RunId]:
    """One more than fit into two messages."""
    random = Random(3)
    return [RunId(uuid7(NOON, random)) for _ in range(2 * IDS_A_MESSAGE + 1)]


def test_notices_are_heard_in_order(db: Database, heard: "Queue[Notice]", new_ids: list[RunId]) -> None:
    sent: list[Notice] = [
        CancelAsked(run_id=new_ids[0]),
        Ended(run_id=new_ids[0], kind=RunKind.TEST, status=Status.CANCELLED),
        PreemptAsked(run_ids=tuple(new_ids[:2])),
    ]
    db.call(lambda conn: notices.tell(conn, sent))

    assert [heard.get(timeout=SOON) for _ in sent] == sent


def test_a_notice_of_many_runs_comes_in_parts(db: Database, heard: "Queue[Notice]", new_ids: list[RunId]) -> None:
    db.call(lambda conn: notices.tell(conn, [Admitted(run_ids=tuple(new_ids))]))
    parts = [heard.get(timeout=SOON) for _ in range(3)]

    assert [len(part.run_ids) for part in parts if isinstance(part, Admitted)] == [IDS_A_MESSAGE, IDS_A_MESSAGE, 1]
    assert [run for part in parts if isinstance(part, Admitted) for run in part.run_ids] == new_ids


def test_what_is_too_long_for_a_payload_makes_everybody_look(db: Database, heard: "Queue[Notice]") -> None:
    db.call(lambda conn: listen.notify(conn, "admitted:" + "x" * 9000))

    assert heard.get(timeout=SOON) == LookAgain()
