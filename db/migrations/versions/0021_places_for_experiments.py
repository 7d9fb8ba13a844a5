"""Places for experiments: a pool says how many run at once, and a pass asks whether one waits."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

WAITS = sa.text("state = 'waiting' AND constraints ->> 'backend' = 'experiments'")


def upgrade() -> None:
    op.add_column(
        "pools",
        sa.Column("max_concurrent_experiments", sa.Integer(), server_default=sa.text("5"), nullable=False),
    )
    op.create_index("idx_queue_experiments", "queue", ["pool"], postgresql_where=WAITS)


def downgrade() -> None:
    op.drop_index("idx_queue_experiments", "queue")
    op.drop_column("pools", "max_concurrent_experiments")
