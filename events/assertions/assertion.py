"""The port of assertions: an assertion is a value, and starts a check that sees one event after the other.

A check is decided as soon as no later event can change it. Decided is final. Times are milliseconds after the trigger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from events.event import Event, Milliseconds
from events.matcher import CompiledPattern
from events.outcomes import AssertionResult, Outcome


class Assertion(Protocol):
    """A statement about the events of a test."""

    @property
    def name(self) -> str:
        """Return the name in reports."""
        ...

    def start(self) -> "Check":
        """Return a check that has seen nothing. Raises: ValueError if the assertion is wrong."""
        ...


class Check(Protocol):
    """An assertion under evaluation. `deadline` is the next time at which time alone may decide something."""

    deadline: Milliseconds
    result: AssertionResult | None

    def interested(self, event_type: str) -> bool:
        """Say whether an event of this type can matter. The others are not shown to the check."""
        ...

    def observe(self, event: Event) -> None:
        """Take the next event. Its time is not before that of the last one."""
        ...

    def advance(self, now: Milliseconds) -> None:
        """Take note that each later event arrives at `now` or after it."""
        ...

    def decide(self, outcome: Outcome, message: str, at: Milliseconds, witnesses: Sequence[Event] = ()) -> None:
        """Set the result, once."""
        ...

    def finish(self, now: Milliseconds, *, seen: int) -> AssertionResult:
        """Return the result at the end of the test, where `seen` events of its scope were seen."""
        ...


class BaseCheck:
    """What checks have in common: the result is set once, and then nothing is looked at any more."""

    __slots__ = ("deadline", "name", "result")

    def __init__(self, name: str, deadline: Milliseconds = inf) -> None:
        self.name = name
        self.deadline = deadline
        self.result: AssertionResult | None = None

    def interested(self, event_type: str) -> bool:
        """Take every type, unless the check knows better."""
        del event_type
        return True

    def advance(self, now: Milliseconds) -> None:
        """Decide nothing by time alone, unless the check has a deadline."""
        del now

    def decide(self, outcome: Outcome, message: str, at: Milliseconds, witnesses: Sequence[Event] = ()) -> None:
        """Set the result, once."""
        if self.result is None:
            self.result = AssertionResult(
                name=self.name, outcome=outcome, message=message, at=at, witnesses=tuple(witnesses)
            )
            self.deadline = inf

    def decided(self) -> AssertionResult:
        """Return the result that is set by now."""
        if self.result is None:
            raise RuntimeError(f"{self.name} is not decided")
        return self.result


@dataclass(slots=True)
class Tally:
    """How often a pattern matched, and the first and the last event that did."""

    count: int = 0
    first: Event | None = None
    last: Event | None = None

    def add(self, event: Event) -> None:
        """Count one more event."""
        self.count += 1
        self.first = self.first or event
        self.last = event


def any_type(patterns: Sequence[CompiledPattern], event_type: str) -> bool:
    """Say whether one of the patterns can match an event of this type."""
    return any(pattern.types(event_type) for pattern in patterns)


def check_times(name: str, **times: Milliseconds | None) -> None:
    """Raise: ValueError if a time is negative."""
    for key, value in times.items():
        if value is not None and value < 0:
            raise ValueError(f"{name}: {key} is negative")
