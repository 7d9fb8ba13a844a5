"""The sample queries of the original design (lld.md, section 5.3), word for word, on the relations that it names."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from db import results
from db.engine import Database
from db.seeds import LOCAL_USER
from model.execution import Reason, Status, Verdict
from model.result import Outcome, Result

STATISTICS = """
-- Get test execution statistics for last 24 hours
SELECT
    td.type,
    COUNT(*) as total_executions,
    COUNT(*) FILTER (WHERE te.status = 'completed') as completed,
    COUNT(*) FILTER (WHERE te.status = 'failed') as failed,
    AVG(EXTRACT(EPOCH FROM (te.completed_at - te.started_at))) as avg_duration_seconds
FROM test_executions te
JOIN test_definitions td ON te.definition_id = td.id
WHERE te.submitted_at >= NOW() - INTERVAL '24 hours'
GROUP BY td.type;
"""
FLAKY = """
-- Get flaky tests (tests with inconsistent results)
WITH test_stats AS (
    SELECT
        tr.test_name,
        COUNT(*) as total_runs,
        COUNT(*) FILTER (WHERE tr.status = 'passed') as passes,
        COUNT(*) FILTER (WHERE tr.status = 'failed') as failures
    FROM test_results tr
    JOIN test_executions te ON tr.execution_id = te.execution_id
    WHERE te.submitted_at >= NOW() - INTERVAL '7 days'
    GROUP BY tr.test_name
)
SELECT
    test_name,
    total_runs,
    passes,
    failures,
    ROUND((failures::decimal / total_runs) * 100, 2) as failure_rate
FROM test_stats
WHERE failures > 0 AND passes > 0  -- Has both passes and failures
ORDER BY failure_rate DESC
LIMIT 20;
"""
QUOTA = """
-- Get user test execution quota usage
SELECT
    u.username,
    u.quota->>'max_daily_tests' as daily_limit,
    COUNT(*) as tests_today,
    (u.quota->>'max_daily_tests')::int - COUNT(*) as remaining
FROM users u
LEFT JOIN test_executions te ON u.user_id = te.submitted_by
    AND te.submitted_at >= CURRENT_DATE
GROUP BY u.user_id, u.username, u.quota;
"""
SUITE = """
WITH run AS (
    INSERT INTO runs (kind, status, phase, door, pool, submitted_by)
    VALUES ('suite', 'queued', 'waiting', 'rest', 'default', :user) RETURNING id
)
INSERT INTO suite_runs (suite_run_id, name, definition) SELECT id, 'nightly', '{}' FROM run
"""


@pytest.fixture
def told(db: Database, make: Any, wanted: Any) -> Any:
    """Three tests of today, one of them failed, and a suite run, which is no test."""
    now = datetime.now(UTC)  # noqa: TID251  the queries read the clock of the database
    failed = Verdict(status=Status.FAILED, reason=Reason.TESTS_FAILED)

    def write(conn: Any) -> None:
        runs = [make.ended(conn, wanted(at=now), end) for end in (Verdict(status=Status.COMPLETED), failed)]
        make.execution(conn, wanted(at=now))
        for run, outcome in zip(runs, (Outcome.PASSED, Outcome.FAILED), strict=True):
            results.replace(conn, run, 1, (Result(name="shaky", outcome=outcome, duration_ms=1),))
        conn.execute(text(SUITE), {"user": LOCAL_USER})

    db.call(write)
    return lambda query: [dict(row._mapping) for row in db.call(lambda conn: conn.execute(text(query)).all())]


def test_the_executions_of_a_day_are_counted_by_type(told: Any) -> None:
    [row] = told(STATISTICS)

    assert (row["type"], row["total_executions"], row["completed"], row["failed"]) == ("pytest", 3, 1, 1)
    assert row["avg_duration_seconds"] >= 0


def test_a_test_with_both_outcomes_is_flaky(told: Any) -> None:
    [row] = told(FLAKY)

    assert {**row, "failure_rate": float(row["failure_rate"])} == {
        "test_name": "shaky",
        "total_runs": 2,
        "passes": 1,
        "failures": 1,
        "failure_rate": 50.0,
    }


def test_the_quota_of_a_user_counts_tests_and_no_suite(told: Any) -> None:
    rows = {row["username"]: row for row in told(QUOTA)}

    assert (rows["local"]["tests_today"], rows["local"]["remaining"]) == (3, int(rows["local"]["daily_limit"]) - 3)
