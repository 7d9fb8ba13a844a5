"""What the full gate needs: more about a waiting run, more pool settings, fair usage, records that outlive the queue.

`decisions` and `forecasts` keep what was said to a run after its queue row is gone, so the row itself keeps none.
`node_snapshots` holds the nodes of a pool packed, with a version, so that a pass reads one row however many there are.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
HISTORY = (
    (
        "idx_test_executions_ended_definition",
        "test_executions",
        ["definition_id", "completed_at"],
        "completed_at IS NOT NULL",
    ),
    ("idx_test_executions_ended_team", "test_executions", ["team_id", "completed_at"], "completed_at IS NOT NULL"),
    ("idx_test_attempts_ended", "test_attempts", ["ended_at"], "ended_at IS NOT NULL"),
)
"""By these the last durations of a test, a team and all are found, however many runs wait or have ended."""


def _queue() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("group_id", sa.Uuid()),
        sa.Column("exclusive", ARRAY(sa.Text()), nullable=False, server_default="{}"),
        sa.Column("labels", JSONB(), nullable=False, server_default="{}"),
        sa.Column("limit_seconds", sa.Float(), nullable=False, server_default="3600"),
        sa.Column("expected_seconds", sa.Float()),
        sa.Column("restartable", sa.Boolean(), nullable=False, server_default="false"),
        sa.Column("guarded", sa.Boolean(), nullable=False, server_default="false"),
        sa.Column("preempted_for", sa.Uuid()),
        sa.Column("preempted_at", sa.DateTime(timezone=True)),
        sa.Column("said", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("told", sa.BigInteger()),
        sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"),
    )


def _pools() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("profile", sa.String(50), nullable=False, server_default="default"),
        sa.Column("candidates", sa.Integer(), nullable=False, server_default="5"),
        sa.Column("backfill_after_seconds", sa.Float(), nullable=False, server_default="30"),
        sa.Column("half_life_seconds", sa.Float(), nullable=False, server_default="3600"),
        sa.Column("preemption", sa.Boolean(), nullable=False, server_default="false"),
        sa.Column("min_runtime_seconds", sa.Float(), nullable=False, server_default="60"),
        sa.Column("max_cpu_milli", sa.BigInteger()),
        sa.Column("max_memory_bytes", sa.BigInteger()),
        sa.Column("max_ephemeral_bytes", sa.BigInteger()),
        sa.Column("max_gpu", sa.BigInteger()),
        sa.Column("usage_at", sa.DateTime(timezone=True)),
    )


VACUUM = {"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.01", "autovacuum_vacuum_cost_delay": "0"}
"""A lease lives for seconds and is renewed: its table is cleaned up at once, as the queue is."""


def upgrade() -> None:
    op.execute("ALTER TABLE queue SET (autovacuum_vacuum_cost_delay = 0)")
    op.execute(f"ALTER TABLE leases SET ({', '.join(f'{name} = {value}' for name, value in VACUUM.items())})")
    for column in _queue():
        op.add_column("queue", column)
    op.drop_column("queue", "decision")
    for column in _pools():
        op.add_column("pools", column)
    for table in ("users", "teams"):
        op.add_column(table, sa.Column("weight", sa.Float(), nullable=False, server_default="1"))
        op.create_check_constraint(f"positive_weight_of_{table}", table, "weight > 0")
    op.create_index("idx_queue_group", "queue", ["group_id"], postgresql_where=sa.text("group_id IS NOT NULL"))
    _floors()
    op.create_table(
        "fair_usage",
        sa.Column("pool", sa.String(100), primary_key=True),
        sa.Column("owner_id", sa.Uuid(), primary_key=True),
        sa.Column("usage", sa.Float(), nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("execution_id", sa.Uuid(), _execution(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("record", JSONB(), nullable=False),
    )
    op.create_table(
        "forecasts",
        sa.Column("execution_id", sa.Uuid(), _execution(), primary_key=True),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("first_p50", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_p90", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("p50", sa.DateTime(timezone=True), nullable=False),
        sa.Column("p90", sa.DateTime(timezone=True), nullable=False),
        sa.Column("basis", sa.String(20), nullable=False, server_default="history"),
        sa.Column("started_at", sa.DateTime(timezone=True)),
    )
    op.create_index("idx_forecasts_started", "forecasts", ["started_at"])
    op.create_table(
        "forecast_rounds",
        sa.Column("pool", sa.String(100), primary_key=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("seconds", sa.Float(), nullable=False, server_default="0"),
        sa.Column("trials", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("told", sa.Integer(), nullable=False, server_default="0"),
    )
    for name, table, columns, where in HISTORY:
        op.create_index(name, table, columns, postgresql_where=sa.text(where))
    op.create_table(
        "node_snapshots",
        sa.Column("pool", sa.String(100), primary_key=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("nodes", sa.Integer(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
    )


def _floors() -> None:
    """Let who reads the queue begin where its live rows do (db/gate/queue_watermarks.py)."""
    op.execute("CREATE SEQUENCE queue_turns")
    op.create_table(
        "queue_floors",
        sa.Column("pool", sa.String(100), primary_key=True),
        sa.Column("level", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("lowest", sa.BigInteger(), nullable=False),
    )
    back = sa.text("state = 'waiting' AND epoch > 0")
    op.create_index("idx_queue_back", "queue", ["pool", "priority", "seq"], postgresql_where=back)
    op.drop_index("idx_queue_admitted", "queue")
    op.create_index("idx_queue_admitted", "queue", ["pool", "turn"], postgresql_where=sa.text("state = 'admitted'"))


def _no_floors() -> None:
    op.drop_index("idx_queue_admitted", "queue")
    op.create_index("idx_queue_admitted", "queue", ["pool"], postgresql_where=sa.text("state = 'admitted'"))
    op.drop_index("idx_queue_back", "queue")
    op.drop_table("queue_floors")
    op.execute("DROP SEQUENCE queue_turns")


def _execution() -> sa.ForeignKey:
    return sa.ForeignKey("test_executions.execution_id", ondelete="CASCADE")


def downgrade() -> None:
    op.execute("ALTER TABLE queue RESET (autovacuum_vacuum_cost_delay)")
    op.execute(f"ALTER TABLE leases RESET ({', '.join(VACUUM)})")
    for name, table, _, _ in HISTORY:
        op.drop_index(name, table)
    for table in ("node_snapshots", "forecast_rounds", "forecasts", "decisions", "fair_usage"):
        op.drop_table(table)
    op.drop_index("idx_queue_group", "queue")
    _no_floors()
    for table in ("users", "teams"):
        op.drop_constraint(f"positive_weight_of_{table}", table)
        op.drop_column(table, "weight")
    for column in _pools():
        op.drop_column("pools", column.name)
    op.add_column("queue", sa.Column("decision", JSONB()))
    for column in _queue():
        op.drop_column("queue", column.name)
