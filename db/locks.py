"""The advisory locks of the database: every number, in this one place, so that none has two meanings.

PostgreSQL keeps two kinds of them apart: a number with a key (`Lock`, by `lock_key` of a name), and one number alone.
"""

from enum import IntEnum, unique
from zlib import crc32

MIGRATION = 7_113_001
"""Alone: of two processes that migrate at the same time the second finds everything done."""


@unique
class Lock(IntEnum):
    """What is locked, of a name. The first four are the gate's (db/gate/pass_locks.py)."""

    RUN = 0x41535301
    NEXT = 0x41535302
    OWNER = 0x41535303
    ENTER = 0x41535304
    FORECAST = 0x41535305
    SUITE = 0x41535306
    NODES = 0x41535307


def lock_key(name: str) -> int:
    """Return a lock key. Two names of one key only wait for each other needlessly."""
    return crc32(name.encode()) - 2**31
