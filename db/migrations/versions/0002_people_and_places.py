"""Times with their zone for people; pools, nodes, workers, suite runs, secrets, deployment users; the first rows."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
OBJECT = sa.text("'{}'::jsonb")
LIST = sa.text("'[]'::jsonb")
REQUIRED = {
    "teams": {
        "quota": """'{"max_concurrent_tests": 50, "max_daily_tests": 1000}'::jsonb""",
        "settings": "'{}'::jsonb",
        "created_at": "now()",
    },
    "users": {
        "roles": "'[]'::jsonb",
        "quota": """'{"max_concurrent_tests": 10, "max_daily_tests": 100}'::jsonb""",
        "created_at": "now()",
        "active": "true",
    },
}
TIMES = (("teams", "created_at"), ("users", "created_at"), ("users", "last_login"))
TEAM = "01900000-0000-7000-8000-000000000001"
USERS = {
    "01900000-0000-7000-8000-000000000002": ("local", ["admin"]),
    "01900000-0000-7000-8000-000000000003": ("prefect", ["user"]),
}
TEAM_QUOTA = {"max_concurrent_tests": 100, "max_daily_tests": 100_000}
USER_QUOTA = {"max_concurrent_tests": 50, "max_daily_tests": 10_000}


def upgrade() -> None:
    for table, columns in REQUIRED.items():
        for column, value in columns.items():
            op.execute(f"UPDATE {table} SET {column} = {value} WHERE {column} IS NULL")  # noqa: S608  our own names
            op.alter_column(table, column, nullable=False)
    for table, column in TIMES:
        _zone(table, column, aware=True)
    _capacity()
    _suites_and_names()
    _seed()


def downgrade() -> None:
    for table in ("deployment_users", "secrets", "suite_runs", "workers", "nodes", "pools"):
        op.drop_table(table)
    _unseed()
    for table, column in TIMES:
        _zone(table, column, aware=False)
    for table, columns in REQUIRED.items():
        for column in columns:
            op.alter_column(table, column, nullable=True)


def _zone(table: str, column: str, *, aware: bool) -> None:
    """Between a time without zone, which was UTC, and one with."""
    op.alter_column(table, column, type_=sa.TIMESTAMP(timezone=aware), postgresql_using=f"{column} AT TIME ZONE 'UTC'")


def _time(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable, server_default=NOW if now else None)


def _capacity() -> None:
    op.create_table(
        "pools",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("max_concurrent_tests", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column("scheduling_interval_seconds", sa.Double(), server_default=sa.text("1"), nullable=False),
        sa.Column("default_node_selector", JSONB, server_default=OBJECT, nullable=False),
        sa.Column("enable_spot_instances", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("target_node_utilization", sa.Double(), server_default=sa.text("0.7"), nullable=False),
        sa.Column("strategy", sa.String(20), server_default="PRIORITY", nullable=False),
        sa.Column("ageing_limit_seconds", sa.Double(), server_default=sa.text("3600"), nullable=False),
        sa.Column("fixed_nodes", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _time("annotated_at", nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
    )
    op.create_table(
        "nodes",
        sa.Column("pool", sa.String(100), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("cpu_milli", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("ephemeral_bytes", sa.BigInteger(), nullable=False),
        sa.Column("gpu", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("pods", sa.Integer(), server_default=sa.text("110"), nullable=False),
        sa.Column("labels", JSONB, server_default=OBJECT, nullable=False),
        sa.Column("taints", JSONB, server_default=LIST, nullable=False),
        sa.Column("ready", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _time("observed_at", now=True),
    )
    op.create_table(
        "workers",
        sa.Column("worker_id", sa.String(255), primary_key=True),
        sa.Column("pool", sa.String(100), nullable=False),
        _time("started_at", now=True),
        _time("expires_at"),
        sa.Column("draining", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def _suites_and_names() -> None:
    op.create_table(
        "suite_runs",
        sa.Column("suite_run_id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("definition", JSONB, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("submitted_by", sa.Uuid(), sa.ForeignKey("users.user_id"), nullable=False),
        _time("submitted_at", now=True),
        _time("completed_at", nullable=True),
        _time("cancel_requested_at", nullable=True),
        sa.Column("cancelled_by", sa.Text()),
        sa.Column("host", sa.String(255)),
        sa.Column("flow_run_id", sa.Uuid(), unique=True),
        sa.Column("prefect_settled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'timeout', 'skipped')",
            name="valid_suite_status",
        ),
    )
    op.create_index("idx_suite_runs_name", "suite_runs", ["name", "submitted_at"])
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("team", sa.String(100), server_default="", primary_key=True),
        sa.Column("reference", sa.String(1000), nullable=False),
        _time("created_at", now=True),
    )
    op.create_table(
        "deployment_users",
        sa.Column("deployment", sa.String(300), primary_key=True),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.user_id"), nullable=False),
    )


def _seed() -> None:
    """Write the pool, the team and the two users that Assay itself needs; a name that is taken gets a prefix."""
    conn = op.get_bind()
    conn.execute(sa.text("INSERT INTO pools (name) VALUES ('default')"))
    conn.execute(
        sa.text(
            "INSERT INTO teams (team_id, team_name, quota) SELECT :id,"
            " CASE WHEN EXISTS (SELECT FROM teams WHERE team_name = 'default') THEN 'assay-default' ELSE 'default' END,"
            " CAST(:quota AS jsonb) ON CONFLICT (team_id) DO NOTHING"
        ),
        {"id": TEAM, "quota": json.dumps(TEAM_QUOTA)},
    )
    for user, (name, roles) in USERS.items():
        conn.execute(
            sa.text(
                "INSERT INTO users (user_id, username, email, password_hash, team_id, roles, quota) SELECT :id,"
                " CASE WHEN EXISTS (SELECT FROM users WHERE username = :name) THEN 'assay-' || :name ELSE :name END,"
                " :name || '@assay.invalid', '!', :team, CAST(:roles AS jsonb), CAST(:quota AS jsonb)"
                " ON CONFLICT (user_id) DO NOTHING"
            ),
            {"id": user, "name": name, "team": TEAM, "roles": json.dumps(roles), "quota": json.dumps(USER_QUOTA)},
        )


def _unseed() -> None:
    """Take them away again where nothing points to them."""
    conn = op.get_bind()
    for user in USERS:
        conn.execute(
            sa.text(
                "DELETE FROM users u WHERE user_id = :id"
                " AND NOT EXISTS (SELECT FROM test_definitions WHERE owner_id = u.user_id)"
                " AND NOT EXISTS (SELECT FROM test_executions WHERE submitted_by = u.user_id)"
            ),
            {"id": user},
        )
    conn.execute(
        sa.text("DELETE FROM teams WHERE team_id = :id AND NOT EXISTS (SELECT FROM users WHERE team_id = :id)"),
        {"id": TEAM},
    )
