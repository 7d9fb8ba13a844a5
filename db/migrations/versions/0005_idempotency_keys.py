"""Executions know the key that their sender chose, so that a request that is sent twice becomes one run."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = "test_executions"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("idempotency_key", sa.String(255)))
    op.add_column(TABLE, sa.Column("request_digest", sa.String(64)))
    given = sa.text("idempotency_key IS NOT NULL")
    op.create_index(
        "one_execution_a_key", TABLE, ["submitted_by", "idempotency_key"], unique=True, postgresql_where=given
    )


def downgrade() -> None:
    op.drop_index("one_execution_a_key", TABLE)
    op.drop_column(TABLE, "request_digest")
    op.drop_column(TABLE, "idempotency_key")
