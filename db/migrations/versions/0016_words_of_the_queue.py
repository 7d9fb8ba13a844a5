"""Columns of the queue, and the table of its watermarks, get names that say what they hold."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

COLUMNS = (("said", "record_count"), ("told", "record_digest"), ("keeps", "reserved_for"))
INDEXES = (("idx_queue_keeps", "idx_queue_reserved_for"), ("queue_floors_pkey", "queue_watermarks_pkey"))


def upgrade() -> None:
    for old, new in COLUMNS:
        op.execute(f"ALTER TABLE queue RENAME COLUMN {old} TO {new}")
    op.execute("ALTER TABLE queue_floors RENAME TO queue_watermarks")
    for old, new in INDEXES:
        op.execute(f"ALTER INDEX {old} RENAME TO {new}")


def downgrade() -> None:
    for old, new in INDEXES:
        op.execute(f"ALTER INDEX {new} RENAME TO {old}")
    op.execute("ALTER TABLE queue_watermarks RENAME TO queue_floors")
    for old, new in COLUMNS:
        op.execute(f"ALTER TABLE queue RENAME COLUMN {new} TO {old}")
