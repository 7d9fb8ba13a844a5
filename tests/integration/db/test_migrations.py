"""Migrations: up, down, and from the first schema with data."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from db import (
    chaos_tables,  # noqa: F401  its tables are part of the metadata
    durations,
    executions,
    gate_tables,  # noqa: F401  its tables are part of the metadata
    migrate,
    people,
    pools,
    results,
    statistics,
    suites,
)
from db.embedded import Cluster
from db.engine import Database
from db.seeds import DEFAULT_TEAM, LOCAL_USER
from db.table_base import Base
from model.execution import Phase, Reason, Status
from model.ids import ExecutionId, RunId, SuiteRunId
from model.runs import STATUSES, RunKind
from scheduler.values.pool import PROFILES, Strategy

NEWEST = "0024"
ROOT = Path(__file__).parents[3]
USER = UUID("10000000-0000-4000-8000-000000000001")
FAILED = ExecutionId(RunId(UUID("10000000-0000-4000-8000-0000000000f1")))
CUT_OFF = ExecutionId(RunId(UUID("10000000-0000-4000-8000-0000000000f2")))
RESOURCES = {"cpuRequest": "100m"}
CONTENT = {"type": "inline", "files": {"test_a.py": "def test_a(): pass"}}

FIRST_DATA = """
INSERT INTO teams (team_id, team_name) VALUES (gen_random_uuid(), 'default');
INSERT INTO users (user_id, username, email, password_hash, roles, quota, active, created_at)
  VALUES (:user, 'local', 'a@b.c', 'x', NULL, NULL, NULL, '2024-01-02 03:04:05');
INSERT INTO test_definitions (name, type, owner_id, content, resources, config, metadata, created_at)
  SELECT 'same', 'pytest', :user, :content, :resources, '{}', NULL, make_timestamp(2024, 1, i, 0, 0, 0)
  FROM generate_series(1, 3) i;
INSERT INTO test_definitions (name, type, owner_id, content, resources, config)
  VALUES ('same', 'k6', :user, '{"type": "git"}', '{}', '{}');
INSERT INTO test_executions (execution_id, definition_id, status, submitted_at, started_at, completed_at, submitted_by)
  SELECT :failed, min(id::text)::uuid, 'failed', '2024-05-01 10:00', '2024-05-01 10:01', '2024-05-01 10:02', :user
  FROM test_definitions WHERE type = 'pytest';
INSERT INTO test_executions (execution_id, definition_id, status, retry_count, submitted_by)
  SELECT :cut_off, min(id::text)::uuid, 'running', NULL, :user FROM test_definitions WHERE type = 'pytest';
INSERT INTO test_results (execution_id, test_name, status, duration_ms, executed_at)
  SELECT :failed, 'twice', s, 1, '2024-05-01 10:01' FROM unnest(ARRAY['passed', 'failed']) s;
INSERT INTO test_artifacts (execution_id, artifact_type, file_name, s3_path, file_size_bytes)
  SELECT :failed, 'log', 'log.txt', 's3://x', 1 FROM generate_series(1, 2);
INSERT INTO test_tags (definition_id, tag_name) SELECT id, 'smoke' FROM test_definitions, generate_series(1, 2)
"""


@pytest.fixture
def empty(postgres: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database without any table."""
    name = f"empty_{abs(hash(request.node.name))}"
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def first(empty: str) -> str:
    """The URL of a database as the first version left it, with data."""
    migrate.upgrade(empty, "0001")
    values = {
        "user": USER,
        "failed": FAILED,
        "cut_off": CUT_OFF,
        "content": json.dumps(CONTENT),
        "resources": json.dumps(RESOURCES),
    }

    def write(conn: Any) -> None:
        for statement in FIRST_DATA.split(";\n"):
            conn.execute(text(statement), {key: value for key, value in values.items() if f":{key}" in statement})

    with Database(empty) as database:
        database.call(write)
    return empty


def shape(url: str) -> list[tuple[Any, ...]]:
    """What columns, constraints and indexes a database has."""
    queries = (
        """SELECT table_name, column_name, data_type, is_nullable, column_default
           FROM information_schema.columns WHERE table_schema = 'public'""",
        """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
           FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    )
    with Database(url) as database:
        found = database.call(lambda conn: [tuple(row) for query in queries for row in conn.execute(text(query))])
    return sorted(found, key=str)


def test_the_models_are_what_the_migrations_make(db: Database) -> None:
    def compare(conn: Any) -> Any:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(conn, opts=options), Base.metadata)

    assert migrate.current(db.url) == NEWEST
    assert db.call(compare) == []


@pytest.mark.parametrize("revision", ["0013", "0009", "0006", "0004", "0003", "0002", "0001", "base"])
def test_down_and_up_again_is_the_same(empty: str, revision: str) -> None:
    below = None if revision == "base" else revision
    if below:
        migrate.upgrade(empty, below)
    before = shape(empty) if below else None
    migrate.upgrade(empty)
    newest = shape(empty)

    migrate.downgrade(empty, revision)

    assert migrate.current(empty) == below
    if below:
        assert shape(empty) == before
    migrate.upgrade(empty)
    assert shape(empty) == newest


def test_a_pool_whose_names_nobody_knows_gets_the_usual_ones_and_no_other_can_be_written(empty: str) -> None:
    migrate.upgrade(empty, "0006")
    with Database(empty) as db:
        broken = "UPDATE pools SET strategy = 'RANDOM', profile = 'worst-fit'"
        db.call(lambda conn: conn.execute(text(broken)))
        migrate.upgrade(empty)

        [pool] = db.call(pools.every)
        assert (pool.strategy, pool.profile) == (Strategy.PRIORITY, "default")
        for column, violated in (("strategy", "valid_strategy"), ("profile", "valid_profile")):
            with pytest.raises(IntegrityError, match=violated):
                db.call(lambda conn, c=column: conn.execute(text(f"UPDATE pools SET {c} = 'BEST'")))


def test_the_database_knows_the_names_that_the_scheduler_knows(db: Database) -> None:
    query = "SELECT conname, pg_get_constraintdef(oid) AS rule FROM pg_constraint WHERE conrelid = 'pools'::regclass"
    rules = {row.conname: row.rule for row in db.call(lambda conn: conn.execute(text(query)).all())}

    assert set(re.findall(r"'([\w-]+)'", rules["valid_strategy"])) == set(Strategy)
    assert set(re.findall(r"'([\w-]+)'", rules["valid_profile"])) == set(PROFILES)


def test_two_processes_may_migrate_at_once(empty: str) -> None:
    command = [sys.executable, "-c", f"from db import migrate; migrate.upgrade({empty!r})"]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    assert migrate.current(empty) == NEWEST


def test_two_threads_may_migrate_at_once(empty: str) -> None:
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: migrate.upgrade(empty), range(2)))

    assert migrate.current(empty) == NEWEST


def test_the_first_data_are_kept_and_read(first: str) -> None:
    migrate.upgrade(first)

    with Database(first) as db:
        failed = db.call(lambda conn: executions.find(conn, FAILED))
        attempts = db.call(lambda conn: executions.attempts(conn, FAILED))
        assert (failed.status, failed.failure_reason, failed.phase) == ("failed", Reason.TESTS_FAILED, Phase.ENDED)
        assert failed.submitted_at == datetime(2024, 5, 1, 10, 0, tzinfo=UTC)
        assert failed.prefect_settled
        assert db.call(lambda conn: executions.request_of(conn, FAILED)).name == "same"
        assert [(a.number, a.verdict and a.verdict.reason) for a in attempts] == [(1, Reason.TESTS_FAILED)]
        names = [result.name for result in db.call(lambda conn: results.read(conn, FAILED))]
        assert names == ["twice", "twice [2]"]
        assert [a.name for a in db.call(lambda conn: results.artifacts(conn, FAILED))] == ["log.txt", "log.txt [2]"]
        assert db.call(lambda conn: statistics.flaky(conn, datetime(2024, 5, 2, tzinfo=UTC))) == []


def test_what_was_under_way_then_ends_as_infrastructure(first: str) -> None:
    migrate.upgrade(first)

    with Database(first) as db:
        found = db.call(lambda conn: executions.find(conn, CUT_OFF))
        assert (found.status, found.failure_reason, found.retry_count) == (Status.FAILED, Reason.INFRASTRUCTURE, 0)
        assert "submit it again" in found.detail
        assert found.completed_at is not None


def test_every_first_definition_gets_a_version_of_its_own(first: str) -> None:
    query = (
        "SELECT version, encode(sha256(convert_to(jsonb_build_array(content, resources, config)::text, 'UTF8')), 'hex')"
    )
    migrate.upgrade(first)

    with Database(first) as db:
        newest_first = text(f"{query} FROM test_definitions WHERE type = 'pytest' ORDER BY created_at DESC")
        rows = db.call(lambda conn: conn.execute(newest_first).all())
        tags = db.call(lambda conn: conn.execute(text("SELECT tag_name, tag_value FROM test_tags")).all())
    versions = [row[0] for row in rows]
    assert len(set(versions)) == 3
    assert all(len(version) == 64 for version in versions)
    assert versions[0] == rows[0][1]
    assert [tuple(tag) for tag in tags] == [("smoke", "")] * 4


def test_names_that_are_taken_do_not_stop_the_first_rows(first: str) -> None:
    migrate.upgrade(first)

    with Database(first) as db:
        theirs = db.call(lambda conn: people.user(conn, "local"))
        ours = db.call(lambda conn: people.user(conn, LOCAL_USER))
        team = db.call(lambda conn: people.team(conn, DEFAULT_TEAM))
    assert (theirs.user_id, theirs.roles, theirs.active, theirs.quota.max_daily_tests) == (USER, (), True, 100)
    assert (ours.username, team.team_name) == ("assay-local", "assay-default")


def test_the_first_data_survive_the_way_there_and_back(first: str) -> None:
    queries = (
        "SELECT user_id, username, created_at FROM users ORDER BY 1",
        "SELECT id, name, type, content, created_at FROM test_definitions ORDER BY 1",
        """SELECT execution_id, submitted_at, started_at, completed_at FROM test_executions
           WHERE status = 'failed' AND started_at IS NOT NULL""",
        "SELECT result_id, duration_ms, executed_at FROM test_results ORDER BY 1",
        "SELECT count(*) FROM test_artifacts",
    )

    def read() -> list[Any]:
        with Database(first) as db:
            return [db.call(lambda conn, q=query: conn.execute(text(q)).all()) for query in queries]

    before = read()
    migrate.upgrade(first)
    migrate.downgrade(first, "0001")

    assert read() == before


BEFORE_RUNS = """
INSERT INTO users (user_id, username, email, password_hash) VALUES (:user, 'ann', 'a@b.c', '!');
INSERT INTO test_definitions (id, name, type, owner_id, content, resources, config, version)
  VALUES (:definition, 'checkout', 'custom', :user, '{}', '{}', '{}', '1');
INSERT INTO suite_runs (suite_run_id, name, definition, status, note, submitted_by, submitted_at, completed_at,
    cancel_requested_at, cancelled_by, host, flow_run_id, prefect_settled) VALUES
  (:suite, 'nightly', '{"tests": []}', 'failed', 'late', :user, '2026-01-01 10:00Z', '2026-01-01 11:00Z', NULL, NULL,
    'w1', '10000000-0000-4000-8000-0000000000c1', true);
INSERT INTO suite_runs (suite_run_id, name, definition, status, submitted_by, submitted_at, completed_at) VALUES
  (:skipped, 'nightly', '{}', 'skipped', :user, '2026-01-02 10:00Z', '2026-01-02 10:00Z');
INSERT INTO suite_runs (suite_run_id, name, definition, status, submitted_by, submitted_at, cancel_requested_at,
    cancelled_by) VALUES (:open, 'hourly', '{}', 'queued', :user, '2026-01-03 10:00Z', '2026-01-03 10:01Z', 'ann');
INSERT INTO test_executions (execution_id, definition_id, status, phase, epoch, priority, door, pool, submitted_by,
    submitted_at, started_at, completed_at, retry_count, infrastructure_count, pod_name, node_name, metrics, progress,
    failure_reason, detail, suite_run_id, flow_run_id, prefect_settled, idempotency_key, request_digest) VALUES
  (:failed, :definition, 'failed', 'ended', 3, 2, 'suite', 'default', :user, '2026-01-01 10:00Z', '2026-01-01 10:01Z',
    '2026-01-01 10:02Z', 1, 2, 'pod', 'n0', '{"cpu": 1}', '{"passed": 1}', 'no_tests', 'none', :suite,
    '10000000-0000-4000-8000-0000000000c2', true, 'key', 'digest');
INSERT INTO test_executions (execution_id, definition_id, status, phase, door, pool, submitted_by, retried_from)
  VALUES (:waiting, :definition, 'queued', 'waiting', 'rest', 'default', :user, :failed);
INSERT INTO test_attempts (execution_id, number, epoch, cause, started_at, ended_at, status)
  VALUES (:failed, 1, 3, 'first', '2026-01-01 10:01Z', '2026-01-01 10:02Z', 'failed');
INSERT INTO queue (execution_id, pool, priority, enqueued_at, user_id, cpu_milli, memory_bytes, ephemeral_bytes, gpu)
  VALUES (:waiting, 'default', 5, now(), :user, 1, 1, 1, 0)
"""
KNOWN = {
    "user": USER,
    "definition": UUID("10000000-0000-4000-8000-0000000000d1"),
    "suite": UUID("10000000-0000-4000-8000-0000000000a1"),
    "skipped": UUID("10000000-0000-4000-8000-0000000000a2"),
    "open": UUID("10000000-0000-4000-8000-0000000000a3"),
    "failed": FAILED,
    "waiting": UUID("10000000-0000-4000-8000-0000000000f3"),
}


@pytest.fixture
def before_runs(empty: str) -> str:
    """The URL of a database in which tests and suites had tables of their own, with data."""
    migrate.upgrade(empty, "0009")

    def write(conn: Any) -> None:
        for statement in BEFORE_RUNS.split(";\n"):
            conn.execute(text(statement), {key: value for key, value in KNOWN.items() if f":{key}" in statement})

    with Database(empty) as database:
        database.call(write)
    return empty


def dump(url: str, *queries: str) -> list[Any]:
    with Database(url) as database:
        return [database.call(lambda conn, q=q: [dict(row._mapping) for row in conn.execute(text(q))]) for q in queries]


def test_tests_and_suites_become_runs_and_go_back_as_they_were(before_runs: str) -> None:
    whole = [f"SELECT * FROM {table} ORDER BY 1" for table in ("test_executions", "suite_runs", "queue")]
    before = dump(before_runs, *whole, "SELECT * FROM test_attempts")
    migrate.upgrade(before_runs)
    between = dump(before_runs, "SELECT * FROM test_executions ORDER BY 1")
    migrate.downgrade(before_runs, "0009")

    assert dump(before_runs, *whole, "SELECT * FROM test_attempts") == before
    assert between == before[:1]  # the view has all columns of the table that it replaces


def test_a_suite_run_of_before_is_a_run_that_was_never_queued(before_runs: str) -> None:
    migrate.upgrade(before_runs)
    [found] = dump(before_runs, "SELECT * FROM runs WHERE kind = 'suite' ORDER BY id")
    facts = [(row["id"], row["status"], row["phase"], row["failure_reason"], row["settled"]) for row in found]

    assert facts == [
        (KNOWN["suite"], "failed", "ended", "no_tests", True),
        (KNOWN["skipped"], "skipped", "ended", None, False),
        (KNOWN["open"], "queued", "waiting", None, False),
    ]
    with Database(before_runs) as database:
        kept = database.call(lambda conn: suites.find(conn, SuiteRunId(RunId(KNOWN["suite"]))))
        test = database.call(lambda conn: executions.find(conn, FAILED))
        assert (kept.name, kept.note, kept.host, test.suite_run_id) == ("nightly", "late", "w1", KNOWN["suite"])
        assert database.call(lambda conn: len(durations.of_tests(conn, [KNOWN["definition"]]))) == 1


def test_what_was_written_about_a_waiting_run_is_kept_under_the_new_names(before_runs: str) -> None:
    owner = KNOWN["definition"]
    with Database(before_runs) as database:
        values = {"owner": owner, "run": KNOWN["waiting"]}
        change = "UPDATE queue SET said = 3, told = 17, keeps = ARRAY[CAST(:owner AS uuid)] WHERE execution_id = :run"
        database.call(lambda conn: conn.execute(text(change), values))
        database.call(lambda conn: conn.execute(text("INSERT INTO queue_floors VALUES ('default', 5, 40)")))
    migrate.upgrade(before_runs)

    [[row], [watermark]] = dump(before_runs, "SELECT * FROM queue", "SELECT * FROM queue_watermarks")
    assert (row["record_count"], row["record_digest"], row["reserved_for"]) == (3, 17, [owner])
    assert watermark == {"pool": "default", "level": 5, "lowest": 40}


def test_the_database_knows_the_words_that_the_code_knows(db: Database) -> None:
    query = "SELECT conname, pg_get_constraintdef(oid) AS rule FROM pg_constraint WHERE conrelid = 'runs'::regclass"
    rules = {row.conname: row.rule for row in db.call(lambda conn: conn.execute(text(query)).all())}
    words = {name: set(re.findall(r"'(\w+)'", rule)) for name, rule in rules.items()}

    pattern = re.search(r"'(\^.*\$)'", rules["valid_kind"])  # any word: a new kind needs no migration
    assert pattern is not None
    assert [kind for kind in RunKind if not re.fullmatch(pattern[1], kind)] == []
    assert words["valid_phase"] == set(Phase)
    assert words["valid_status"] == {*STATUSES[RunKind.SUITE], RunKind.SUITE}
    assert {*STATUSES[RunKind.SUITE]} - {*STATUSES[RunKind.TEST]} == {"skipped"}
