"""Identifiers. A UUID is of version 7, made from a given time and a given source of randomness (D7)."""

from datetime import datetime
from random import Random
from typing import NewType
from uuid import UUID

RunId = NewType("RunId", UUID)
"""A run of any kind (`model.runs.RunKind`)."""
ExecutionId = NewType("ExecutionId", RunId)
"""A run of kind `test`."""
SuiteRunId = NewType("SuiteRunId", RunId)
"""A run of kind `suite`."""
DefinitionId = NewType("DefinitionId", UUID)
UserId = NewType("UserId", UUID)
TeamId = NewType("TeamId", UUID)
GroupId = NewType("GroupId", UUID)
"""Identifies runs that start together or not at all."""
WorkerId = NewType("WorkerId", str)
NodeName = NewType("NodeName", str)
BackendName = NewType("BackendName", str)
"""Of what runs attempts: `local/<node>` for a machine, `kubernetes/<cluster>` for a cluster with all its nodes."""
EXPERIMENTS = BackendName("experiments")
"""The backend of experiments. Every worker serves it. Its virtual node has a place for each that may run at once."""
CLUSTERS = "kubernetes/"
"""What the names of all backends of clusters begin with."""
PoolName = NewType("PoolName", str)

SHORT_LENGTH = 8
"""The number of hex digits of the short form. It has the last digits, because the first ones are the time."""


def backend_of_cluster(cluster: str) -> BackendName:
    """Return the name of a cluster's backend."""
    return BackendName(f"{CLUSTERS}{cluster}")


def is_cluster(backend: BackendName) -> bool:
    """Return whether a backend is that of a cluster."""
    return backend.startswith(CLUSTERS)


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
    """Return the short form of an identifier for people: its last eight hex digits."""
    return identifier.hex[-SHORT_LENGTH:]
