"""Results, files and secrets of runs."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, select, text

from db import results, secrets, tables
from db.engine import Database
from db.errors import NotFoundError
from db.seeds import DEFAULT_TEAM
from model.ids import ExecutionId
from model.result import (
    Artifact,
    ArtifactType,
    Failure,
    Outcome,
    Result,
    ResultIdentity,
    ResultKind,
    summarise,
)


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


def test_kind_identity_and_other_failures_come_back(db: Database, waiting: ExecutionId, noon: datetime) -> None:
    identity = ResultIdentity(
        suite="cart.spec.ts", classname="cart", name="adds", parameters="1", project="webkit", index=2
    )
    kept = [
        Result(name="a", outcome=Outcome.SKIPPED, kind=ResultKind.NOT_RUN, identity=identity, executed_at=noon),
        Result(
            name="b",
            outcome=Outcome.PASSED,
            executed_at=noon,
            other_failures=(Failure(message="once", trace="t", error=True, rerun=True),),
        ),
    ]

    db.call(lambda conn: results.replace(conn, waiting, 1, kept))

    assert db.call(lambda conn: results.read(conn, waiting)) == kept


def test_what_was_planned_and_did_not_run_counts_as_planned_only(
    db: Database, waiting: ExecutionId, noon: datetime
) -> None:
    kinds = [None, None, ResultKind.XFAIL, ResultKind.NOT_RUN, ResultKind.NOT_RUN]
    kept = [
        Result(name=str(number), outcome=Outcome.SKIPPED, kind=kind, executed_at=noon)
        for number, kind in enumerate(kinds)
    ]

    db.call(lambda conn: results.replace(conn, waiting, 1, kept))
    counted = db.call(lambda conn: results.counts(conn, waiting, 1))

    assert (counted.outcomes[Outcome.SKIPPED], counted.not_run) == (5, 2)
    assert counted.summary == summarise(kept)
    assert (counted.summary.total, counted.summary.completed) == (5, 3)


def test_an_identity_is_the_same_in_each_run_and_differs_by_each_part(
    db: Database, waiting: ExecutionId, noon: datetime
) -> None:
    one = ResultIdentity(name="n", suite="s", classname="c", parameters="p", project="w")
    changed = {"name": "n2", "suite": "s2", "classname": "c2", "parameters": "p2", "project": "w2", "index": 2}
    others = [replace(one, **{part: value}) for part, value in changed.items()]  # type: ignore[arg-type]
    moved = replace(one, suite="", classname="sc")  # the same text, in other parts

    def digests(conn: Connection, attempt: int, *identities: ResultIdentity) -> list[str]:
        found = [
            Result(name=f"{attempt}-{number}", outcome=Outcome.PASSED, executed_at=noon, identity=identity)
            for number, identity in enumerate(identities)
        ]
        results.replace(conn, waiting, attempt, found)
        rows = tables.TestResult
        query = select(rows.identity).where(rows.execution_id == waiting, rows.attempt == attempt)
        return list(conn.execute(query.order_by(rows.test_name)).scalars())

    first = db.call(lambda conn: digests(conn, 1, one, *others, moved))

    assert len(set(first)) == len(first)
    assert db.call(lambda conn: digests(conn, 2, one)) == first[:1]


def test_the_history_of_a_test_goes_by_an_index(db: Database) -> None:
    def plan(conn: Connection) -> str:
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        query = "EXPLAIN SELECT status FROM test_results WHERE identity = 'x' ORDER BY executed_at DESC LIMIT 20"
        return "\n".join(conn.execute(text(query)).scalars())

    assert "idx_test_results_identity" in db.call(plan)


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
