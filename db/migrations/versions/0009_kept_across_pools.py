"""What an aged run has kept for it in all pools, where there are several (scheduler/plan.py, rule 10)."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("queue", sa.Column("keeps", ARRAY(sa.Uuid())))
    kept = sa.text("state = 'waiting' AND keeps IS NOT NULL")
    op.create_index("idx_queue_keeps", "queue", ["pool"], postgresql_where=kept)


def downgrade() -> None:
    op.drop_index("idx_queue_keeps", "queue")
    op.drop_column("queue", "keeps")
