"""Statements that a session parses and plans once: those of a pass, which are long, and run many times a second."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, CursorResult

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")
_READY = "assay prepared"


class Prepared:
    """A statement with `:named` parameters; PostgreSQL finds their types, so cast where it could not.

    List the columns of a SELECT: one that would grow with its table fails after a migration.
    """

    def __init__(self, statement: str) -> None:
        names = list(dict.fromkeys(_PARAMETER.findall(statement)))
        self.name = f"assay_{blake2b(statement.encode(), digest_size=8).hexdigest()}"
        body = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
        self._prepare = f"PREPARE {self.name} AS {body}"
        values = f" ({', '.join(f'%({name})s' for name in names)})" if names else ""
        self._execute = f"EXECUTE {self.name}{values}"

    def execute(self, conn: Connection, values: Mapping[str, object]) -> CursorResult[Any]:
        """Execute it; the first time in a session also prepare it, which holds whatever becomes of the transaction."""
        ready: set[str] = conn.info.setdefault(_READY, set())
        if self.name not in ready:
            conn.exec_driver_sql(self._prepare)
            ready.add(self.name)
        return conn.exec_driver_sql(self._execute, dict(values))
