"""Experiments: what was written, their runs, results, faults, the stop switch, and cordoned targets."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLES = (
    "chaos_connections",
    "chaos_cordons",
    "chaos_stops",
    "chaos_faults",
    "chaos_results",
    "chaos_runs",
    "chaos_experiments",
)
STATUSES = ("pending", "injected", "reverting", "reverted", "residual", "unknown")
NEW_ID, NOW, EMPTY = sa.text("gen_random_uuid()"), sa.text("now()"), sa.text("'[]'::jsonb")
PARTS = (
    ("name", sa.String(255), "definition ->> 'name'", False),
    ("fault_spec", JSONB(), "definition -> 'faults'", False),
    ("target_selector", JSONB(), "definition -> 'target'", False),
    ("hypothesis", JSONB(), "definition -> 'hypothesis'", False),
    ("duration_seconds", sa.Integer(), "(definition ->> 'durationSeconds')::integer", False),
    ("halt_conditions", JSONB(), "definition -> 'haltConditions'", True),
    ("digest", sa.Text(), "md5(definition::text)", False),
)
"""The columns of the original design are parts of the definition, so that each fact is in one place."""

VIEW = """
CREATE VIEW chaos_executions AS
SELECT r.id AS execution_id, c.experiment_id,
    CASE WHEN r.status = 'queued' THEN 'scheduled' WHEN r.status = 'running' THEN 'running'
        WHEN c.ending = 'judged' THEN 'completed'
        WHEN c.ending IN ('halted', 'aborted') OR (c.ending IS NULL AND r.status = 'cancelled') THEN 'aborted'
        ELSE 'failed' END AS status,
    r.started_at, r.completed_at, c.baseline_metrics, c.chaos_metrics, c.recovery_metrics, c.hypothesis_validated,
    c.ending, r.detail AS reason
FROM runs r JOIN chaos_runs c ON c.run_id = r.id
"""


def upgrade() -> None:
    op.create_table(
        "chaos_experiments",
        sa.Column("experiment_id", sa.Uuid(), primary_key=True, server_default=NEW_ID),
        sa.Column("definition", JSONB(), nullable=False),
        *(
            sa.Column(name, kind, sa.Computed(part, persisted=True), nullable=nullable)
            for name, kind, part, nullable in PARTS
        ),
        sa.Column("created_by", sa.Uuid(), sa.ForeignKey("users.user_id"), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.UniqueConstraint("created_by", "digest", name="one_experiment_a_definition"),
    )
    op.create_index("idx_chaos_experiments_creator", "chaos_experiments", ["created_by"])
    _runs()
    _faults()
    op.create_table(
        "chaos_stops",
        sa.Column("stop_id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("stopped_by", sa.Text(), nullable=False),
        _time("stopped_at"),
        sa.Column("resumed_by", sa.Text()),
        sa.Column("resumed_at", TIMESTAMP(timezone=True)),
    )
    op.create_table(
        "chaos_cordons",
        sa.Column("path", sa.Text(), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cordoned_by", sa.Text(), nullable=False),
        _time("cordoned_at"),
    )
    op.create_table(
        "chaos_connections",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("secret", sa.String(1000)),
        sa.Column("options", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        _time("connected_at"),
        sa.CheckConstraint("kind IN ('prometheus', 'incidents', 'webhook')", name="valid_connection_kind"),
    )
    op.execute(VIEW)


def _runs() -> None:
    op.create_table(
        "chaos_runs",
        sa.Column("run_id", sa.Uuid(), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("experiment_id", sa.Uuid(), sa.ForeignKey("chaos_experiments.experiment_id"), nullable=False),
        sa.Column("state", JSONB()),
        sa.Column("resolution", JSONB()),
        sa.Column("decisions", JSONB(), server_default=EMPTY, nullable=False),
        sa.Column("phases", JSONB(), server_default=EMPTY, nullable=False),
        sa.Column("progress", JSONB()),
        sa.Column("ending", sa.String(30)),
        sa.Column("hypothesis_validated", sa.Boolean()),
        sa.Column("baseline_metrics", JSONB()),
        sa.Column("chaos_metrics", JSONB()),
        sa.Column("recovery_metrics", JSONB()),
        sa.Column("journal", JSONB()),
        sa.Column("report", sa.Text()),
    )
    op.create_index("idx_chaos_runs_experiment", "chaos_runs", ["experiment_id"])
    op.create_table(
        "chaos_results",
        sa.Column("result_id", sa.Uuid(), primary_key=True, server_default=NEW_ID),
        sa.Column("execution_id", sa.Uuid(), sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("metric_name", sa.String(255), nullable=False),
        sa.Column("baseline_value", sa.Numeric()),
        sa.Column("chaos_value", sa.Numeric()),
        sa.Column("recovery_value", sa.Numeric()),
        _time("measured_at"),
        sa.UniqueConstraint("execution_id", "metric_name", name="one_result_a_metric"),
    )


def _faults() -> None:
    op.create_table(
        "chaos_faults",
        sa.Column("fault_id", sa.String(200), primary_key=True),
        sa.Column("execution_id", sa.Uuid(), sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(50), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("place", "service", "target", "identity")),
        sa.Column("status", sa.String(20), nullable=False),
        _time("written_at"),
        sa.Column("expires_at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("injected_at", TIMESTAMP(timezone=True)),
        sa.Column("reverted_at", TIMESTAMP(timezone=True)),
        sa.Column("effect", sa.Text()),
        sa.Column("effect_seen", sa.Boolean()),
        sa.Column("remains", JSONB(), server_default=EMPTY, nullable=False),
        sa.CheckConstraint(f"status IN ({', '.join(map(repr, STATUSES))})", name="valid_fault_status"),
    )
    op.create_index("idx_chaos_faults_execution", "chaos_faults", ["execution_id"])
    is_open = sa.text("status NOT IN ('reverted', 'residual')")
    op.create_index("idx_chaos_faults_open", "chaos_faults", ["expires_at"], postgresql_where=is_open)


def _time(name: str) -> sa.Column[datetime]:
    return sa.Column(name, TIMESTAMP(timezone=True), server_default=NOW, nullable=False)


def downgrade() -> None:
    op.execute("DROP VIEW chaos_executions")
    for table in TABLES:
        op.drop_table(table)
    op.execute("DELETE FROM runs WHERE kind = 'experiment'")
