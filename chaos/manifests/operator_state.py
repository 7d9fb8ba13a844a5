"""How far an operator is with a fault that it was asked for."""

from dataclasses import dataclass
from enum import StrEnum


class Seen(StrEnum):
    """What the objects of the operator say."""

    WAITING = "waiting"
    ACTIVE = "active"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorState:
    """What was seen, and in which words it was said."""

    seen: Seen
    words: str
