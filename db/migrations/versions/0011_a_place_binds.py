"""Backends: what a node's runs are carried out by, which of them a worker serves, and since when nobody serves one.

Until now each node was a machine of its own, so each gets a backend of its own. Nobody serves those old names: runs
that hold a place during the migration wait there until the node is lost or forgotten.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("backend", sa.String(300)))
    op.execute("UPDATE nodes SET backend = 'local/' || name")
    op.alter_column("nodes", "backend", nullable=False)
    op.add_column("queue", sa.Column("backend", sa.String(300)))
    op.execute("UPDATE queue SET backend = 'local/' || node WHERE node IS NOT NULL")
    op.add_column("workers", sa.Column("serves", ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.create_table(
        "backends",
        sa.Column("pool", sa.String(100), primary_key=True),
        sa.Column("name", sa.String(300), primary_key=True),
        sa.Column("absent_since", sa.DateTime(timezone=True)),
        sa.Column("absent", sa.Interval()),
        sa.Column("observed_at", sa.DateTime(timezone=True)),
        sa.Column("server_started_at", sa.DateTime(timezone=True)),
    )
    op.execute("INSERT INTO backends (pool, name) SELECT DISTINCT pool, backend FROM nodes")


def downgrade() -> None:
    op.drop_table("backends")
    op.drop_column("workers", "serves")
    op.drop_column("queue", "backend")
    op.drop_column("nodes", "backend")
