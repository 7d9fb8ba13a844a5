"""Keys of persons, and approvals of experiments by a second person."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

STATES = ("waiting", "approved", "denied")


def upgrade() -> None:
    op.create_table(
        "user_keys",
        sa.Column("key_id", sa.String(16), primary_key=True),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.user_id"), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        _time("created_at", now=True),
        _time("revoked_at"),
    )
    op.create_index("idx_user_keys_user", "user_keys", ["user_id"])
    op.create_table(
        "chaos_approvals",
        sa.Column("run_id", sa.Uuid(), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("rules", JSONB(), nullable=False),
        sa.Column("approvers", JSONB(), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("state", sa.String(20), server_default="waiting", nullable=False),
        _time("requested_at", now=True),
        sa.Column("begins_at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("holds_seconds", sa.Float(), nullable=False),
        sa.Column("expires_at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Text()),
        _time("decided_at"),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(f"state IN ({', '.join(map(repr, STATES))})", name="valid_approval_state"),
    )


def _time(name: str, *, now: bool = False) -> sa.Column[datetime]:
    default = sa.text("now()") if now else None
    return sa.Column(name, TIMESTAMP(timezone=True), server_default=default, nullable=not now)


def downgrade() -> None:
    op.drop_table("chaos_approvals")
    op.drop_table("user_keys")
