"""A run is not a test: `test_executions` becomes `runs`, with the details of tests and suites beside it.

A suite run becomes a row of `runs` too. The view `test_executions` keeps the names, columns and words that it had.
Ends are written to an outbox from now on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OBJECT = sa.text("'{}'::jsonb")
STATUSES = "'queued', 'running', 'completed', 'failed', 'cancelled', 'timeout'"
RENAMED = (("execution_id", "id"), ("suite_run_id", "parent_id"), ("prefect_settled", "settled"))
DETAILS = ("definition_id", "pod_name", "metrics", "progress")
SUITE_FACTS = (
    *("status", "submitted_by", "submitted_at", "completed_at", "cancel_requested_at", "cancelled_by", "flow_run_id"),
    "prefect_settled",
)
OF_TESTS = (
    ("submitted_at", [sa.text("submitted_at DESC")], None),
    ("user", ["submitted_by", "submitted_at"], None),
    ("team", ["team_id", "submitted_at"], None),
    ("pool", ["pool", "submitted_at"], None),
    ("ended_team", ["team_id", "completed_at"], "completed_at IS NOT NULL"),
)
"""Indexes that shall hold tests only."""

VIEW = """
CREATE VIEW test_executions AS
SELECT r.id AS execution_id, d.definition_id, r.status, r.submitted_at, r.started_at, r.completed_at, r.retry_count,
    d.pod_name, r.node_name, d.metrics, r.submitted_by, r.phase, r.epoch, r.priority, r.door, r.pool, r.team_id,
    r.infrastructure_count, d.progress, r.failure_reason, r.detail, r.cancel_requested_at, r.cancelled_by,
    r.retried_from, r.parent_id AS suite_run_id, r.flow_run_id, r.settled AS prefect_settled, r.idempotency_key,
    r.request_digest
FROM runs r JOIN test_run_details d ON d.execution_id = r.id
WHERE r.kind = 'test'
"""

SUITES_TO_RUNS = """
INSERT INTO runs (id, kind, status, phase, door, pool, submitted_by, team_id, submitted_at, completed_at,
    failure_reason, cancel_requested_at, cancelled_by, flow_run_id, settled)
SELECT s.suite_run_id, 'suite', s.status, CASE WHEN s.status IN ('queued', 'running') THEN 'waiting' ELSE 'ended' END,
    'rest', coalesce(test.pool, 'default'), s.submitted_by, coalesce(test.team_id, u.team_id), s.submitted_at,
    s.completed_at, CASE WHEN s.status = 'failed' THEN coalesce(worst.failure_reason, 'infrastructure') END,
    s.cancel_requested_at, s.cancelled_by, s.flow_run_id, s.prefect_settled
FROM suite_runs s JOIN users u ON u.user_id = s.submitted_by
LEFT JOIN LATERAL (
    SELECT pool, team_id FROM runs WHERE parent_id = s.suite_run_id ORDER BY submitted_at, id LIMIT 1
) AS test ON true
LEFT JOIN LATERAL (
    SELECT failure_reason FROM runs WHERE parent_id = s.suite_run_id AND status = 'failed'
    ORDER BY failure_reason IN ('tests_failed', 'oom_killed'), failure_reason = 'no_tests', submitted_at, id LIMIT 1
) AS worst ON true
"""
"""A suite is queued until it ends; the reason of a failed one is that of its worst test."""

SUITES_BACK = """
UPDATE suite_runs s SET status = r.status, submitted_by = r.submitted_by, submitted_at = r.submitted_at,
    completed_at = r.completed_at, cancel_requested_at = r.cancel_requested_at, cancelled_by = r.cancelled_by,
    flow_run_id = r.flow_run_id, prefect_settled = r.settled
FROM runs r WHERE r.id = s.suite_run_id
"""


def upgrade() -> None:
    op.rename_table("test_executions", "runs")
    for old, new in RENAMED:
        op.alter_column("runs", old, new_column_name=new)
    _rename_constraints("runs", "test_executions_", "runs_")
    op.add_column("runs", sa.Column("kind", sa.String(20), nullable=False, server_default="test"))
    op.alter_column("runs", "kind", server_default=None)
    _split_details()
    op.drop_constraint("runs_suite_run_id_fkey", "runs")
    op.drop_constraint("valid_status", "runs")
    op.create_check_constraint("valid_kind", "runs", "kind IN ('test', 'suite')")
    rule = f"status IN ({STATUSES}) OR (status = 'skipped' AND kind = 'suite')"
    op.create_check_constraint("valid_status", "runs", rule)
    op.execute(SUITES_TO_RUNS)
    op.create_foreign_key("runs_parent_id_fkey", "runs", "runs", ["parent_id"], ["id"])
    op.drop_index("idx_suite_runs_name", "suite_runs")
    for column in SUITE_FACTS:
        op.drop_column("suite_runs", column)
    op.create_foreign_key(
        "suite_runs_suite_run_id_fkey", "suite_runs", "runs", ["suite_run_id"], ["id"], ondelete="CASCADE"
    )
    op.create_index("idx_suite_runs_name", "suite_runs", ["name", "suite_run_id"])
    _index_runs()
    _outbox()
    op.execute(VIEW)


def downgrade() -> None:
    op.execute("DROP VIEW test_executions")
    op.drop_table("outbox")
    _unindex_runs()
    _suites_back()
    _details_back()
    op.drop_column("runs", "kind")
    _rename_constraints("runs", "runs_", "test_executions_")
    for old, new in RENAMED:
        op.alter_column("runs", new, new_column_name=old)
    op.rename_table("runs", "test_executions")
    op.create_index(
        "idx_test_executions_ended_definition",
        "test_executions",
        ["definition_id", "completed_at"],
        postgresql_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_index("idx_test_executions_definition", "test_executions", ["definition_id"])
    op.create_foreign_key(
        "test_executions_suite_run_id_fkey", "test_executions", "suite_runs", ["suite_run_id"], ["suite_run_id"]
    )


def _split_details() -> None:
    op.create_table(
        "test_run_details",
        sa.Column("execution_id", sa.Uuid(), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("definition_id", sa.Uuid(), sa.ForeignKey("test_definitions.id"), nullable=False),
        sa.Column("pod_name", sa.String(255)),
        sa.Column("metrics", JSONB, server_default=OBJECT, nullable=False),
        sa.Column("progress", JSONB, server_default=OBJECT, nullable=False),
    )
    op.execute(f"INSERT INTO test_run_details SELECT id, {', '.join(DETAILS)} FROM runs")  # noqa: S608  our own text
    op.create_index("idx_test_run_details_definition", "test_run_details", ["definition_id"])
    op.add_column("test_attempts", sa.Column("definition_id", sa.Uuid()))
    op.execute("UPDATE test_attempts a SET definition_id = r.definition_id FROM runs r WHERE r.id = a.execution_id")
    ended = sa.text("ended_at IS NOT NULL AND definition_id IS NOT NULL")
    columns = ["definition_id", "ended_at"]
    op.create_index("idx_test_attempts_definition", "test_attempts", columns, postgresql_where=ended)
    for column in DETAILS:
        op.drop_column("runs", column)


def _details_back() -> None:
    op.drop_index("idx_test_attempts_definition", "test_attempts")
    op.drop_column("test_attempts", "definition_id")
    for column in (
        sa.Column("definition_id", sa.Uuid(), sa.ForeignKey("test_definitions.id", name="runs_definition_id_fkey")),
        sa.Column("pod_name", sa.String(255)),
        sa.Column("metrics", JSONB, server_default=OBJECT, nullable=False),
        sa.Column("progress", JSONB, server_default=OBJECT, nullable=False),
    ):
        op.add_column("runs", column)
    op.execute("""
        UPDATE runs r SET definition_id = d.definition_id, pod_name = d.pod_name, metrics = d.metrics,
            progress = d.progress
        FROM test_run_details d WHERE d.execution_id = r.id
    """)
    op.alter_column("runs", "definition_id", nullable=False)
    op.drop_table("test_run_details")


def _suites_back() -> None:
    op.drop_index("idx_suite_runs_name", "suite_runs")
    op.drop_constraint("suite_runs_suite_run_id_fkey", "suite_runs")
    for column in (
        sa.Column("status", sa.String(20)),
        sa.Column("submitted_by", sa.Uuid(), sa.ForeignKey("users.user_id")),
        sa.Column("submitted_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()")),
        sa.Column("completed_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("cancel_requested_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("cancelled_by", sa.Text()),
        sa.Column("flow_run_id", sa.Uuid(), unique=True),
        sa.Column("prefect_settled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    ):
        op.add_column("suite_runs", column)
    op.execute(SUITES_BACK)
    for name in ("status", "submitted_by", "submitted_at"):
        op.alter_column("suite_runs", name, nullable=False)
    op.create_check_constraint("valid_suite_status", "suite_runs", f"status IN ({STATUSES}, 'skipped')")
    op.create_index("idx_suite_runs_name", "suite_runs", ["name", "submitted_at"])
    op.drop_constraint("runs_parent_id_fkey", "runs")
    op.execute("DELETE FROM runs WHERE kind = 'suite'")
    op.drop_constraint("valid_status", "runs")
    op.drop_constraint("valid_kind", "runs")
    op.create_check_constraint("valid_status", "runs", f"status IN ({STATUSES})")


def _index_runs() -> None:
    op.execute("ALTER INDEX idx_test_executions_status RENAME TO idx_runs_status")
    op.execute("ALTER INDEX idx_test_executions_suffix RENAME TO idx_runs_suffix")
    op.execute("ALTER INDEX idx_test_executions_unsettled RENAME TO idx_runs_unsettled")
    op.execute("ALTER INDEX one_execution_a_key RENAME TO one_run_a_key")
    op.drop_index("idx_test_executions_suite_run", "runs")
    op.create_index("idx_runs_parent", "runs", ["parent_id"], postgresql_where=sa.text("parent_id IS NOT NULL"))
    for name, columns, where in OF_TESTS:
        op.drop_index(f"idx_test_executions_{name}", "runs")
        only = sa.text("kind = 'test'" if where is None else f"{where} AND kind = 'test'")
        op.create_index(f"idx_runs_{name}", "runs", columns, postgresql_where=only)
    op.create_index("idx_runs_suites", "runs", ["submitted_at"], postgresql_where=sa.text("kind = 'suite'"))
    alive = sa.text("kind = 'suite' AND completed_at IS NULL")
    op.create_index("idx_runs_open_suites", "runs", ["submitted_at"], postgresql_where=alive)


def _unindex_runs() -> None:
    for name in ("open_suites", "suites", "parent"):
        op.drop_index(f"idx_runs_{name}", "runs")
    op.create_index("idx_test_executions_suite_run", "runs", ["parent_id"])
    for name, columns, where in OF_TESTS:
        op.drop_index(f"idx_runs_{name}", "runs")
        whole = None if where is None else sa.text(where)
        op.create_index(f"idx_test_executions_{name}", "runs", columns, postgresql_where=whole)
    op.execute("ALTER INDEX one_run_a_key RENAME TO one_execution_a_key")
    op.execute("ALTER INDEX idx_runs_unsettled RENAME TO idx_test_executions_unsettled")
    op.execute("ALTER INDEX idx_runs_suffix RENAME TO idx_test_executions_suffix")
    op.execute("ALTER INDEX idx_runs_status RENAME TO idx_test_executions_status")


def _outbox() -> None:
    op.execute("""
        CREATE TABLE outbox (
            xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
            position bigint GENERATED ALWAYS AS IDENTITY,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            kind varchar(30) NOT NULL,
            run_id uuid NOT NULL,
            payload jsonb NOT NULL,
            PRIMARY KEY (xid, position)
        )
    """)


def _rename_constraints(table: str, old: str, new: str) -> None:
    """Give constraints the name of their table, so that they are found under it."""
    query = sa.text(
        "SELECT conname FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) AND starts_with(conname, :old)"
    )
    for name in op.get_bind().execute(query, {"table": table, "old": old}).scalars().all():
        op.execute(f'ALTER TABLE {table} RENAME CONSTRAINT "{name}" TO "{new}{name.removeprefix(old)}"')
