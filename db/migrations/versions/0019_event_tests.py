"""A test may be an event-driven one."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

OLD = "type IN ('selenium', 'cypress', 'postman', 'k6', 'playwright', 'pytest', 'custom')"
NEW = "type IN ('selenium', 'cypress', 'postman', 'k6', 'playwright', 'pytest', 'event', 'custom')"


def upgrade() -> None:
    op.drop_constraint("valid_type", "test_definitions")
    op.create_check_constraint("valid_type", "test_definitions", NEW)


def downgrade() -> None:
    op.execute("UPDATE test_definitions SET type = 'custom' WHERE type = 'event'")
    op.drop_constraint("valid_type", "test_definitions")
    op.create_check_constraint("valid_type", "test_definitions", OLD)
