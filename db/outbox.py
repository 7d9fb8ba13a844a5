"""The outbox: every end of a run, written in the transaction that ends it, for webhooks and other subscribers.

A subscriber keeps a position and reads what comes after it. Numbers are drawn before their transactions commit, so a
row with a smaller number may become visible later. Therefore rows are read in the order (transaction, number), and
only those of transactions that are older than all that still run: whatever appears later has a later position.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Insert, String, cast, delete, func, insert, literal, select, text
from sqlalchemy.sql.selectable import CTE

from db import tables
from model.execution import Reason
from model.ids import RunId
from model.notices import Ended
from model.runs import RunKind, run_status

ENDED = "ended"
KEPT = timedelta(days=7)
"""A subscriber that was away for longer must read the runs themselves."""

O = tables.Outbox  # noqa: E741  the name of a table, as E and D elsewhere

_READ = text("""
SELECT CAST(CAST(xid AS text) AS bigint) AS transaction, position, at, run_id, payload FROM outbox
WHERE kind = :kind AND xid < pg_snapshot_xmin(pg_current_snapshot())
    AND (xid, position) > (CAST(CAST(:transaction AS text) AS xid8), :position)
ORDER BY xid, position LIMIT :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class OutboxPosition:
    """How far a subscriber has read. The order of positions is the order of reading."""

    transaction: int = 0
    number: int = 0


BEGINNING = OutboxPosition()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """An end that was written down, when, and the position behind it."""

    position: OutboxPosition
    at: datetime
    ended: Ended


def append_ended(changed: CTE) -> Insert:
    """Return the statement that writes an end for each row of `changed` (id, kind, status, failure_reason)."""
    c = changed.c
    payload = func.jsonb_build_object("kind", c.kind, "status", c.status, "reason", c.failure_reason)
    return insert(O).from_select(["kind", "run_id", "payload"], select(cast(literal(ENDED), String), c.id, payload))


def read_after(conn: Connection, position: OutboxPosition = BEGINNING, limit: int = 100) -> list[OutboxEntry]:
    """Return the next ends after a position. An end appears once all transactions that began before it have ended."""
    values = {"kind": ENDED, "transaction": position.transaction, "position": position.number, "limit": limit}
    return [
        OutboxEntry(
            position=OutboxPosition(transaction=row.transaction, number=row.position),
            at=row.at,
            ended=Ended(
                run_id=RunId(row.run_id),
                kind=RunKind(row.payload["kind"]),
                status=run_status(row.payload["status"]),
                reason=Reason(row.payload["reason"]) if row.payload["reason"] else None,
            ),
        )
        for row in conn.execute(_READ, values)
    ]


def prune(conn: Connection, older_than: timedelta = KEPT) -> int:
    """Delete entries that are older than this by the database's clock. Returns: how many."""
    return conn.execute(delete(O).where(O.at < func.now() - older_than)).rowcount
