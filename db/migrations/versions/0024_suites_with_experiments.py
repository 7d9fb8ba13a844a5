"""A suite may carry an experiment: its row says how far that is, so that each test begins in its window."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

WINDOWS = "current_window IN ('waiting', 'baseline', 'fault', 'recovery')"


def upgrade() -> None:
    op.add_column("suite_runs", sa.Column("current_window", sa.String(20)))
    op.create_check_constraint("valid_suite_window", "suite_runs", WINDOWS)


def downgrade() -> None:
    op.drop_constraint("valid_suite_window", "suite_runs")
    op.drop_column("suite_runs", "current_window")
