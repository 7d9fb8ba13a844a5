"""Keys by which persons are told apart: made once, shown once, kept as a digest."""

import hashlib
import hmac
from dataclasses import dataclass

from sqlalchemy import Connection

from db import people, user_keys
from db.user_keys import Holder, KeyRow

PREFIX = "assay"
PARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key of a user, with its secret. It is shown this once."""

    key_id: str
    user: str
    key: str


def create(conn: Connection, user: str, key_id: str, secret: str) -> NewKey:
    """Make a key for a user from random texts. Raises: NotFoundError."""
    found = people.user(conn, user)
    key = f"{PREFIX}_{key_id}_{secret}"
    user_keys.add(conn, key_id, found.user_id, _digest(key))
    return NewKey(key_id=key_id, user=found.username, key=key)


def holder_of(conn: Connection, key: str) -> Holder | None:
    """Return whose key this is, None if it is nobody's. Secrets are compared in constant time."""
    parts = key.split("_", PARTS - 1)
    if len(parts) != PARTS or parts[0] != PREFIX or not parts[1].isalnum() or not key.isascii():
        return None
    holder = user_keys.holder(conn, parts[1])
    return holder if holder and hmac.compare_digest(holder.digest, _digest(key)) else None


def listed(conn: Connection, user: str) -> list[KeyRow]:
    """Return the keys of a user. Raises: NotFoundError."""
    return list(user_keys.listed(conn, people.user(conn, user).user_id))


def revoke(conn: Connection, user: str, key_id: str) -> None:
    """Refuse a key of a user from now on. Raises: NotFoundError."""
    user_keys.revoke(conn, people.user(conn, user).user_id, key_id)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
