"""What every PostgreSQL of the stack does, the embedded one and the one that DATABASE_URL names."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from cli.stack.postgres import EXTENSION, Postgres, choose
from db.embedded import Cluster

Open = Callable[[], Postgres]


@pytest.fixture(params=["embedded", "DATABASE_URL"], scope="module")
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Chooses the server as `assay up` does; called again it is the next supervisor's view of the same server."""
    if request.param == "embedded":
        folder = tmp_path_factory.mktemp("stack") / "postgres"
        yield lambda: choose({}, folder)
        Cluster(folder).remove()
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        cluster.create_database("ours")
        yield lambda: choose({"DATABASE_URL": cluster.url("ours")}, Path("unused"))
        cluster.drop_database("ours")
        cluster.drop_database("ours_prefect")


@pytest.fixture
def started(opened: Open) -> Postgres:
    server = opened()
    server.start()
    return server


def ask(url: str, question: str) -> object:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as conn:
        return conn.execute(text(question)).scalar()


async def ask_as_prefect(url: str, question: str) -> object:
    async with create_async_engine(url, poolclass=NullPool).connect() as conn:
        return (await conn.execute(text(question))).scalar()


def test_both_databases_answer_and_prefects_has_what_it_needs(started: Postgres) -> None:
    looked_for = f"SELECT count(*) FROM pg_extension WHERE extname = '{EXTENSION}'"

    found = asyncio.run(ask_as_prefect(started.prefect_url, looked_for))

    assert (found, started.alive()) == (1, True)
    assert ask(started.own_url, "SELECT current_database()") != asyncio.run(
        ask_as_prefect(started.prefect_url, "SELECT current_database()")
    )


def test_a_second_start_finds_the_server_and_its_data(opened: Open, started: Postgres) -> None:
    with create_engine(started.own_url, poolclass=NullPool).begin() as conn:
        conn.execute(text("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)"))

    again = opened()
    again.start()

    assert (again.pid, again.own_url) == (started.pid, started.own_url)
    assert ask(again.own_url, "SELECT n FROM kept") == 7


def test_only_a_server_of_ours_has_a_process_and_is_stopped(started: Postgres) -> None:
    ours = started.pid is not None

    started.stop()
    started.stop()

    assert started.alive() is not ours
    assert started.pid is None
    if not ours:
        assert ask(started.own_url, "SELECT 1") == 1


def test_it_says_what_it_is(started: Postgres) -> None:
    assert "PostgreSQL" in started.title
