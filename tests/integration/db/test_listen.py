"""LISTEN and NOTIFY, also over a server that goes away; and patience meanwhile."""

import asyncio
import os
import queue
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from db import listen
from db.embedded import Cluster
from db.engine import Database
from db.errors import UnavailableError
from db.listen import LOOK_AGAIN, Listener

SOON = 20.0


@pytest.fixture
def heard(db: Database) -> Iterator["queue.Queue[str]"]:
    """What a listener on the test's database was told, after its first LOOK_AGAIN."""
    messages: queue.Queue[str] = queue.Queue()
    with Listener(db.url) as listener:
        listener.subscribe(messages.put)
        assert messages.get(timeout=SOON) == LOOK_AGAIN
        yield messages


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A server of this test's own, which it may kill."""
    folder = Path(tempfile.mkdtemp(prefix="assay-own-"))
    folder.chmod(0o711)
    cluster = Cluster(folder / "postgres", durable=False, elsewhere=folder)
    cluster.start()
    yield cluster
    cluster.remove()
    shutil.rmtree(folder)


def gone(cluster: Cluster, backend: int) -> bool:
    """Wait for both: a backend outlives its killed postmaster by a moment, and answers in it."""
    end = time.monotonic() + SOON
    process = Path(f"/proc/{backend}")
    while (cluster.alive() or process.exists()) and time.monotonic() < end:
        time.sleep(0.01)
    return not cluster.alive() and not process.exists()


def test_a_message_arrives_when_its_transaction_commits(db: Database, heard: "queue.Queue[str]") -> None:
    def work(conn: object) -> None:
        listen.notify(conn, "admitted:1")  # type: ignore[arg-type]
        with pytest.raises(queue.Empty):
            heard.get(timeout=0.2)

    db.call(work)

    assert heard.get(timeout=SOON) == "admitted:1"


def test_several_messages_arrive_in_order_and_one_that_is_too_long_as_a_hint(
    db: Database, heard: "queue.Queue[str]"
) -> None:
    db.call(lambda conn: listen.notify_all(conn, ["ended:1", "x" * 8000, "ended:2"]))

    assert [heard.get(timeout=SOON) for _ in range(3)] == ["ended:1", LOOK_AGAIN, "ended:2"]


def test_a_message_that_is_too_long_becomes_a_hint_to_look(db: Database, heard: "queue.Queue[str]") -> None:
    db.call(lambda conn: listen.notify(conn, "x" * 9000))

    assert heard.get(timeout=SOON) == LOOK_AGAIN


def test_one_that_fails_does_not_keep_the_others_from_hearing(db: Database) -> None:
    messages: queue.Queue[str] = queue.Queue()

    def fail(_: str) -> None:
        raise ValueError("on purpose")

    with Listener(db.url) as listener:
        listener.subscribe(fail)
        forget = listener.subscribe(messages.put)
        assert listener.wait_until_listening(SOON)
        db.call(lambda conn: listen.notify(conn, "one"))
        while messages.get(timeout=SOON) != "one":
            pass
        forget()
        db.call(lambda conn: listen.notify(conn, "two"))
        with pytest.raises(queue.Empty):
            messages.get(timeout=0.3)


def test_many_subscribers_share_one_connection_and_one_thread(db: Database) -> None:
    with Listener(db.url) as listener:
        for _ in range(50):
            listener.subscribe(lambda _: None)
        assert listener.wait_until_listening(SOON)

        query = text("SELECT count(*) FROM pg_stat_activity WHERE datname = :d AND application_name = 'assay listener'")
        assert db.call(lambda conn: conn.execute(query, {"d": db.name}).scalar()) == 1
        assert sum(thread.name == "db-listen" for thread in threading.enumerate()) == 1
    assert not any(thread.name == "db-listen" for thread in threading.enumerate())


def test_a_lost_connection_is_made_again_and_says_look_again(db: Database, heard: "queue.Queue[str]") -> None:
    kill = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'assay listener'")
    db.call(lambda conn: conn.execute(kill).all())

    assert heard.get(timeout=SOON) == LOOK_AGAIN
    db.call(lambda conn: listen.notify(conn, "again"))
    assert heard.get(timeout=SOON) == "again"


def test_a_listener_can_be_closed_while_the_server_is_away() -> None:
    listener = Listener("postgresql://nobody@127.0.0.1:1/nothing")
    listener.subscribe(lambda _: None)
    time.sleep(0.2)

    begun = time.monotonic()
    listener.close()
    listener.close()

    assert time.monotonic() - begun < 5


async def test_a_killed_server_is_waited_for(own: Cluster) -> None:
    """Patient work comes through, plain work says what is wrong, the listener hears again."""
    messages: queue.Queue[str] = queue.Queue()
    select = text("SELECT 1")
    with Database(own.url("postgres")) as db, Listener(own.url("postgres")) as listener:
        listener.subscribe(messages.put)
        backend = await db.run(lambda conn: conn.execute(text("SELECT pg_backend_pid()")).scalar_one())
        assert messages.get(timeout=SOON) == LOOK_AGAIN
        assert own.pid is not None
        os.kill(own.pid, signal.SIGKILL)
        assert await asyncio.to_thread(gone, own, backend)
        with pytest.raises(UnavailableError):
            await db.run(lambda conn: conn.execute(select).scalar())
        with pytest.raises(UnavailableError):
            await db.run_patiently(lambda conn: conn.execute(select).scalar(), timeout=0.3)
        patient = asyncio.create_task(db.run_patiently(lambda conn: conn.execute(select).scalar()))
        await asyncio.to_thread(own.start)

        assert await asyncio.wait_for(patient, SOON) == 1
        assert await asyncio.to_thread(messages.get, timeout=SOON) == LOOK_AGAIN
