"""The outbox: every end of a run, written in the transaction that ends it, for webhooks and other subscribers.

A subscriber keeps a position and reads what comes after it. Numbers are drawn before their transactions commit, so a
row with a smaller number may become visible later. Therefore rows are read in the order (transaction, number), and
only those of transactions that are older than all that still run: whatever appears later has a later position.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, text

from db import tables
from model.execution import Reason
from model.ids import RunId
from model.notices import Ended
from model.runs import RunKind, run_status

KEPT = timedelta(days=7)
"""A subscriber that was away for longer must read the runs themselves."""

O = tables.Outbox  # noqa: E741  the name of a table, as E and D elsewhere

APPEND_ENDED = """
INSERT INTO outbox (kind, run_id, payload)
SELECT 'ended', id, jsonb_build_object('kind', kind, 'status', status, 'reason', failure_reason) FROM ended
RETURNING run_id
"""
"""Writes an end for each row of `ended`: the rows of `runs` that the same statement has just ended."""

_READ = text("""
SELECT CAST(CAST(xid AS text) AS bigint) AS transaction, position, at, run_id, payload FROM outbox
WHERE kind = 'ended' AND xid < pg_snapshot_xmin(pg_current_snapshot())
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


def read_after(conn: Connection, position: OutboxPosition = BEGINNING, limit: int = 100) -> list[OutboxEntry]:
    """Return the next ends after a position. An end appears once all transactions that began before it have ended."""
    values = {"transaction": position.transaction, "position": position.number, "limit": limit}
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
