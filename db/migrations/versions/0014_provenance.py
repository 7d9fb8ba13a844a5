"""A test run knows what it ran: the commit or the digest of its content, and the versions of its tools."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("provenance", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb"))
    op.add_column("test_run_details", column)


def downgrade() -> None:
    op.drop_column("test_run_details", "provenance")
