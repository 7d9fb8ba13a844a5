"""Pools have only names that the scheduler knows, and a daily quota of their own; workers say how long they live.

A pool with an unknown strategy made every pass fail, one with an unknown profile was scored by another one. By `lease`
others see that a worker seems to live for longer than it can: then the clock went back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STRATEGIES = ("FIFO", "PRIORITY", "FAIR_SHARE", "RESOURCE_AWARE")
PROFILES = ("default", "original", "best-fit", "spread")
CHECKS = (("valid_strategy", "strategy", STRATEGIES), ("valid_profile", "profile", PROFILES))


def upgrade() -> None:
    for name, column, known in CHECKS:
        names = ", ".join(f"'{one}'" for one in known)
        op.execute(f"UPDATE pools SET {column} = DEFAULT WHERE {column} NOT IN ({names})")  # noqa: S608  our own text
        op.create_check_constraint(name, "pools", f"{column} IN ({names})")
    op.add_column("pools", sa.Column("max_daily_tests", sa.Integer()))
    op.create_index("idx_test_executions_pool", "test_executions", ["pool", "submitted_at"])
    op.add_column("workers", sa.Column("lease", sa.Interval(), nullable=False, server_default="20 seconds"))


def downgrade() -> None:
    op.drop_column("workers", "lease")
    op.drop_index("idx_test_executions_pool", "test_executions")
    op.drop_column("pools", "max_daily_tests")
    for name, _, _ in CHECKS:
        op.drop_constraint(name, "pools")
