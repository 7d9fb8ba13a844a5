"""Connections of experiments: which Prometheus, incident service or webhook is asked. No secret, only its reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from db import chaos_tables
from db.errors import NotFoundError

C = chaos_tables.ChaosConnection


class ConnectionKind(StrEnum):
    """What is asked."""

    PROMETHEUS = "prometheus"
    INCIDENTS = "incidents"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosConnection:
    """A system that experiments ask.

    `secret` is the reference of a token, such as `env:NAME`. `options` holds lists of ids: `services` and `policies` of
    an incident service; and `tenant` of a Prometheus.
    """

    name: str
    kind: ConnectionKind
    url: str
    secret: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def put(conn: Connection, row: ChaosConnection) -> None:
    """Add a connection, or change it."""
    values = {"kind": row.kind, "url": row.url, "secret": row.secret, "options": dict(row.options)}
    wanted = insert(C).values(name=row.name, **values)
    same = {**values, "connected_at": func.now()}
    conn.execute(wanted.on_conflict_do_update(index_elements=["name"], set_=same))


def remove(conn: Connection, name: str) -> None:
    """Forget a connection. Raises: NotFoundError."""
    if conn.execute(delete(C).where(C.name == name)).rowcount == 0:
        raise NotFoundError("connection", name)


def read(conn: Connection) -> list[ChaosConnection]:
    """Return all connections, by name."""
    return [
        ChaosConnection(
            name=row.name, kind=ConnectionKind(row.kind), url=row.url, secret=row.secret, options=row.options
        )
        for row in conn.execute(select(C.__table__).order_by(C.name))
    ]
