"""Alembic's folder: env.py and the revisions. Entered by db/migrate.py only."""
