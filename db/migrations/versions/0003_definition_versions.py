"""Definitions are unique by owner, name and version; their times know their zone; tags are unique."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

REQUIRED = {
    "metadata": "'{}'::jsonb",
    "created_at": "now()",
    "updated_at": "coalesce(created_at, now())",
    "deleted": "false",
}
TIMES = ("created_at", "updated_at")

BACKFILL = """
WITH digests AS (
    SELECT id, owner_id, name, created_at,
           encode(sha256(convert_to(jsonb_build_array(content, resources, config)::text, 'UTF8')), 'hex') AS digest
    FROM test_definitions
), numbered AS (
    SELECT id, digest,
           row_number() OVER (PARTITION BY owner_id, name, digest ORDER BY created_at DESC NULLS LAST, id) AS place
    FROM digests
)
UPDATE test_definitions AS definition
SET version = CASE WHEN place = 1 THEN digest
              ELSE encode(sha256(convert_to(digest || definition.id::text, 'UTF8')), 'hex') END
FROM numbered WHERE numbered.id = definition.id
"""
"""The newest of equal definitions gets the digest of what it runs. The older twins keep their ids, to which history and
clients point, and get a digest of their own, so that they are not mixed up."""

ONE_TAG_ONCE = """
DELETE FROM test_tags AS twin USING test_tags AS kept
WHERE twin.definition_id = kept.definition_id AND twin.tag_name = kept.tag_name
  AND twin.tag_value = kept.tag_value AND twin.tag_id > kept.tag_id
"""


def upgrade() -> None:
    op.add_column("test_definitions", sa.Column("run", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False))
    op.add_column("test_definitions", sa.Column("version", sa.String(64)))
    op.execute(BACKFILL)
    op.alter_column("test_definitions", "version", nullable=False)
    for column, value in REQUIRED.items():
        op.execute(f"UPDATE test_definitions SET {column} = {value} WHERE {column} IS NULL")  # noqa: S608  our own names
        op.alter_column("test_definitions", column, nullable=False)
    op.alter_column("test_definitions", "metadata", server_default=sa.text("'{}'::jsonb"))
    for column in TIMES:
        _zone(column, aware=True)
    op.create_unique_constraint("one_definition_a_version", "test_definitions", ["owner_id", "name", "version"])
    op.execute("UPDATE test_tags SET tag_value = '' WHERE tag_value IS NULL")
    op.execute(ONE_TAG_ONCE)
    op.alter_column("test_tags", "tag_value", nullable=False, server_default="")
    op.create_unique_constraint("one_tag_once", "test_tags", ["definition_id", "tag_name", "tag_value"])
    op.create_index("idx_test_tags_name", "test_tags", ["tag_name", "tag_value"])


def downgrade() -> None:
    op.drop_index("idx_test_tags_name", "test_tags")
    op.drop_constraint("one_tag_once", "test_tags")
    op.alter_column("test_tags", "tag_value", nullable=True, server_default=None)
    op.drop_constraint("one_definition_a_version", "test_definitions")
    for column in TIMES:
        _zone(column, aware=False)
    op.alter_column("test_definitions", "metadata", server_default=None)
    for column in REQUIRED:
        op.alter_column("test_definitions", column, nullable=True)
    op.drop_column("test_definitions", "version")
    op.drop_column("test_definitions", "run")


def _zone(column: str, *, aware: bool) -> None:
    """Between a time without zone, which was UTC, and one with."""
    op.alter_column(
        "test_definitions",
        column,
        type_=sa.TIMESTAMP(timezone=aware),
        postgresql_using=f"{column} AT TIME ZONE 'UTC'",
    )
