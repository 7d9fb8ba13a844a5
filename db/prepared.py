"""Statements that a session parses and plans once: those of a pass, which are long, and run many times a second."""

import re
from collections.abc import Mapping
from contextlib import closing
from hashlib import blake2b
from typing import Any

import psycopg2  # type: ignore[import-untyped]
from psycopg2.extras import NamedTupleCursor  # type: ignore[import-untyped]
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from db.sql_text import sql

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")
_READY = "assay prepared"


class Prepared:
    """A statement with `:named` parameters, made from parts as by `db.sql_text.sql`.

    PostgreSQL finds the types of the parameters, so cast where it could not.

    List the columns of a SELECT: one that would grow with its table fails after a migration.
    """

    def __init__(self, template: str, /, **parts: str | int) -> None:
        statement = sql(template, **parts)
        names = list(dict.fromkeys(_PARAMETER.findall(statement)))
        self.name = f"assay_{blake2b(statement.encode(), digest_size=8).hexdigest()}"
        body = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
        self._prepare = f"PREPARE {self.name} AS {body}"
        values = f" ({', '.join(f'%({name})s' for name in names)})" if names else ""
        self._execute = f"EXECUTE {self.name}{values}"

    def execute(self, conn: Connection, values: Mapping[str, object]) -> list[Any]:
        """Execute it in the transaction of `conn`, and return its rows, as named tuples.

        The first time in a session it is also prepared, which holds whatever becomes of the transaction. Rows come by
        the driver's own cursor: of what a short statement takes a third was the making of a result around them.
        Raises: DBAPIError as SQLAlchemy does.
        """
        ready: set[str] = conn.info.setdefault(_READY, set())
        if self.name not in ready:
            conn.exec_driver_sql(self._prepare)
            ready.add(self.name)
        if not conn.in_transaction():
            conn.begin()  # as any other statement does by itself: what the driver does alone would not be committed
        try:
            with closing(conn.connection.cursor(cursor_factory=NamedTupleCursor)) as cursor:
                cursor.execute(self._execute, values)
                return list(cursor.fetchall()) if cursor.description else []
        except psycopg2.Error as error:
            gone = conn.dialect.is_disconnect(error, None, None)
            if gone:
                conn.invalidate(error)
            raise DBAPIError.instance(
                self._execute, dict(values), error, psycopg2.Error, connection_invalidated=gone, dialect=conn.dialect
            ) from error
