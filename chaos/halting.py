"""Decide whether an experiment is halted: k of the last m samples over a hard limit. Missing data counts as over.

Repeated tests of significance would halt too often by chance, so the limits are plain numbers.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chaos.hypothesis import HaltCondition


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One sample for a halt condition. `value` is None if there was no data; a health check gives 1 for a miss."""

    at: datetime
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Why an experiment is halted."""

    at: datetime
    watched: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The state of one halt condition: its last looks, the newest last, and when it must have the next one.

    `meaning` says what a halt by it means, where the limit itself does not.
    """

    condition: HaltCondition
    interval: timedelta
    since: datetime
    looks: tuple[Look, ...] = field(default=())
    halt: Halt | None = None
    meaning: str = ""

    def look(self, look: Look) -> "Watch":
        """Return the state after a look. A halt stays; looks out of order are ignored."""
        last = self.looks[-1].at if self.looks else None
        if self.halt or (last is not None and look.at <= last):
            return self
        looks = (*self.looks, look)[-self.condition.window :]
        state = replace(self, looks=looks)
        over = sum(is_over(self.condition, one.value) for one in looks)
        if over < self.condition.failures:
            return state
        return replace(state, halt=Halt(at=look.at, watched=self.condition.watched, sentence=self._said(looks, over)))

    def tick(self, now: datetime) -> "Watch":
        """Return the state at `now`, with a missing look for each interval that brought none."""
        state = self
        last = self.looks[-1].at if self.looks else self.since
        late = int((now - last) / self.interval) - 1
        for missed in range(1, min(late, self.condition.window) + 1):
            state = state.look(Look(at=last + missed * self.interval, value=None))
        return state

    def _said(self, looks: tuple[Look, ...], over: int) -> str:
        missing = sum(look.value is None for look in looks)
        limit = _limit(self.condition)
        said = f"{over} of the last {len(looks)} samples of {self.condition.watched} were {limit}"
        said += f" ({missing} of them missing)" if missing else ""
        return f"{said}: {self.meaning}" if self.meaning else said


def is_over(condition: HaltCondition, value: float | None) -> bool:
    """Say whether a sample is over the limit. One that is missing, or not a number, is."""
    if value is None or value != value:  # noqa: PLR0124  not a number is the only value that differs from itself
        return True
    if condition.health_check:
        return value > 0
    above = condition.above is not None and value > condition.above
    return above or (condition.below is not None and value < condition.below)


def _limit(condition: HaltCondition) -> str:
    if condition.health_check:
        return "misses"
    bounds = [("above", condition.above), ("below", condition.below)]
    return " or ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
