"""A connection of experiments may be an Alertmanager."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

OLD = "kind IN ('prometheus', 'incidents', 'webhook')"
NEW = "kind IN ('prometheus', 'incidents', 'webhook', 'alertmanager')"


def upgrade() -> None:
    op.drop_constraint("valid_connection_kind", "chaos_connections")
    op.create_check_constraint("valid_connection_kind", "chaos_connections", NEW)


def downgrade() -> None:
    op.execute("DELETE FROM chaos_connections WHERE kind = 'alertmanager'")
    op.drop_constraint("valid_connection_kind", "chaos_connections")
    op.create_check_constraint("valid_connection_kind", "chaos_connections", OLD)
