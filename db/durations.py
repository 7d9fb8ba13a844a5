"""How long attempts took that ran and gave a verdict, in seconds: of a test, of a suite, of a team, of all.

Attempts that infrastructure ended, that were preempted or cancelled, and those that never began to test, are left out.
Each read is bounded and goes by an index, however many runs there have been.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from model.execution import Reason, Status
from model.ids import DefinitionId, ExecutionId, TeamId
from scheduler.forecast.history import LEAST

MOST = 100
"""Durations of a test, the newest; of a suite, a team, or all it is twice as many."""
RECENT = 30
"""Durations by which a new run is expected: fewer, since every submit reads them."""
VERSIONS = 50
"""Other versions of a test that are looked at, the newest."""
SUITE_RUNS = 20

_ENDED = (Status.COMPLETED, Status.TIMEOUT)
_FAILED = (Reason.TESTS_FAILED, Reason.OOM_KILLED, Reason.NO_TESTS, Reason.REPORT_MISMATCH, Reason.TOOL_FAILED)
_JUDGED = "(a.status = ANY(CAST(:ended AS text[])) OR a.failure_reason = ANY(CAST(:failed AS text[])))"
_SECONDS = "extract(epoch FROM a.ended_at - a.started_at)::float AS seconds"
_VALUES = {"ended": list(_ENDED), "failed": list(_FAILED)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a run is one of."""

    definition_id: DefinitionId
    suite: str | None
    team_id: TeamId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What is known of a run that waits or runs: its kind, and since when it has its place and its open attempt."""

    kind: Kind
    admitted_at: datetime | None
    began_at: datetime | None


_TRACED = text("""
SELECT r.id AS execution_id, d.definition_id, r.team_id, s.name AS suite, q.admitted_at, a.started_at AS began_at
FROM unnest(CAST(:ids AS uuid[])) AS asked (id)
JOIN runs r USING (id)
JOIN test_run_details d ON d.execution_id = r.id
LEFT JOIN suite_runs s ON s.suite_run_id = r.parent_id
LEFT JOIN queue q ON q.execution_id = r.id AND q.state = 'admitted'
LEFT JOIN LATERAL (
    SELECT max(a.started_at) AS started_at FROM test_attempts a
    WHERE q.execution_id IS NOT NULL AND a.execution_id = q.execution_id AND a.ended_at IS NULL
) AS a ON true
""")
_OWN = f"""
SELECT {_SECONDS} FROM (
    SELECT * FROM test_attempts
    WHERE definition_id = asked.id AND ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT :most
) AS a WHERE {_JUDGED}
"""  # noqa: S608  only our own text
_OTHERS = f"""
SELECT {_SECONDS} FROM (
    SELECT d.id FROM test_definitions me JOIN test_definitions d
        ON d.owner_id = me.owner_id AND d.name = me.name AND d.id <> me.id
    WHERE me.id = asked.id ORDER BY d.created_at DESC, d.id LIMIT :versions
) AS version CROSS JOIN LATERAL (
    SELECT * FROM test_attempts
    WHERE definition_id = version.id AND ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT :most
) AS a WHERE {_JUDGED} ORDER BY a.ended_at DESC LIMIT :most
"""  # noqa: S608
_TESTS = f"""
SELECT asked.id, own.seconds AS own, others.seconds AS others
FROM unnest(CAST(:ids AS uuid[])) AS asked (id)
CROSS JOIN LATERAL (SELECT coalesce(array_agg(h.seconds), '{{}}') AS seconds FROM ({_OWN}) AS h) AS own
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(h.seconds), '{{}}') AS seconds FROM ({_OTHERS}) AS h
    WHERE cardinality(own.seconds) < :least
) AS others
"""  # noqa: S608
"""Other versions are looked at only where the same one has run too seldom."""

_SUITES = text(f"""
SELECT asked.name AS id, array_agg(h.seconds) AS seconds
FROM unnest(CAST(:ids AS text[])) AS asked (name) CROSS JOIN LATERAL (
    SELECT {_SECONDS} FROM (
        SELECT suite_run_id FROM suite_runs WHERE name = asked.name ORDER BY suite_run_id DESC LIMIT :runs
    ) AS suite JOIN runs r ON r.parent_id = suite.suite_run_id JOIN test_attempts a ON a.execution_id = r.id
    WHERE r.completed_at IS NOT NULL AND {_JUDGED} ORDER BY r.completed_at DESC LIMIT 2 * :most
) AS h GROUP BY asked.name
""")  # noqa: S608
_TEAMS = text(f"""
SELECT asked.id, array_agg(h.seconds) AS seconds
FROM unnest(CAST(:ids AS uuid[])) AS asked (id) CROSS JOIN LATERAL (
    SELECT {_SECONDS} FROM (
        SELECT id FROM runs
        WHERE team_id = asked.id AND completed_at IS NOT NULL AND kind = 'test'
        ORDER BY completed_at DESC LIMIT 2 * :most
    ) AS r JOIN test_attempts a ON a.execution_id = r.id WHERE {_JUDGED} LIMIT 2 * :most
) AS h GROUP BY asked.id
""")  # noqa: S608
_ALL = text(f"""
SELECT {_SECONDS} FROM (
    SELECT * FROM test_attempts WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 10 * :most
) AS a WHERE {_JUDGED} ORDER BY a.ended_at DESC LIMIT 2 * :most
""")  # noqa: S608
_EXPECTED = text(f"""
WITH found AS ({_TESTS})
SELECT found.id, (
    SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY s) FROM unnest(own || others) AS s
) AS p90 FROM found WHERE cardinality(own || others) >= :least
""")  # noqa: S608
_BY_TEST = text(_TESTS)


def traced(conn: Connection, runs: Collection[ExecutionId]) -> dict[ExecutionId, Traced]:
    """Return what is known of runs of a queue."""
    return {
        ExecutionId(row.execution_id): Traced(
            kind=Kind(definition_id=DefinitionId(row.definition_id), suite=row.suite, team_id=row.team_id),
            admitted_at=row.admitted_at,
            began_at=row.began_at,
        )
        for row in conn.execute(_TRACED, {"ids": list(runs)})
    }


def of_tests(conn: Connection, definitions: Collection[DefinitionId]) -> dict[DefinitionId, list[float]]:
    """Return durations of each test: of the same version, and of others of its name and owner if those are too few."""
    asked = {"ids": list(definitions), "most": MOST, "versions": VERSIONS, "least": LEAST, **_VALUES}
    return {DefinitionId(row.id): [*row.own, *row.others] for row in conn.execute(_BY_TEST, asked)}


def of_suites(conn: Connection, names: Collection[str]) -> dict[str, list[float]]:
    """Return durations of the tests in the last runs of each suite that has any."""
    asked = {"ids": list(names), "most": MOST, "runs": SUITE_RUNS, **_VALUES}
    return {row.id: list(row.seconds) for row in conn.execute(_SUITES, asked)}


def of_teams(conn: Connection, teams: Collection[TeamId]) -> dict[TeamId, list[float]]:
    """Return durations of the last tests of each team that has any."""
    asked = {"ids": list(teams), "most": MOST, **_VALUES}
    return {TeamId(row.id): list(row.seconds) for row in conn.execute(_TEAMS, asked)}


def of_all(conn: Connection) -> list[float]:
    """Return durations of the last tests of whomever."""
    return list(conn.execute(_ALL, {"most": MOST, **_VALUES}).scalars())


def expected(conn: Connection, definitions: Collection[DefinitionId]) -> dict[DefinitionId, timedelta]:
    """Return the p90 of the durations of each test that has run often enough. One statement, for a submit to call."""
    asked = {"ids": list(definitions), "most": RECENT, "versions": RECENT, "least": LEAST, **_VALUES}
    rows = conn.execute(_EXPECTED, asked)
    return {DefinitionId(row.id): timedelta(seconds=row.p90) for row in rows}
