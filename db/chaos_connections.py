"""Connections of experiments: which Prometheus, incident service or webhook is asked. No secret, only its reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from db import chaos_tables
from db.errors import NotFoundError
from db.text import clean

C = chaos_tables.ChaosConnection


class ConnectionKind(StrEnum):
    """What is asked."""

    PROMETHEUS = "prometheus"
    INCIDENTS = "incidents"
    WEBHOOK = "webhook"
    ALERTMANAGER = "alertmanager"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosConnection:
    """A system that experiments ask.

    `secret` is the reference of a token, such as `env:NAME`. `options` holds lists of ids: `services` and `policies` of
    an incident service; `tenant` of a Prometheus; `signingSecret` of a webhook, a reference too.
    """

    name: str
    kind: ConnectionKind
    url: str
    secret: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def put(conn: Connection, row: ChaosConnection) -> None:
    """Add a connection, or change it."""
    secret = None if row.secret is None else clean(row.secret)
    options = {key: _clean(value) for key, value in row.options.items()}
    values = {"kind": row.kind, "url": clean(row.url), "secret": secret, "options": options}
    wanted = insert(C).values(name=clean(row.name), **values)
    same = {**values, "connected_at": func.now()}
    conn.execute(wanted.on_conflict_do_update(index_elements=["name"], set_=same))


def _clean(value: Any) -> Any:
    return [clean(str(one)) for one in value] if isinstance(value, list) else clean(str(value))


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
