"""Identifiers: UUID version 7, made from a given time and given randomness (decision 7)."""

from datetime import datetime
from random import Random
from typing import NewType
from uuid import UUID

ExecutionId = NewType("ExecutionId", UUID)
DefinitionId = NewType("DefinitionId", UUID)
SuiteRunId = NewType("SuiteRunId", UUID)
UserId = NewType("UserId", UUID)
TeamId = NewType("TeamId", UUID)
GroupId = NewType("GroupId", UUID)
"""Of runs that start together or not at all."""
WorkerId = NewType("WorkerId", str)
NodeName = NewType("NodeName", str)
BackendName = NewType("BackendName", str)
"""Of what runs attempts: `local/<node>` for a machine, `kubernetes/<cluster>` for a cluster with all its nodes."""
PoolName = NewType("PoolName", str)

SHORT_LENGTH = 8
"""Hex digits of the short form. The last ones, since the first ones are time."""


def uuid7(now: datetime, random: Random) -> UUID:
    """Return a version 7 UUID of `now` (millisecond resolution) and 74 random bits.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = int(now.timestamp() * 1000) & (2**48 - 1)
    value = milliseconds << 80
    value |= 0x7 << 76 | random.getrandbits(12) << 64
    value |= 0b10 << 62 | random.getrandbits(62)
    return UUID(int=value)


def short(identifier: UUID) -> str:
    """Return the last eight hex digits, as people read and type them."""
    return identifier.hex[-SHORT_LENGTH:]
