"""Bring a database to the tables of this version, or back to those of an earlier one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from db.engine import CONNECT_SECONDS, address, away
from db.errors import UnavailableError

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = "head"
NOTHING = "base"
_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps the migration under way in a variable of the whole process."""


def upgrade(url: str, revision: str = NEWEST) -> None:
    """Migrate to `revision`, in one transaction: all of it or nothing. Safe to call from two processes at once."""
    with _config(url) as config:
        command.upgrade(config, revision)


def downgrade(url: str, revision: str) -> None:
    """Go back to `revision`; what the earlier tables have no place for is lost."""
    with _config(url) as config:
        command.downgrade(config, revision)


def current(url: str) -> str | None:
    """Return the revision of a database, None if it has no tables of ours."""
    with _config(url) as config:
        return MigrationContext.configure(config.attributes["connection"]).get_current_revision()


@contextmanager
def _config(url: str) -> Iterator[Config]:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(address(url), poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
    try:
        with _ONE_AT_A_TIME, engine.connect() as connection:
            config.attributes["connection"] = connection
            yield config
    except DBAPIError as exc:
        if away(exc):
            raise UnavailableError(str(exc.orig).strip()) from exc
        raise
    finally:
        engine.dispose()
