"""PostgreSQL for the stack: the embedded one, or the server in DATABASE_URL."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from db.embedded import Cluster
from db.engine import address

OWN, PREFECT = "assay", "prefect"
EXTENSION = "pg_trgm"
"""Prefect's search for names needs it."""
RESPONSE_SECONDS = 3
UNANSWERED = ("timeout expired", "Is the server running", "server closed the connection", "could not translate")
"""What libpq says when no server has answered."""
PREFECT_URL = "PREFECT_SERVER_DATABASE_CONNECTION_URL"


class PreparationError(Exception):
    """A database could not be prepared. The message says what its administrator must do."""


class Postgres(Protocol):
    """The server of both databases."""

    title: str

    def start(self) -> None:
        """Start or find the server, and make both databases."""

    def alive(self) -> bool:
        """Return whether it runs, as far as this machine knows."""

    def responds(self) -> bool:
        """Return whether it answers a new connection, be it with a refusal."""

    def stop(self) -> None:
        """Stop it, if it is ours."""

    @property
    def pid(self) -> int | None:
        """Its process, None if the server is not ours."""

    @property
    def own_url(self) -> str:
        """Address of our database, for SQLAlchemy and psycopg2."""

    @property
    def prefect_url(self) -> str:
        """Address of Prefect's database, for SQLAlchemy and asyncpg."""


class Embedded:
    """The server that is included in the stack."""

    title = "embedded PostgreSQL"

    def __init__(self, folder: Path) -> None:
        self._cluster = Cluster(folder)

    def start(self) -> None:
        """Create it the first time, adopt it if it runs, else start it."""
        self._cluster.create()
        self._cluster.start()
        self._cluster.create_database(OWN)
        self._cluster.create_database(PREFECT, extensions=(EXTENSION,))

    def alive(self) -> bool:
        """Return whether its process lives."""
        return self._cluster.alive()

    def responds(self) -> bool:
        """Return whether it answers a new connection."""
        return responds(self.own_url)

    def stop(self) -> None:
        """Shut it down."""
        self._cluster.stop()

    @property
    def pid(self) -> int | None:
        """Its first process."""
        return self._cluster.pid

    @property
    def own_url(self) -> str:
        """Address of our database."""
        return self._cluster.url(OWN)

    @property
    def prefect_url(self) -> str:
        """Address of Prefect's database."""
        return self._cluster.async_url(PREFECT)


class External:
    """A server that is administered elsewhere. It is neither started nor stopped here."""

    def __init__(self, url: str, prefect_url: str | None = None) -> None:
        self._own = address(url)
        self._prefect = address(prefect_url) if prefect_url else beside(self._own)
        self.title = f"PostgreSQL at {self._own.host or 'its socket'} (DATABASE_URL)"

    def start(self) -> None:
        """Make Prefect's database if it is missing. Raises: PreparationError with the commands to run."""
        try:
            _create(self._own, str(self._prefect.database))
            with create_engine(self._prefect, isolation_level="AUTOCOMMIT").connect() as conn:
                conn.execute(text(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}"))
        except DBAPIError as error:
            raise PreparationError(
                f"{self.title} could not be prepared: {str(error.orig).strip()}\n"
                f"Its administrator can do this once: CREATE DATABASE {self._prefect.database}; and in that database "
                f"CREATE EXTENSION {EXTENSION};"
            ) from error

    def alive(self) -> bool:
        """Return True: the server is not supervised here, and every part waits for it by itself."""
        return True

    def responds(self) -> bool:
        """Return whether it answers a new connection."""
        return responds(self.own_url)

    def stop(self) -> None:
        """Do nothing."""

    @property
    def pid(self) -> int | None:
        """None: the process is not ours."""
        return None

    @property
    def own_url(self) -> str:
        """Address of our database."""
        return self._own.render_as_string(hide_password=False)

    @property
    def prefect_url(self) -> str:
        """Address of Prefect's database."""
        return asynchronous(self._prefect).render_as_string(hide_password=False)


def choose(environment: Mapping[str, str], folder: Path) -> Postgres:
    """Return the server to use: the one in DATABASE_URL if it is set, else the embedded one."""
    url = environment.get("DATABASE_URL")
    return External(url, environment.get(PREFECT_URL)) if url else Embedded(folder)


def responds(url: str) -> bool:
    """Return whether the server of `url` answers a new connection, be it with a refusal."""
    engine = create_engine(url, connect_args={"connect_timeout": RESPONSE_SECONDS}, poolclass=NullPool)
    try:
        engine.connect().close()
    except OperationalError as error:
        return not any(words in str(error.orig) for words in UNANSWERED)
    return True


def beside(own: URL) -> URL:
    """Return the address of Prefect's database, which is on the same server as ours."""
    return own.set(database=f"{own.database}_prefect")


def asynchronous(url: URL) -> URL:
    """Return `url` for asyncpg, which calls `sslmode` `ssl`."""
    query = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)


def _create(own: URL, name: str) -> None:
    with create_engine(own, isolation_level="AUTOCOMMIT").connect() as conn:
        found = conn.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}).first()
        if found is None:
            quoted = conn.dialect.identifier_preparer.quote(name)
            conn.execute(text(f"CREATE DATABASE {quoted}"))
