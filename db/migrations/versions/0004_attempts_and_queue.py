"""Executions get phases, epochs, doors and attempts; the queue and its leases."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
OBJECT = sa.text("'{}'::jsonb")
REQUIRED = (
    ("test_executions", "submitted_at", "coalesce(started_at, completed_at, now())"),
    ("test_executions", "retry_count", "0"),
    ("test_executions", "metrics", "'{}'::jsonb"),
    ("test_results", "assertions", "'[]'::jsonb"),
    ("test_results", "executed_at", "now()"),
    ("test_artifacts", "created_at", "now()"),
)
TIMES = (
    ("test_executions", "submitted_at"),
    ("test_executions", "started_at"),
    ("test_executions", "completed_at"),
    ("test_results", "executed_at"),
    ("test_artifacts", "created_at"),
)
NEW_COLUMNS = (
    *("phase", "epoch", "priority", "door", "pool", "team_id", "infrastructure_count", "progress", "failure_reason"),
    *("detail", "cancel_requested_at", "cancelled_by", "retried_from", "suite_run_id", "flow_run_id"),
    "prefect_settled",
)

UNFINISHED = """
UPDATE test_executions
SET status = 'failed', failure_reason = 'infrastructure', completed_at = coalesce(completed_at, now()),
    detail = 'it was under way when the database was upgraded; submit it again'
WHERE status IN ('queued', 'running')
"""
"""The first design kept its queue in memory: what had not ended then will never end."""

ENDED = """
UPDATE test_executions AS e
SET phase = 'ended', door = 'rest', pool = 'default', prefect_settled = true,
    completed_at = coalesce(e.completed_at, e.started_at, e.submitted_at),
    team_id = (SELECT team_id FROM users WHERE user_id = e.submitted_by),
    failure_reason = CASE WHEN e.status <> 'failed' THEN NULL
        WHEN e.failure_reason IS NOT NULL THEN e.failure_reason
        WHEN EXISTS (SELECT FROM test_results r WHERE r.execution_id = e.execution_id AND r.status = 'failed')
        THEN 'tests_failed' ELSE 'infrastructure' END
"""

FIRST_ATTEMPTS = """
INSERT INTO test_attempts (execution_id, number, epoch, cause, node, started_at, ended_at, status, failure_reason)
SELECT execution_id, 1, 0, 'first', node_name, started_at, completed_at, status, failure_reason
FROM test_executions WHERE started_at IS NOT NULL
"""

TWINS = """
WITH numbered AS (
    SELECT {key}, row_number() OVER (PARTITION BY execution_id, {name} ORDER BY {time}, {key}) AS place FROM {table}
)
UPDATE {table} AS twin SET {name} = left({name}, 480) || ' [' || place || ']'
FROM numbered WHERE numbered.{key} = twin.{key} AND place > 1
"""
"""Nothing is thrown away: the second of two equal names becomes `name [2]`."""


def upgrade() -> None:
    for table, column, value in REQUIRED:
        op.execute(f"UPDATE {table} SET {column} = {value} WHERE {column} IS NULL")  # noqa: S608  our own names
        op.alter_column(table, column, nullable=False)
    for table, column, value in REQUIRED:
        if value.endswith("jsonb"):
            op.alter_column(table, column, server_default=sa.text(value))
    for table, column in TIMES:
        _zone(table, column, aware=True)
    _attempts()
    _widen_executions()
    _attempts_of("test_results", "result_id", "test_name", "executed_at")
    _attempts_of("test_artifacts", "artifact_id", "file_name", "created_at")
    op.create_unique_constraint("one_result_a_test", "test_results", ["execution_id", "attempt", "test_name"])
    op.create_index("idx_test_results_name", "test_results", ["test_name"])
    op.create_unique_constraint("one_artifact_a_name", "test_artifacts", ["execution_id", "attempt", "file_name"])
    op.execute(FIRST_ATTEMPTS)
    _queue()


def downgrade() -> None:
    op.drop_table("leases")
    op.drop_table("queue")
    op.drop_constraint("one_artifact_a_name", "test_artifacts")
    op.drop_index("idx_test_results_name", "test_results")
    op.drop_constraint("one_result_a_test", "test_results")
    op.drop_column("test_artifacts", "attempt")
    op.drop_column("test_results", "attempt")
    for index in ("user", "suffix"):
        op.drop_index(f"idx_test_executions_{index}", "test_executions")
    for column in NEW_COLUMNS:
        op.drop_column("test_executions", column)
    op.create_index("idx_test_executions_user", "test_executions", ["submitted_by"])
    op.drop_table("test_attempts")
    for table, column in TIMES:
        _zone(table, column, aware=False)
    for table, column, value in REQUIRED:
        op.alter_column(table, column, nullable=True)
        if value.endswith("jsonb"):
            op.alter_column(table, column, server_default=None)


def _zone(table: str, column: str, *, aware: bool) -> None:
    """Between a time without zone, which was UTC, and one with."""
    op.alter_column(table, column, type_=sa.TIMESTAMP(timezone=aware), postgresql_using=f"{column} AT TIME ZONE 'UTC'")


def _time(name: str, *, nullable: bool = True, now: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable, server_default=NOW if now else None)


def _reference(name: str, target: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Uuid(), sa.ForeignKey(target), nullable=True)


def _count(name: str, start: int) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), server_default=sa.text(str(start)), nullable=False)


def _attempts() -> None:
    op.create_table(
        "test_attempts",
        sa.Column(
            "execution_id",
            sa.Uuid(),
            sa.ForeignKey("test_executions.execution_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(20), nullable=False),
        sa.Column("node", sa.String(255)),
        _time("started_at", nullable=False, now=True),
        _time("ended_at"),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("status", sa.String(50)),
        sa.Column("failure_reason", sa.String(30)),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("cause IN ('first', 'retry', 'infrastructure', 'preempted')", name="valid_cause"),
    )


def _widen_executions() -> None:
    for column in (
        sa.Column("phase", sa.String(20)),
        _count("epoch", 0),
        _count("priority", 5),
        sa.Column("door", sa.String(20)),
        sa.Column("pool", sa.String(100), sa.ForeignKey("pools.name")),
        _reference("team_id", "teams.team_id"),
        _count("infrastructure_count", 0),
        sa.Column("progress", JSONB, server_default=OBJECT, nullable=False),
        sa.Column("failure_reason", sa.String(30)),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        _time("cancel_requested_at"),
        sa.Column("cancelled_by", sa.Text()),
        _reference("retried_from", "test_executions.execution_id"),
        _reference("suite_run_id", "suite_runs.suite_run_id"),
        sa.Column("flow_run_id", sa.Uuid(), unique=True),
        sa.Column("prefect_settled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    ):
        op.add_column("test_executions", column)
    op.execute(UNFINISHED)
    op.execute(ENDED)
    for name in ("phase", "door", "pool"):
        op.alter_column("test_executions", name, nullable=False)
    op.create_check_constraint(
        "valid_phase",
        "test_executions",
        "phase IN ('waiting', 'backoff', 'admitted', 'launching', 'running', 'collecting', 'ended')",
    )
    op.create_check_constraint("valid_priority", "test_executions", "priority BETWEEN 0 AND 9")
    _index_executions()


def _index_executions() -> None:
    table = "test_executions"
    op.drop_index("idx_test_executions_user", table)
    op.create_index("idx_test_executions_user", table, ["submitted_by", "submitted_at"])
    op.create_index("idx_test_executions_team", table, ["team_id", "submitted_at"])
    op.create_index("idx_test_executions_suite_run", table, ["suite_run_id"])
    suffix = sa.text("reverse(replace(execution_id::text, '-', '')) text_pattern_ops")
    op.create_index("idx_test_executions_suffix", table, [suffix])
    unsettled = sa.text("prefect_settled = false AND completed_at IS NOT NULL")
    op.create_index("idx_test_executions_unsettled", table, ["completed_at"], postgresql_where=unsettled)


def _attempts_of(table: str, key: str, name: str, time: str) -> None:
    op.execute(TWINS.format(table=table, key=key, name=name, time=time))
    op.add_column(table, _count("attempt", 1))


def _queue() -> None:
    op.create_table(
        "queue",
        sa.Column(
            "execution_id",
            sa.Uuid(),
            sa.ForeignKey("test_executions.execution_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("pool", sa.String(100), nullable=False),
        sa.Column("state", sa.String(10), server_default="waiting", nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        _time("enqueued_at", nullable=False),
        _time("not_before"),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid()),
        sa.Column("cpu_milli", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("ephemeral_bytes", sa.BigInteger(), nullable=False),
        sa.Column("gpu", sa.Integer(), nullable=False),
        sa.Column("constraints", JSONB, server_default=OBJECT, nullable=False),
        sa.Column("shape", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        _count("epoch", 0),
        sa.Column("node", sa.String(255)),
        sa.Column("nominated", sa.String(255)),
        _time("admitted_at"),
        sa.Column("host", sa.String(255)),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("position", sa.Integer()),
        sa.Column("decision", JSONB),
        sa.CheckConstraint("state IN ('waiting', 'admitted')", name="valid_queue_state"),
    )
    op.execute("ALTER TABLE queue SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01)")
    waiting, admitted = sa.text("state = 'waiting'"), sa.text("state = 'admitted'")
    op.create_index("idx_queue_waiting", "queue", ["pool", "priority", "seq"], postgresql_where=waiting)
    op.create_index("idx_queue_oldest", "queue", ["pool", "seq"], postgresql_where=waiting)
    op.create_index("idx_queue_shape", "queue", ["pool", "priority", "shape", "seq"], postgresql_where=waiting)
    op.create_index("idx_queue_admitted", "queue", ["pool"], postgresql_where=admitted)
    op.create_table(
        "leases",
        sa.Column("execution_id", sa.Uuid(), sa.ForeignKey("queue.execution_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(255), nullable=False),
        _time("acquired_at", nullable=False, now=True),
        _time("expires_at", nullable=False),
    )
    op.create_index("idx_leases_holder", "leases", ["holder"])
