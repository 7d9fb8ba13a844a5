"""Why a run waits, in words that its owner can act on."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Code(StrEnum):
    """The rule that keeps a run waiting; written to the decision record."""

    NO_WORKER = "no_worker"
    BACKOFF = "backoff"
    POOL_LIMIT = "pool_limit"
    TEAM_LIMIT = "team_limit"
    USER_LIMIT = "user_limit"
    POOL_RESOURCES = "pool_resources"
    TEAM_RESOURCES = "team_resources"
    USER_RESOURCES = "user_resources"
    EXCLUSIVE = "exclusive"
    RULE = "rule"
    GROUP = "group"
    SHARE = "share"
    NO_NODE = "no_node"
    NOT_SERVED = "not_served"
    NO_MATCH = "no_match"
    TOO_LARGE = "too_large"
    BUSY = "busy"
    APART = "apart"
    SPREAD = "spread"
    RESERVED = "reserved"
    HEAD = "head"
    PREEMPTING = "preempting"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A rule and its numbers. The text never holds the position, so that it changes only when the cause does."""

    code: Code
    text: str

    def __str__(self) -> str:
        return self.text


NO_WORKER = Reason(code=Code.NO_WORKER, text="no live worker")
ELSEWHERE = Reason(
    code=Code.ELSEWHERE, text="another pool is deciding over its team, user or names; it is looked at again at once"
)

_ONE = {"GPUs": "GPU", "places for pods": "place for a pod"}
_BINARY = ((2**40, "Ti"), (2**30, "Gi"), (2**20, "Mi"), (2**10, "Ki"))


def backoff(until: datetime) -> Reason:
    """Return the reason of a run that was tried before and starts again later."""
    return Reason(code=Code.BACKOFF, text=f"in backoff until {until:%H:%M:%S} UTC")


def amount(kind: str, value: int) -> str:
    """Return a quantity as people write it: '4000m CPU', '1.5Gi memory', '2 GPUs'."""
    if kind == "CPU":
        return f"{max(value, 0)}m CPU"
    if kind in _ONE:
        return f"{max(value, 0)} {_ONE[kind] if value == 1 else kind}"
    return f"{size(max(value, 0))} {kind}"


def size(number: int) -> str:
    """Return bytes in the largest unit that keeps three digits: 1610612736 -> '1.5Gi'."""
    for unit, suffix in _BINARY:
        if number >= unit:
            return f"{number / unit:.3g}{suffix}" if number < 1000 * unit else f"{number // unit}{suffix}"
    return str(number)
