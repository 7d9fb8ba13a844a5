"""What a cluster allows the pods of tests, what a GPU is there, and whether it must enforce network policies."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

NEW = ("gpu", "priority_classes", "runtime_classes", "control_plane", "network_required")


def upgrade() -> None:
    empty, no = sa.text("'[]'::jsonb"), sa.text("false")
    op.add_column("clusters", sa.Column("gpu", sa.String(253), server_default="nvidia.com/gpu", nullable=False))
    op.add_column("clusters", sa.Column("priority_classes", JSONB(), server_default=empty, nullable=False))
    op.add_column("clusters", sa.Column("runtime_classes", JSONB(), server_default=empty, nullable=False))
    op.add_column("clusters", sa.Column("control_plane", sa.Boolean(), server_default=no, nullable=False))
    op.add_column("clusters", sa.Column("network_required", sa.Boolean(), server_default=no, nullable=False))


def downgrade() -> None:
    for name in NEW:
        op.drop_column("clusters", name)
