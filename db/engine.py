"""The way to the database: one pool of connections and one pool of threads of the same size.

Coroutines hold no connection while they wait: they hand a function over, which runs in one transaction in a pool
thread. So any number of waiting flows needs `size` connections and `size` threads, no more.
"""

import asyncio
import select
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Self, TypeVar
from uuid import UUID

from psycopg2.extensions import new_type, register_type  # type: ignore[import-untyped]
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay, stop_never

from db.errors import UnavailableError
from model.backoff import Backoff

T = TypeVar("T")

CONNECT_SECONDS = 5
BACKOFF = Backoff(first=0.05, longest=2.0)
SESSION = (
    "SET TIME ZONE 'UTC'; SET idle_in_transaction_session_timeout = '20s'; SET lock_timeout = '30s'; SET jit = off; "
    "SET plan_cache_mode = force_generic_plan"
)
"""A transaction that is left open keeps rows from being cleaned up for everybody, so the server ends it.

Our statements are short: compiling one, as PostgreSQL does where its statistics are poor, takes longer than running it.
Those that are prepared (db/prepared.py) are planned once, for whatever values.
"""
_UUID_OID = 2950
"""Of PostgreSQL's type, in every installation."""
_GONE = ("08", "57P", "53300", "25P03")
_COLLISION = ("40001", "40P01", "55P03")


class Database:
    """The connections and threads of one process to one database, which sees them under the name `title`."""

    def __init__(self, url: str, *, size: int = 4, title: str = "assay") -> None:
        parsed = address(url)
        self.url = parsed.render_as_string(hide_password=False)
        self.name = parsed.database or ""
        self.size = size
        self._engine = create_engine(
            self.url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=30,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "application_name": title,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
            },
        )
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "checkout", _look)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="db")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction in this thread. Raises: UnavailableError when the server is away."""
        try:
            with self._engine.begin() as conn:
                return work(conn)
        except PoolTimeoutError as exc:
            raise UnavailableError("all connections of this process were in use for 30 s") from exc
        except DBAPIError as exc:
            if away(exc):
                raise UnavailableError(_first_line(exc)) from exc
            raise

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction in a thread of the pool.

        Cancelling the caller does not undo it: a transaction that has begun is finished.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.call, work)

    async def run_patiently(self, work: Callable[[Connection], T], *, timeout: float | None = None) -> T:  # noqa: ASYNC109
        """Run idempotent `work`; try again while the server does not answer or another transaction is in the way.

        `timeout` bounds the seconds of waiting; then the last error is raised.
        """
        patiently = AsyncRetrying(
            retry=retry_if_exception(passing),
            wait=lambda tried: BACKOFF.pause(tried.attempt_number),
            stop=stop_never if timeout is None else stop_before_delay(timeout),
            sleep=asyncio.sleep,
            reraise=True,
        )
        return await patiently(self.run, work)

    def close(self) -> None:
        """Finish what runs and close all connections."""
        self._threads.shutdown(wait=True)
        self._engine.dispose()


def address(url: str) -> URL:
    """Return `url` for our driver, whatever driver it names. Raises: ValueError unless it is PostgreSQL's."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        msg = f"DATABASE_URL must begin with postgresql://, not {parsed.drivername}://: Assay runs on PostgreSQL only"
        raise ValueError(msg)
    return parsed.set(drivername="postgresql+psycopg2")


def away(exc: DBAPIError) -> bool:
    """Return whether an error says that the server, and not the statement, is the matter."""
    code = getattr(exc.orig, "pgcode", None)
    if code is None:
        return exc.connection_invalidated or isinstance(exc, OperationalError | InterfaceError)
    return bool(code.startswith(_GONE))


def passing(exc: BaseException) -> bool:
    """Return whether idempotent work that met this error is worth another try."""
    if isinstance(exc, UnavailableError):
        return True
    return isinstance(exc, DBAPIError) and (getattr(exc.orig, "pgcode", None) or "").startswith(_COLLISION)


@lru_cache(maxsize=16_384)
def _identifier(value: str) -> UUID:
    """Return an identifier, the same object each time: a run is read again and again on its way through the gate."""
    return UUID(value)


_UUIDS = new_type((_UUID_OID,), "UUID", lambda value, _: None if value is None else _identifier(value))


def _prepare(dbapi_connection: Any, _record: object) -> None:
    register_type(_UUIDS, dbapi_connection)
    dbapi_connection.autocommit = True
    with dbapi_connection.cursor() as cursor:
        cursor.execute(SESSION)
    dbapi_connection.autocommit = False


def _look(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    """Have a connection made anew that the server has ended, without asking the server each time.

    While nobody asks, the server says nothing but its farewell; and a network that broke is noticed by keepalives.
    """
    if dbapi_connection.closed or readable(0.0, dbapi_connection.fileno()):
        raise DisconnectionError


def readable(seconds: float, *files: int) -> bool:
    """Wait for one of `files`. poll, since select refuses file numbers above 1023."""
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _first_line(exc: DBAPIError) -> str:
    return (str(exc.orig).strip().splitlines() or [type(exc.orig).__name__])[0]
