"""The three sample queries, on generated data, against counts made in Python from the same data."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from db import statistics, tables
from db.engine import Database
from db.seeds import DEFAULT_POOL

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
DAYS = 7
STATUSES = ("completed", "failed", "cancelled", "timeout", "running", "queued")
REASONS = ("tests_failed", "infrastructure", "evicted", "node_lost", "report_mismatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A generated execution with the rows around it."""

    user: str
    type: str
    definition: UUID
    commit: str | None
    row: dict[str, Any]
    attempts: list[dict[str, Any]]
    results: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All generated rows."""

    users: dict[str, int]
    runs: list[Run]


def _attempts(random: Random, run: UUID) -> list[dict[str, Any]]:
    return [
        {
            "execution_id": run,
            "number": number,
            "epoch": number,
            "cause": "first" if number == 1 else "retry",
            "failure_reason": random.choice((None, None, *REASONS)),
        }
        for number in range(1, random.randint(1, 3) + 1)
    ]


def _results(random: Random, attempt: dict[str, Any]) -> list[dict[str, Any]]:
    names = random.sample(["t_a", "t_b", "t_c", "t_d"], k=random.randint(0, 4))
    return [
        {
            "execution_id": attempt["execution_id"],
            "attempt": attempt["number"],
            "test_name": name,
            "status": "passed" if name == "t_d" else random.choice(("passed", "passed", "failed", "skipped")),
            "duration_ms": 1,
        }
        for name in names
    ]


def _run(random: Random, users: dict[str, UUID], definitions: list[dict[str, Any]]) -> Run:
    definition = random.choice(definitions)
    user = random.choice([name for name in users if name != "idle"])
    at = NOW - timedelta(minutes=random.randint(-30, 12 * 24 * 60))
    started = at + timedelta(seconds=random.randint(0, 90)) if random.random() < 0.9 else None
    ended = started + timedelta(seconds=random.randint(0, 900)) if started and random.random() < 0.9 else None
    row = {
        "id": uuid4(),
        "kind": "test",
        "status": random.choice(STATUSES),
        "phase": "ended",
        "door": "rest",
        "pool": DEFAULT_POOL,
        "submitted_by": users[user],
        "submitted_at": at,
        "started_at": started,
        "completed_at": ended,
    }
    attempts = _attempts(random, row["id"])
    results = [result for attempt in attempts for result in _results(random, attempt)]
    return Run(
        user=user,
        type=definition["type"],
        definition=definition["id"],
        commit=random.choice((None, "a" * 40, "b" * 40)),
        row=row,
        attempts=attempts,
        results=results,
    )


def _definitions(users: dict[str, UUID]) -> Iterator[dict[str, Any]]:
    """Some share a name, so that a query by name alone would mix them up."""
    for number in range(8):
        yield {
            "id": UUID(int=number + 1),
            "name": f"suite-{number % 3}",
            "type": ("pytest", "custom", "k6")[number % 3],
            "owner_id": users["u0"],
            "content": {},
            "resources": {},
            "config": {},
            "version": f"{number:064}",
        }


@pytest.fixture
def world(db: Database) -> World:
    random = Random(11)
    users = {name: uuid4() for name in ("u0", "u1", "u2", "idle")}
    limits = dict(zip(users, (5, 100, 3, 7), strict=True))
    definitions = list(_definitions(users))
    runs = [_run(random, users, definitions) for _ in range(400)]

    def write(conn: Any) -> None:
        people = [
            {"user_id": key, "username": name, "email": f"{name}@x", "password_hash": "!"}
            | {"quota": {"max_daily_tests": limits[name]}}
            for name, key in users.items()
        ]
        conn.execute(insert(tables.User).values(people))
        conn.execute(insert(tables.TestDefinition).values(definitions))
        conn.execute(insert(tables.Run).values([run.row for run in runs]))
        details = [
            {
                "execution_id": run.row["id"],
                "definition_id": run.definition,
                "provenance": {"commit": run.commit} if run.commit else {},
            }
            for run in runs
        ]
        conn.execute(insert(tables.TestRunDetails).values(details))
        conn.execute(insert(tables.TestAttempt).values([a for run in runs for a in run.attempts]))
        conn.execute(insert(tables.TestResult).values([r for run in runs for r in run.results]))

    db.call(write)
    return World(users=limits, runs=runs)


def within(run: Run, length: timedelta) -> bool:
    return NOW - length <= run.row["submitted_at"] <= NOW


def test_the_last_day_is_counted_by_type(db: Database, world: World) -> None:
    expected: dict[str, list[Run]] = defaultdict(list)
    for run in world.runs:
        if within(run, timedelta(hours=24)):
            expected[run.type].append(run)

    found = db.call(lambda conn: statistics.last_day(conn, NOW))

    assert [row.type for row in found] == sorted(expected)
    for row in found:
        runs = expected[row.type]
        count = {status: sum(run.row["status"] == status for run in runs) for status in STATUSES}
        seconds = [
            (run.row["completed_at"] - run.row["started_at"]).total_seconds()
            for run in runs
            if run.row["started_at"] and run.row["completed_at"]
        ]
        assert (row.total, row.completed, row.failed) == (len(runs), count["completed"], count["failed"])
        assert (row.cancelled, row.timeout) == (count["cancelled"], count["timeout"])
        assert row.average_duration_seconds == pytest.approx(sum(seconds) / len(seconds))


def _outcomes(world: World, days: int) -> dict[tuple[UUID, str | None, str], list[str]]:
    """What each test of each definition did on each commit, where infrastructure is not to blame and the test ran."""
    outcomes: dict[tuple[UUID, str | None, str], list[str]] = defaultdict(list)
    for run in world.runs:
        if not within(run, timedelta(days=days)):
            continue
        bad = {a["number"] for a in run.attempts if a["failure_reason"] in {"infrastructure", "evicted", "node_lost"}}
        for result in run.results:
            if result["attempt"] not in bad and result["status"] != "skipped":
                outcomes[run.definition, run.commit, result["test_name"]].append(result["status"])
    return outcomes


@pytest.mark.parametrize("days", [1, DAYS, 14])
def test_flaky_tests_are_found_by_definition_version_and_commit(db: Database, world: World, days: int) -> None:
    expected = {
        (f"{key.int - 1:064}", commit, name): (statuses.count("passed"), statuses.count("failed"))
        for (key, commit, name), statuses in _outcomes(world, days).items()
        if len(set(statuses)) == 2
    }

    found = db.call(lambda conn: statistics.flaky(conn, NOW, days))

    assert len(found) == min(len(expected), 20)
    for row in found:
        passes, failures = expected[row.version, row.commit, row.test_name]
        assert (row.total_runs, row.passes, row.failures) == (passes + failures, passes, failures)
        assert row.failure_rate == pytest.approx(100 * failures / (passes + failures), abs=0.006)
    assert [row.failure_rate for row in found] == sorted((row.failure_rate for row in found), reverse=True)
    assert not any(row.test_name == "t_d" for row in found)


def test_a_user_without_runs_has_used_none(db: Database, world: World) -> None:
    midnight = NOW.replace(hour=0, minute=0)
    used = {
        user: sum(run.user == user and run.row["submitted_at"] >= midnight for run in world.runs)
        for user in world.users
    }

    found = {row.username: row for row in db.call(lambda conn: statistics.quota_today(conn, NOW))}

    assert used["idle"] == 0
    for user, limit in world.users.items():
        row = found[user]
        assert (row.daily_limit, row.tests_today) == (limit, used[user])
        assert row.remaining == max(0, limit - used[user])
    assert found["local"].tests_today == 0


def test_an_empty_database_has_nothing_to_tell(db: Database) -> None:
    assert db.call(lambda conn: statistics.last_day(conn, NOW)) == []
    assert db.call(lambda conn: statistics.flaky(conn, NOW)) == []
