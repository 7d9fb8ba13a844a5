"""How long attempts took: which count, and who answers where a test has not run often enough."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from db import durations
from db.durations import Kind
from db.seeds import DEFAULT_TEAM, LOCAL_USER
from model.ids import DefinitionId, TeamId
from orchestrator.forecasts import REMEMBERED, Memory
from scheduler.forecast.history import LEAST, history

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RUN = """
WITH e AS (
    INSERT INTO runs (kind, status, phase, door, pool, submitted_by, team_id, parent_id, started_at, completed_at)
    VALUES ('test', 'completed', 'ended', 'rest', 'default', :user, :team, :suite, :at,
        CAST(:at AS timestamptz) + make_interval(secs => :seconds))
    RETURNING id
), d AS (
    INSERT INTO test_run_details (execution_id, definition_id) SELECT id, :definition FROM e
)
INSERT INTO test_attempts (execution_id, number, definition_id, epoch, cause, started_at, ended_at, status,
    failure_reason)
SELECT id, 1, :definition, 1, 'first', :at, CAST(:at AS timestamptz) + make_interval(secs => :seconds), :status, :reason
FROM e
"""
DEFINITION = """
INSERT INTO test_definitions (name, type, owner_id, content, resources, config, version, created_at)
VALUES (:name, 'custom', :owner, '{}', '{}', '{}', :version, :at) RETURNING id
"""
SUITE_RUN = """
WITH run AS (
    INSERT INTO runs (kind, status, phase, door, pool, submitted_by)
    VALUES ('suite', 'completed', 'ended', 'rest', 'default', :user) RETURNING id
)
INSERT INTO suite_runs (suite_run_id, name, definition) SELECT id, :name, '{}' FROM run RETURNING suite_run_id
"""


class Past:
    """Writes definitions and attempts that have ended."""

    def __init__(self, gate_db: Any) -> None:
        self.gate_db = gate_db
        self.minute = 0

    def definition(self, name: str = "checkout", version: str = "1") -> DefinitionId:
        self.minute += 1
        at = NOON + timedelta(minutes=self.minute)
        rows = self.gate_db.sql(DEFINITION, name=name, owner=LOCAL_USER, version=version, at=at)
        return DefinitionId(rows[0].id)

    def suite_run(self, name: str) -> UUID:
        return UUID(str(self.gate_db.sql(SUITE_RUN, name=name, user=LOCAL_USER)[0].suite_run_id))

    def ran(self, definition: DefinitionId, *seconds: float, **given: Any) -> None:
        """Write attempts, each a minute after the last."""
        values = {"team": DEFAULT_TEAM, "suite": None, "status": "completed", "reason": None, "user": LOCAL_USER}
        for second in seconds:
            self.minute += 1
            at = NOON + timedelta(minutes=self.minute)
            self.gate_db.sql(RUN, definition=definition, seconds=second, at=at, **(values | given))

    def team(self, name: str) -> TeamId:
        made: TeamId = self.gate_db.team(name, most=5)
        return made


@pytest.fixture
def past(bare: Any) -> Past:
    return Past(bare)


@pytest.fixture
def told(past: Past) -> Callable[[Kind], Any]:
    """The history that a kind is given."""
    return lambda kind: past.gate_db.do(lambda conn: Memory().histories(conn, [kind], NOON)).get(kind)


def kind(definition: DefinitionId, *, suite: str | None = None, team: TeamId | None = DEFAULT_TEAM) -> Kind:
    return Kind(definition_id=definition, suite=suite, team_id=team)


def test_only_attempts_that_ran_and_gave_a_verdict_count(past: Past) -> None:
    test = past.definition()
    past.ran(test, 1)
    past.ran(test, 2, status="failed", reason="tests_failed")
    past.ran(test, 3, status="timeout")
    past.ran(test, 4, status="failed", reason="oom_killed")
    for reason in ("infrastructure", "evicted", "node_lost", "start_error", "image_pull", "preempted"):
        past.ran(test, 99, status="failed", reason=reason)
    past.ran(test, 99, status="cancelled")

    found = past.gate_db.do(lambda conn: durations.of_tests(conn, [test]))

    assert {test: [1, 2, 3, 4]} == {key: sorted(value) for key, value in found.items()}


def test_only_the_last_durations_of_a_test_count(past: Past) -> None:
    test = past.definition()
    past.ran(test, *range(1, durations.MOST + 11))

    found = past.gate_db.do(lambda conn: durations.of_tests(conn, [test]))

    assert sorted(found[test]) == list(range(11, durations.MOST + 11))


def test_the_same_version_answers_alone_where_it_has_run_often_enough(past: Past) -> None:
    old, new = past.definition(version="1"), past.definition(version="2")
    past.ran(old, *[100] * 20)
    past.ran(new, *[1] * LEAST)

    assert past.gate_db.do(lambda conn: durations.of_tests(conn, [new])) == {new: [1] * LEAST}


def test_other_versions_of_the_same_test_and_owner_help_a_new_one(past: Past) -> None:
    old, new = past.definition(version="1"), past.definition(version="2")
    stranger = past.definition("another")
    past.ran(old, *[7] * LEAST)
    past.ran(stranger, *[100] * LEAST)
    past.ran(new, 5)

    assert past.gate_db.do(lambda conn: durations.of_tests(conn, [new])) == {new: [5, *[7] * LEAST]}


def test_a_test_without_a_past_takes_what_its_suite_takes_then_its_team_then_all(
    past: Past, told: Callable[[Kind], Any]
) -> None:
    fresh, other = past.definition("fresh"), past.definition("other")
    mine, theirs = past.team("mine"), past.team("theirs")
    past.ran(other, *[30] * LEAST, team=theirs)
    assert told(kind(fresh, suite="nightly", team=mine)) == history([30] * LEAST)

    past.ran(other, *[20] * LEAST, team=mine)
    assert told(kind(fresh, suite="nightly", team=mine)) == history([20] * LEAST)

    past.ran(other, *[10] * LEAST, team=theirs, suite=past.suite_run("nightly"))
    assert told(kind(fresh, suite="nightly", team=mine)) == history([10] * LEAST)

    past.ran(fresh, *[1] * LEAST, team=theirs)
    assert told(kind(fresh, suite="nightly", team=mine)) == history([1] * LEAST)


def test_without_any_past_nothing_is_known(past: Past, told: Callable[[Kind], Any]) -> None:
    assert told(kind(past.definition())) is None


def test_what_was_read_is_remembered_for_a_minute(past: Past) -> None:
    test, memory = past.definition(), Memory()

    def look(at: datetime) -> Any:
        return past.gate_db.do(lambda conn: memory.histories(conn, [kind(test)], at)).get(kind(test))

    past.ran(test, *[1] * LEAST)
    first = look(NOON)
    past.ran(test, *[9] * LEAST)

    assert look(NOON + REMEMBERED / 2) == first
    assert look(NOON + REMEMBERED) == history([1] * LEAST + [9] * LEAST)


def test_the_expected_duration_is_the_p90_of_the_test_itself_and_of_nothing_else(past: Past) -> None:
    often, seldom = past.definition("often"), past.definition("seldom")
    past.ran(often, *range(1, 11))
    past.ran(seldom, *[1] * (LEAST - 1))

    found = past.gate_db.do(lambda conn: durations.expected(conn, [often, seldom]))

    assert found == {often: timedelta(seconds=9)}


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (durations._EXPECTED, "idx_test_attempts_definition"),
        (durations._TEAMS, "idx_runs_ended_team"),
        (durations._ALL, "idx_test_attempts_ended"),
    ],
)
def test_each_read_goes_by_its_index_however_many_runs_there_were(past: Past, statement: Any, index: str) -> None:
    past.ran(past.definition(), *range(50))
    values = {"ids": [DEFAULT_TEAM], "most": 100, "versions": 50, "least": 5, **durations._VALUES}

    def plan(conn: Any) -> str:
        conn.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"))
        return "\n".join(row[0] for row in conn.execute(text(f"EXPLAIN {statement.text}"), values))

    assert index in past.gate_db.do(plan)
