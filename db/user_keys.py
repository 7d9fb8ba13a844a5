"""Keys of persons: each is kept as its digest only. A key is random, so a fast digest is enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from db import tables
from db.errors import NotFoundError
from model.ids import UserId

K, U = tables.UserKey, tables.User


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key of a user, without its secret."""

    key_id: str
    user: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose key it is, and the digest of the whole key."""

    user_id: UserId
    name: str
    digest: str


def add(conn: Connection, key_id: str, user_id: UserId, digest: str) -> None:
    """Write a new key down."""
    conn.execute(insert(K).values(key_id=key_id, user_id=user_id, digest=digest))


def holder(conn: Connection, key_id: str) -> Holder | None:
    """Return whose key this is; None if it is unknown or revoked, or its user is not active."""
    query = select(U.user_id, U.username, K.digest).join(U, U.user_id == K.user_id)
    row = conn.execute(query.where(K.key_id == key_id, K.revoked_at.is_(None), U.active)).one_or_none()
    return None if row is None else Holder(user_id=UserId(row.user_id), name=row.username, digest=row.digest)


def listed(conn: Connection, user_id: UserId) -> Sequence[KeyRow]:
    """Return the keys of a user, the oldest first."""
    query = select(K.key_id, U.username, K.created_at, K.revoked_at).join(U, U.user_id == K.user_id)
    found = conn.execute(query.where(K.user_id == user_id).order_by(K.created_at, K.key_id))
    return [
        KeyRow(key_id=row.key_id, user=row.username, created_at=row.created_at, revoked_at=row.revoked_at)
        for row in found
    ]


def revoke(conn: Connection, user_id: UserId, key_id: str) -> None:
    """Refuse a key from now on. The second time changes nothing. Raises: NotFoundError."""
    mine = update(K).where(K.key_id == key_id, K.user_id == user_id)
    if conn.execute(mine.values(revoked_at=func.coalesce(K.revoked_at, func.now()))).rowcount == 0:
        raise NotFoundError("key", key_id)
