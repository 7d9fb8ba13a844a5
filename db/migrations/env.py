"""Alembic's entrance; called by db/migrate.py, which hands the connection over."""

from alembic import context
from sqlalchemy import text

from db import chaos_tables, gate_tables, tables  # noqa: F401  their tables are part of the metadata
from db.locks import MIGRATION
from db.table_base import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=False)
with context.begin_transaction():
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION})
    context.run_migrations()
