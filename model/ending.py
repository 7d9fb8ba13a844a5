"""How an attempt came to its end, as its backend tells it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class How(StrEnum):
    """How an attempt's process came to its end."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    OOM = "oom"
    STOPPED = "stopped"
    START_ERROR = "start_error"
    """It was not started, for a reason that lies in the request: its program is missing, say."""
    NO_ROOM = "no_room"
    """It was not started, because the node had no memory, disk or processes left."""
    NO_DISK = "no_disk"
    """It was ended because it had used more scratch disk than it may."""
    EVICTED = "evicted"
    """Its place was taken from it: by a drain, by a more important pod, or by pressure on its node."""
    NODE_LOST = "node_lost"
    """Its node stopped answering, or was removed."""
    LOST = "lost"
    """Nobody saw its end, and nobody knows its cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """When an attempt ran, and what it used over all."""

    started_at: datetime
    ended_at: datetime
    cpu_seconds: float
    peak_cpu_milli: int
    peak_memory_bytes: int

    @property
    def seconds(self) -> float:
        """The time from start to end."""
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of an attempt's process. One that exited has an exit code or a signal.

    `detail` is what is known besides, for example why it did not start, or what it said last. `used` is None where
    nobody saw the end.
    """

    how: How
    exit_code: int | None = None
    signal: int | None = None
    detail: str = ""
    used: Consumption | None = None
