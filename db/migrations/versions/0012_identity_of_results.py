"""Results know which test they are of by parts, so that a history has a key that no run changes.

The parts are those of `model.result.ResultIdentity`. Rows from before have none: their name stands for them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

PARTS = ("suite", "classname", "case_name", "parameters", "project")
IDENTITY = (
    "md5(COALESCE(suite, ''::text) || chr(31) || COALESCE(classname, ''::text) || chr(31)"
    " || COALESCE(case_name, test_name::text) || chr(31) || COALESCE(parameters, ''::text) || chr(31)"
    " || COALESCE(project, ''::text) || chr(31) || result_index::text)"
)


def upgrade() -> None:
    op.add_column("test_results", sa.Column("kind", sa.String(20)))
    op.create_check_constraint("valid_result_kind", "test_results", "kind IN ('error', 'xfail', 'xpass', 'not_run')")
    op.add_column(
        "test_results", sa.Column("other_failures", JSONB, nullable=False, server_default=sa.text("'[]'::jsonb"))
    )
    for part in PARTS:
        op.add_column("test_results", sa.Column(part, sa.Text()))
    op.add_column("test_results", sa.Column("result_index", sa.Integer(), nullable=False, server_default="1"))
    op.add_column(
        "test_results", sa.Column("identity", sa.Text(), sa.Computed(IDENTITY, persisted=True), nullable=False)
    )
    op.create_index("idx_test_results_identity", "test_results", ["identity", "executed_at"])


def downgrade() -> None:
    for column in ("identity", "result_index", *PARTS, "other_failures", "kind"):
        op.drop_column("test_results", column)
