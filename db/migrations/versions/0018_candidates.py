"""An admitted run has several candidate nodes, and an attempt can follow a conflict of placement."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

OLD = "cause IN ('first', 'retry', 'infrastructure', 'preempted')"
NEW = "cause IN ('first', 'retry', 'infrastructure', 'preempted', 'placement')"


def upgrade() -> None:
    op.add_column("queue", sa.Column("candidates", ARRAY(sa.Text), nullable=False, server_default="{}"))
    op.drop_constraint("valid_cause", "test_attempts")
    op.create_check_constraint("valid_cause", "test_attempts", NEW)


def downgrade() -> None:
    op.execute("UPDATE test_attempts SET cause = 'preempted' WHERE cause = 'placement'")
    op.drop_constraint("valid_cause", "test_attempts")
    op.create_check_constraint("valid_cause", "test_attempts", OLD)
    op.drop_column("queue", "candidates")
