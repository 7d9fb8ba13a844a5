"""Results, files and secrets of runs."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from db import results, secrets
from db.engine import Database
from db.errors import NotFoundError
from db.seeds import DEFAULT_TEAM
from model.ids import ExecutionId
from model.result import Artifact, ArtifactType, Outcome, Result


def test_results_come_back_in_order_and_replace_each_other(db: Database, waiting: ExecutionId, noon: datetime) -> None:
    first = [
        Result(name="b", outcome=Outcome.PASSED, duration_ms=3, executed_at=noon),
        Result(
            name="a",
            outcome=Outcome.FAILED,
            message="no",
            trace="line 1",
            executed_at=noon + timedelta(seconds=1),
            assertions=("x == y",),
        ),
    ]

    for _ in range(2):
        db.call(lambda conn: results.replace(conn, waiting, 1, first))
    assert db.call(lambda conn: results.read(conn, waiting)) == first
    db.call(lambda conn: results.replace(conn, waiting, 2, first[:1]))

    assert db.call(lambda conn: results.read(conn, waiting)) == first[:1]
    assert db.call(lambda conn: results.read(conn, waiting, 1)) == first
    assert db.call(lambda conn: results.read(conn, waiting, 3)) == []


def test_hostile_texts_are_kept_as_far_as_possible(db: Database, waiting: ExecutionId, noon: datetime) -> None:
    text = "nul \x00 half \ud800 whole 🦆"
    long = "x" * 600
    hostile = [
        Result(name=name, outcome=Outcome.FAILED, message=text, trace=text, executed_at=noon, assertions=(text,))
        for name in (text, long, long, f"{long}y", "same", "same", "same [2]")
    ]

    db.call(lambda conn: results.replace(conn, waiting, 1, hostile))

    found = db.call(lambda conn: results.read(conn, waiting))
    assert len({result.name for result in found}) == len(hostile)
    assert {"same", "same [2]", "same [2] [2]"} <= {result.name for result in found}
    assert max(len(result.name) for result in found) == 500
    assert all(result.message == result.trace == "nul \ufffd half ? whole 🦆" for result in found)


def test_many_results_are_written_in_batches(db: Database, waiting: ExecutionId, noon: datetime) -> None:
    many = [Result(name=f"{i:05}", outcome=Outcome.PASSED, executed_at=noon) for i in range(1234)]

    db.call(lambda conn: results.replace(conn, waiting, 1, many))

    assert db.call(lambda conn: results.read(conn, waiting)) == many


def test_files_are_those_of_the_last_attempt_that_left_any(db: Database, waiting: ExecutionId) -> None:
    old = Artifact(name="a/b.png", type=ArtifactType.SCREENSHOT, uri="file:1/b.png", size_bytes=5)
    new = Artifact(name="log.txt", type=ArtifactType.LOG, uri="file:2/log.txt", size_bytes=2**40)
    db.call(lambda conn: results.save_artifacts(conn, waiting, 1, [old]))
    db.call(lambda conn: results.save_artifacts(conn, waiting, 2, [new]))
    db.call(lambda conn: results.save_artifacts(conn, waiting, 2, [new]))
    db.call(lambda conn: results.save_artifacts(conn, waiting, 3, []))

    assert db.call(lambda conn: results.artifacts(conn, waiting)) == [new]
    assert db.call(lambda conn: results.artifacts(conn, waiting, 1)) == [old]
    assert db.call(lambda conn: results.artifact(conn, waiting, "a/b.png")) == old
    with pytest.raises(NotFoundError):
        db.call(lambda conn: results.artifact(conn, waiting, "../etc/passwd"))


def test_two_files_of_one_name_are_told_apart(db: Database, waiting: ExecutionId) -> None:
    one = Artifact(name="a", type=ArtifactType.OTHER, uri="file:1", size_bytes=1)

    db.call(lambda conn: results.save_artifacts(conn, waiting, 1, [one, replace(one, uri="file:2")]))

    assert [kept.name for kept in db.call(lambda conn: results.artifacts(conn, waiting))] == ["a", "a [2]"]


def test_a_team_s_own_secret_wins(db: Database) -> None:
    db.call(lambda conn: secrets.put(conn, "token", "", "env:ALL"))
    assert db.call(lambda conn: secrets.reference(conn, "token", DEFAULT_TEAM)) == "env:ALL"
    db.call(lambda conn: secrets.put(conn, "token", "default", "env:OURS"))
    db.call(lambda conn: secrets.put(conn, "token", "default", "env:OURS2"))

    assert db.call(lambda conn: secrets.reference(conn, "token", DEFAULT_TEAM)) == "env:OURS2"
    assert db.call(lambda conn: secrets.reference(conn, "token", None)) == "env:ALL"
    assert db.call(lambda conn: secrets.reference(conn, "other", None)) is None
    assert [row.reference for row in db.call(lambda conn: secrets.visible(conn, DEFAULT_TEAM))] == ["env:OURS2"]
    assert [row.team for row in db.call(secrets.read)] == ["", "default"]


def test_a_secret_is_removed_once_and_its_team_must_exist(db: Database) -> None:
    db.call(lambda conn: secrets.put(conn, "token", "", "env:ALL"))
    db.call(lambda conn: secrets.remove(conn, "token"))

    with pytest.raises(NotFoundError):
        db.call(lambda conn: secrets.remove(conn, "token"))
    with pytest.raises(NotFoundError):
        db.call(lambda conn: secrets.put(conn, "token", "nobody", "env:X"))
