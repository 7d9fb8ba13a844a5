"""The pool of connections and threads."""

import asyncio
import threading

import pytest
from sqlalchemy import Connection, text

from db.engine import Database, address
from db.errors import UnavailableError


async def test_work_runs_in_one_transaction_in_a_thread_of_the_pool(db: Database) -> None:
    def work(conn: Connection) -> tuple[str, str]:
        zone = conn.execute(text("SHOW timezone")).scalar_one()
        return threading.current_thread().name, str(zone)

    thread, zone = await db.run(work)

    assert thread.startswith("db")
    assert zone == "UTC"


async def test_a_connection_that_the_server_ended_is_made_anew(db: Database) -> None:
    """Whoever comes next does not notice, though nobody asks the server first whether it is there."""
    select, kill = text("SELECT pg_backend_pid()"), text("SELECT pg_terminate_backend(:pid, 5000)")
    with Database(db.url, size=1) as other:
        for _ in range(3):
            pid = other.call(lambda conn: conn.execute(select).scalar_one())
            assert db.call(lambda conn, pid=pid: conn.execute(kill, {"pid": pid}).scalar_one())

            assert other.call(lambda conn: conn.execute(select).scalar_one()) != pid


async def test_a_failed_work_leaves_nothing(db: Database) -> None:
    def work(conn: Connection) -> None:
        conn.execute(text("INSERT INTO pools (name) VALUES ('half')"))
        raise LookupError

    with pytest.raises(LookupError):
        await db.run(work)

    assert db.call(lambda conn: conn.execute(text("SELECT count(*) FROM pools WHERE name = 'half'")).scalar()) == 0


async def test_two_hundred_waiters_share_the_connections(db: Database) -> None:
    """However many coroutines ask, no more than `size` connections and threads exist."""

    def work(conn: Connection) -> int:
        return int(
            conn.execute(
                text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name"), {"name": db.name}
            ).scalar_one()
        )

    before = {thread for thread in threading.enumerate() if thread.name.startswith("db")}
    seen = await asyncio.gather(*(db.run(work) for _ in range(200)))

    assert max(seen) <= db.size
    ours = {thread for thread in threading.enumerate() if thread.name.startswith("db")} - before
    assert len(ours) <= db.size


def test_a_missing_server_is_told_with_what_to_do() -> None:
    with (
        Database("postgresql://nobody@127.0.0.1:1/nothing") as database,
        pytest.raises(UnavailableError, match="DATABASE_URL"),
    ):
        database.call(lambda conn: conn.execute(text("SELECT 1")))


def test_a_statement_that_is_wrong_is_not_an_outage(db: Database) -> None:
    with pytest.raises(Exception, match="nowhere") as error:
        db.call(lambda conn: conn.execute(text("SELECT * FROM nowhere")))

    assert not isinstance(error.value, UnavailableError)


@pytest.mark.parametrize("given", ["postgres://a@b/c", "postgresql://a@b/c", "postgresql+asyncpg://a@b/c"])
def test_any_postgresql_url_is_taken(given: str) -> None:
    assert address(given).render_as_string() == "postgresql+psycopg2://a@b/c"


def test_another_database_is_refused() -> None:
    with pytest.raises(ValueError, match="PostgreSQL only"):
        address("sqlite:///x.db")
