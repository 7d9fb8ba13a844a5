"""The three sample queries of the original design (5.3), with their flaws mended.

- Runs of 24 hours: also cancelled and timed-out ones are counted.
- Flaky: by definition version, commit and identity of the test, not by name over different content: a test that was
  fixed by a commit is not flaky. By attempt, since a retry inside a run shows flakiness too; without attempts that
  infrastructure ended or an experiment disturbed, and without skips, which ran nothing.
- Quota: a user without runs has used 0, not 1; the day begins at midnight UTC, wherever the server is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, literal_column, select

from db import chaos_faults, people, tables
from model.execution import Status
from model.fault import INFRASTRUCTURE_REASONS
from model.result import Outcome
from model.runs import RunKind

DAY = timedelta(hours=24)
MOST_FLAKY = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeStatistics:
    """The runs of one type. The mean counts those that have both begun and ended; None if there is none."""

    type: str
    total: int
    completed: int
    failed: int
    cancelled: int
    timeout: int
    average_duration_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlakyTest:
    """A test that both passed and failed while what was run stayed the same. The rate is in percent.

    `commit` is what was run of a git repository; None for other content, which the version decides.
    """

    definition: str
    version: str
    commit: str | None
    test_name: str
    total_runs: int
    passes: int
    failures: int
    failure_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaToday:
    """What a user may submit on one day, and has submitted today."""

    username: str
    daily_limit: int | None
    tests_today: int
    remaining: int | None


def last_day(conn: Connection, now: datetime) -> list[TypeStatistics]:
    """Count the runs submitted in the 24 hours before `now`, by type."""
    r, t, d = tables.Run, tables.TestRunDetails, tables.TestDefinition
    query = (
        select(
            d.type,
            func.count().label("total"),
            _with_status(Status.COMPLETED),
            _with_status(Status.FAILED),
            _with_status(Status.CANCELLED),
            _with_status(Status.TIMEOUT),
            func.avg(func.extract("epoch", r.completed_at - r.started_at)).label("seconds"),
        )
        .join_from(r, t, t.execution_id == r.id)
        .join(d, d.id == t.definition_id)
        .where(r.kind == RunKind.TEST, r.submitted_at >= now - DAY, r.submitted_at <= now)
        .group_by(d.type)
        .order_by(d.type)
    )
    return [
        TypeStatistics(
            type=row.type,
            total=row.total,
            completed=row.completed,
            failed=row.failed,
            cancelled=row.cancelled,
            timeout=row.timeout,
            average_duration_seconds=None if row.seconds is None else float(row.seconds),
        )
        for row in conn.execute(query)
    ]


def flaky(conn: Connection, now: datetime, days: int = 7) -> list[FlakyTest]:
    """Return the tests with both outcomes in runs of the last `days`, worst first, twenty at most."""
    run, t, d, a, r = tables.Run, tables.TestRunDetails, tables.TestDefinition, tables.TestAttempt, tables.TestResult
    passes = func.count(case((r.status == Outcome.PASSED, 1)))
    failures = func.count(case((r.status == Outcome.FAILED, 1)))
    rate = func.round(100.0 * failures / (passes + failures), 2)
    commit = func.jsonb_extract_path_text(t.provenance, literal_column("'commit'"))
    query = (
        select(
            d.id,
            d.name,
            d.version,
            commit.label("commit"),
            func.max(r.test_name).label("test_name"),
            passes.label("passes"),
            failures.label("failures"),
            rate.label("rate"),
        )
        .join_from(r, run, run.id == r.execution_id)
        .join(t, t.execution_id == run.id)
        .join(d, d.id == t.definition_id)
        .join(a, (a.execution_id == r.execution_id) & (a.number == r.attempt))
        .where(run.kind == RunKind.TEST, run.submitted_at >= now - timedelta(days=days), run.submitted_at <= now)
        .where(func.coalesce(a.failure_reason, "").not_in(INFRASTRUCTURE_REASONS), ~chaos_faults.disturbed(run, a))
        .group_by(d.id, r.identity, commit)
        .having((passes > 0) & (failures > 0))
        .order_by(rate.desc(), (passes + failures).desc(), d.name, func.max(r.test_name), r.identity, d.id, commit)
        .limit(MOST_FLAKY)
    )
    return [
        FlakyTest(
            definition=row.name,
            version=row.version,
            commit=row.commit,
            test_name=row.test_name,
            total_runs=row.passes + row.failures,
            passes=row.passes,
            failures=row.failures,
            failure_rate=float(row.rate),
        )
        for row in conn.execute(query)
    ]


def quota_today(conn: Connection, now: datetime) -> list[QuotaToday]:
    """Return each user's daily quota and what is used of it."""
    r, u = tables.Run, tables.User
    mine = (r.submitted_by == u.user_id) & (r.submitted_at >= people.day(now)) & (r.kind == RunKind.TEST)
    used = func.count(r.id)
    query = select(u.username, u.quota, used.label("used")).join_from(u, r, mine, isouter=True)
    rows = conn.execute(query.group_by(u.user_id).order_by(u.username))
    return [_quota_row(row.username, people.quota_of(row.quota).max_daily_tests, row.used) for row in rows]


def _with_status(status: Status) -> ColumnElement[Any]:
    return func.count(case((tables.Run.status == status, 1))).label(status)


def _quota_row(username: str, limit: int | None, used: int) -> QuotaToday:
    left = None if limit is None else max(0, limit - used)
    return QuotaToday(username=username, daily_limit=limit, tests_today=used, remaining=left)
