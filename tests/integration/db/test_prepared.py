"""Statements that are prepared once a session."""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.errors import UnavailableError
from db.prepared import Prepared

DOUBLE = Prepared("SELECT CAST(:number AS int) * 2 AS twice, CAST(:word AS text) AS word, CAST(:number AS int) AS once")


def twice(conn: Connection, number: int) -> int:
    [row] = DOUBLE.execute(conn, {"number": number, "word": ""})
    return int(row.twice)


def ready(conn: Connection) -> int:
    return int(conn.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one())


def test_values_go_to_their_places_however_often_a_name_stands_there(db: Database) -> None:
    values = {"number": 21, "word": "it's 100 % ':number'"}

    [row] = db.call(lambda conn: DOUBLE.execute(conn, values))

    assert (row.twice, row.word, row.once) == (42, values["word"], 21)


def test_a_session_prepares_it_once_and_keeps_it_over_a_rollback(db: Database) -> None:
    def work(conn: Connection) -> Any:
        DOUBLE.execute(conn, {"number": 1, "word": ""})
        conn.execute(text("INSERT INTO pools (name) VALUES (NULL)"))

    with Database(db.url, size=1) as one:
        with pytest.raises(IntegrityError):
            one.call(work)
        before = one.call(ready)
        for number in range(3):
            assert one.call(partial(twice, number=number)) == 2 * number

        assert before == one.call(ready) == 1


def test_a_connection_that_is_made_anew_prepares_it_again(db: Database) -> None:
    with Database(db.url, size=1) as one:
        pid = one.call(lambda conn: conn.execute(text("SELECT pg_backend_pid()")).scalar_one())
        one.call(lambda conn: DOUBLE.execute(conn, {"number": 1, "word": ""}))
        db.call(lambda conn: conn.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid}).all())

        assert one.call(partial(twice, number=4)) == 8


def test_an_error_is_told_as_of_any_other_statement(db: Database) -> None:
    nameless = Prepared("INSERT INTO pools (name) VALUES (CAST(:name AS text))")

    with pytest.raises(IntegrityError) as told:
        db.call(lambda conn: nameless.execute(conn, {"name": None}))

    assert told.value.orig is not None
    assert told.value.orig.pgcode == "23502"
    assert db.call(partial(twice, number=4)) == 8


def test_a_statement_without_rows_returns_none(db: Database) -> None:
    nobody = Prepared("UPDATE pools SET name = name WHERE name = CAST(:name AS text)")

    assert db.call(lambda conn: nobody.execute(conn, {"name": "nowhere"})) == []


def test_a_server_that_ends_the_session_amid_a_statement_is_away_and_then_there_again(db: Database) -> None:
    kill = Prepared("SELECT pg_terminate_backend(CAST(:pid AS int)), pg_sleep(5)")

    def work(conn: Connection) -> None:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        kill.execute(conn, {"pid": pid})

    with Database(db.url, size=1) as one:
        with pytest.raises(UnavailableError):
            one.call(work)

        assert one.call(partial(twice, number=4)) == 8
