"""The tables of the original design (lld.md 5.2), with `users` after `teams` and `pytest` as one more type."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NEW_ID = sa.text("gen_random_uuid()")
NOW = sa.text("now()")


def upgrade() -> None:
    _people()
    _definitions()
    _executions()
    _results()


def downgrade() -> None:
    for table in (
        *("test_artifacts", "test_results", "test_executions", "test_tags"),
        *("test_definitions", "users", "teams"),
    ):
        op.drop_table(table)


def _id(name: str) -> sa.Column[Any]:
    return sa.Column(name, UUID(as_uuid=True), primary_key=True, server_default=NEW_ID)


def _reference(name: str, target: str, *, nullable: bool = False, ondelete: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, UUID(as_uuid=True), sa.ForeignKey(target, ondelete=ondelete), nullable=nullable)


def _time(name: str, *, now: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.TIMESTAMP(), server_default=NOW if now else None)


def _people() -> None:
    op.create_table(
        "teams",
        _id("team_id"),
        sa.Column("team_name", sa.String(100), nullable=False, unique=True),
        sa.Column(
            "quota",
            JSONB,
            server_default=sa.text("""'{"max_concurrent_tests": 50, "max_daily_tests": 1000}'::jsonb"""),
        ),
        sa.Column("settings", JSONB, server_default=sa.text("'{}'::jsonb")),
        _time("created_at", now=True),
    )
    op.create_table(
        "users",
        _id("user_id"),
        sa.Column("username", sa.String(100), nullable=False, unique=True),
        sa.Column("email", sa.String(255), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        _reference("team_id", "teams.team_id", nullable=True),
        sa.Column("roles", JSONB, server_default=sa.text("'[]'::jsonb")),
        sa.Column(
            "quota",
            JSONB,
            server_default=sa.text("""'{"max_concurrent_tests": 10, "max_daily_tests": 100}'::jsonb"""),
        ),
        _time("created_at", now=True),
        _time("last_login"),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true")),
    )
    op.create_index("idx_users_email", "users", ["email"])
    op.create_index("idx_users_team", "users", ["team_id"])


def _definitions() -> None:
    op.create_table(
        "test_definitions",
        _id("id"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("type", sa.String(50), nullable=False),
        _reference("owner_id", "users.user_id"),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("resources", JSONB, nullable=False),
        sa.Column("config", JSONB, nullable=False),
        sa.Column("metadata", JSONB),
        _time("created_at", now=True),
        _time("updated_at", now=True),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false")),
        sa.CheckConstraint(
            "type IN ('selenium', 'cypress', 'postman', 'k6', 'playwright', 'pytest', 'custom')", name="valid_type"
        ),
    )
    alive = sa.text("deleted = false")
    op.create_index("idx_test_definitions_owner", "test_definitions", ["owner_id"], postgresql_where=alive)
    op.create_index("idx_test_definitions_type", "test_definitions", ["type"], postgresql_where=alive)
    op.create_index("idx_test_definitions_metadata", "test_definitions", ["metadata"], postgresql_using="gin")
    op.create_table(
        "test_tags",
        _id("tag_id"),
        _reference("definition_id", "test_definitions.id", ondelete="CASCADE"),
        sa.Column("tag_name", sa.String(255), nullable=False),
        sa.Column("tag_value", sa.String(255)),
    )


def _executions() -> None:
    op.create_table(
        "test_executions",
        _id("execution_id"),
        _reference("definition_id", "test_definitions.id"),
        sa.Column("status", sa.String(50), nullable=False),
        _time("submitted_at", now=True),
        _time("started_at"),
        _time("completed_at"),
        sa.Column("retry_count", sa.Integer(), server_default=sa.text("0")),
        sa.Column("pod_name", sa.String(255)),
        sa.Column("node_name", sa.String(255)),
        sa.Column("metrics", JSONB),
        _reference("submitted_by", "users.user_id"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'timeout')", name="valid_status"
        ),
    )
    op.create_index("idx_test_executions_definition", "test_executions", ["definition_id"])
    op.create_index("idx_test_executions_status", "test_executions", ["status"])
    op.create_index("idx_test_executions_submitted_at", "test_executions", [sa.text("submitted_at DESC")])
    op.create_index("idx_test_executions_user", "test_executions", ["submitted_by"])


def _results() -> None:
    op.create_table(
        "test_results",
        _id("result_id"),
        _reference("execution_id", "test_executions.execution_id", ondelete="CASCADE"),
        sa.Column("test_name", sa.String(500), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("error_message", sa.Text()),
        sa.Column("stack_trace", sa.Text()),
        sa.Column("assertions", JSONB),
        _time("executed_at", now=True),
        sa.CheckConstraint("status IN ('passed', 'failed', 'skipped')", name="valid_result_status"),
    )
    op.create_index("idx_test_results_execution", "test_results", ["execution_id"])
    op.create_index("idx_test_results_status", "test_results", ["status"])
    op.create_table(
        "test_artifacts",
        _id("artifact_id"),
        _reference("execution_id", "test_executions.execution_id", ondelete="CASCADE"),
        sa.Column("artifact_type", sa.String(50), nullable=False),
        sa.Column("file_name", sa.String(500), nullable=False),
        sa.Column("s3_path", sa.String(1000), nullable=False),
        sa.Column("file_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("content_type", sa.String(100)),
        _time("created_at", now=True),
        sa.CheckConstraint(
            "artifact_type IN ('screenshot', 'video', 'log', 'report', 'other')", name="valid_artifact_type"
        ),
    )
    op.create_index("idx_test_artifacts_execution", "test_artifacts", ["execution_id"])
    op.create_index("idx_test_artifacts_type", "test_artifacts", ["artifact_type"])
