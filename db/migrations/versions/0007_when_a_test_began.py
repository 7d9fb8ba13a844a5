"""When the test of a run that may be stopped began: from then on its minimum time counts, not from its admission.

Who runs now counts as begun now: nobody knows when it did, and none is to be stopped too early.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("queue", sa.Column("began_at", sa.DateTime(timezone=True)))
    op.execute("""
        UPDATE queue q SET began_at = clock_timestamp() FROM test_executions e
        WHERE e.execution_id = q.execution_id AND q.state = 'admitted' AND q.restartable AND e.phase = 'running'
    """)


def downgrade() -> None:
    op.drop_column("queue", "began_at")
