"""How often an event must occur: at least, at most, within a time."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import Protocol

from events.assertions.assertion import BaseCheck, check_times
from events.event import Event, Milliseconds
from events.matcher import CompiledPattern, near_misses
from events.outcomes import AssertionResult, Outcome
from events.pattern import EventPattern, describe_pattern
from model.plural import counted

MOST_REMEMBERED = 200
"""How many other events are kept to find near misses among them. The first ones are kept."""
NEWEST = 5
"""The number of matches that a result shows."""


class Waiting(Protocol):
    """What can wait for an event: a consumer."""

    def wait_for_event(self, pattern: EventPattern, *, timeout_ms: Milliseconds | None = None) -> Event | None:
        """Return the first event that matches, or None when the time is over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAssertion:
    """`pattern` occurs at least `min_occurrences` and at most `max_occurrences` times within `timeout_ms`.

    Without a maximum it is decided by the last event that is needed. With one, only the end of the time decides it.
    Without `timeout_ms`, the time ends with the test.
    """

    name: str
    pattern: EventPattern
    timeout_ms: Milliseconds | None = None
    min_occurrences: int = 1
    max_occurrences: int | None = None

    def __post_init__(self) -> None:
        check_times(self.name, timeout_ms=self.timeout_ms)
        if self.min_occurrences < 0:
            raise ValueError(f"{self.name}: minOccurrences is negative")
        if self.min_occurrences == 0 and self.max_occurrences is None:
            raise ValueError(f"{self.name}: minOccurrences 0 without maxOccurrences always holds")
        if self.max_occurrences is not None and self.min_occurrences > self.max_occurrences:
            raise ValueError(
                f"{self.name}: minOccurrences {self.min_occurrences} exceeds maxOccurrences {self.max_occurrences}"
            )

    def start(self) -> "OccurrenceCheck":
        """Return a check that has seen nothing."""
        return OccurrenceCheck(self)

    def evaluate(self, events: Iterable[Event]) -> AssertionResult:
        """Return the result for a whole, closed stream."""
        check, last, seen = self.start(), 0.0, 0
        for event in events:
            check.observe(event)
            last, seen = event.at, seen + 1
        return check.finish(last, seen=seen)

    def wait_for_event(self, consumer: Waiting) -> Event | None:
        """Return the first event that matches, as soon as it arrives, or None after `timeout_ms`."""
        return consumer.wait_for_event(self.pattern, timeout_ms=self.timeout_ms)


class OccurrenceCheck(BaseCheck):
    """Counts the matches of one pattern."""

    __slots__ = ("_assertion", "_compiled", "_matches", "_others", "_rest", "_room", "_types")

    def __init__(self, assertion: EventAssertion) -> None:
        super().__init__(assertion.name, inf if assertion.timeout_ms is None else assertion.timeout_ms)
        self._assertion = assertion
        self._compiled = CompiledPattern(assertion.pattern)
        self._types, self._rest = self._compiled.types, self._compiled.rest
        self._matches: list[Event] = []
        self._others: list[Event] = []
        self._room = MOST_REMEMBERED

    def observe(self, event: Event) -> None:
        """Count the event if it matches; else remember it for the near misses."""
        if self.result is not None:
            return
        if event.at > self.deadline:
            self.advance(event.at)
        elif self._types(event.type) and (self._rest is None or self._rest(event)):
            self._matches.append(event)
            self._judge(event)
        elif self._room:
            self._others.append(event)
            self._room -= 1

    def _judge(self, event: Event) -> None:
        most, least = self._assertion.max_occurrences, self._assertion.min_occurrences
        count = len(self._matches)
        if most is not None and count > most:
            message = f"{self._occurred()}, at most {most} are allowed"
            self.decide(Outcome.FAILED, message, event.at, self._matches[-NEWEST:])
        elif most is None and count >= least:
            self.decide(Outcome.PASSED, self._occurred(), event.at, self._matches[-NEWEST:])

    def advance(self, now: Milliseconds) -> None:
        """Decide when the time is over."""
        if now > self.deadline and self.result is None:
            self._close(self.deadline)

    def _close(self, at: Milliseconds) -> None:
        count, least = len(self._matches), self._assertion.min_occurrences
        if count >= least:
            self.decide(Outcome.PASSED, self._occurred(), at, self._matches[-NEWEST:])
            return
        message = f"{self._occurred()} by {at:.0f} ms, at least {least} are wanted"
        self.decide(Outcome.FAILED, message, at, self._matches)
        misses = near_misses(self._others, self._compiled)
        self.result = replace(self.decided(), notes=tuple(f"near miss: {miss}" for miss in misses))

    def finish(self, now: Milliseconds, *, seen: int) -> AssertionResult:
        """Decide by what was counted. That something is absent says nothing if no event was seen at all."""
        if self.result is None:
            self._close(min(now, self.deadline))
        result = self.decided()
        if result.passed and not self._matches and not seen:
            message = f"{self._words()} did not occur, but no other event was seen either"
            self.result = replace(result, outcome=Outcome.VACUOUS, message=message)
        return self.decided()

    def _occurred(self) -> str:
        return f"{self._words()} occurred {counted(len(self._matches), 'time')}"

    def _words(self) -> str:
        return describe_pattern(self._assertion.pattern)


def never(name: str, pattern: EventPattern, *, timeout_ms: Milliseconds | None = None) -> EventAssertion:
    """Return the assertion that no event matches `pattern`, within `timeout_ms` if it is given (absence within)."""
    return EventAssertion(name=name, pattern=pattern, timeout_ms=timeout_ms, min_occurrences=0, max_occurrences=0)
