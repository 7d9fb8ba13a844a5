"""The stop switch of all experiments, and the targets that are cordoned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_row

from db import chaos_tables
from db.errors import NotFoundError
from db.text import clean

S = chaos_tables.ChaosStop
C = chaos_tables.ChaosCordon


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Who stopped all experiments, when and why."""

    reason: str
    by: str
    at: datetime

    @property
    def sentence(self) -> str:
        """Return it in words."""
        return f"{self.by} stopped all experiments at {self.at:%Y-%m-%d %H:%M:%S} UTC: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CordonedTarget:
    """A target that no experiment may use, by its path."""

    path: str
    reason: str
    by: str
    at: datetime


def stop(conn: Connection, reason: str, by: str) -> Stop:
    """Stop all experiments. The first reason stays until somebody resumes."""
    if stopped(conn) is None:
        conn.execute(insert(S).values(reason=clean(reason), stopped_by=by))
    found = stopped(conn)
    if found is None:
        raise RuntimeError("the stop that was just written is not there")
    return found


def resume(conn: Connection, by: str) -> bool:
    """Allow experiments again. False if they were not stopped."""
    values = {"resumed_by": by, "resumed_at": func.now()}
    return conn.execute(update(S).where(S.resumed_at.is_(None)).values(**values)).rowcount > 0


def stopped(conn: Connection) -> Stop | None:
    """Return why no experiment may run now, None if they may."""
    query = select(S).where(S.resumed_at.is_(None)).order_by(S.stop_id).limit(1)
    row = conn.execute(query).one_or_none()
    return None if row is None else Stop(reason=row.reason, by=row.stopped_by, at=row.stopped_at)


def cordon(conn: Connection, paths: Sequence[str], reason: str, by: str) -> None:
    """Keep experiments off targets. The first reason stays."""
    for path in paths:
        conn.execute(insert_row(C).values(path=path, reason=clean(reason), cordoned_by=by).on_conflict_do_nothing())


def uncordon(conn: Connection, path: str) -> None:
    """Let experiments use a target again. Raises: NotFoundError."""
    if conn.execute(delete(C).where(C.path == path)).rowcount == 0:
        raise NotFoundError("cordoned target", path)


def cordons(conn: Connection) -> list[CordonedTarget]:
    """Return the targets that are cordoned, by path."""
    found = conn.execute(select(C).order_by(C.path))
    return [CordonedTarget(path=row.path, reason=row.reason, by=row.cordoned_by, at=row.cordoned_at) for row in found]
