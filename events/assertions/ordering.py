"""The order of events: relative, strict, and for each key.

Relative: the patterns match in this order, and other events may lie between. Strict: between the first and the last one
lies no other event of the scope. With `per`, the rule holds for each value of an expression that occurs.

Order is that of arrival. Kafka orders the events of one partition only. So a result that rests on the order of events
of different partitions says so in its notes; `events.temporal.causality` is the rule that does not depend on it.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf

from pydantic import JsonValue

from events.assertions.assertion import BaseCheck, any_type, check_times
from events.event import Event, Milliseconds
from events.keys import KeyOf, compile_key, show_key
from events.matcher import CompiledPattern
from events.outcomes import AssertionResult, Outcome
from events.pattern import EventPattern, describe_pattern
from model.plural import counted

ACROSS = "the events lie in several partitions: their order is that of arrival, which the broker does not guarantee"


class OrderingConstraint(StrEnum):
    """How close the events of an order must follow each other."""

    RELATIVE = "relative"
    STRICT = "strict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """The patterns occur in this order within `timeout_ms`, for each key if `per` is given."""

    name: str
    patterns: tuple[EventPattern, ...]
    ordering: OrderingConstraint = OrderingConstraint.RELATIVE
    per: str | None = None
    timeout_ms: Milliseconds | None = None

    def __post_init__(self) -> None:
        check_times(self.name, timeout_ms=self.timeout_ms)
        if not self.patterns:
            raise ValueError(f"{self.name}: an order needs events")

    def start(self) -> "OrderingCheck":
        """Return a check that has seen nothing."""
        return OrderingCheck(self)


@dataclass(slots=True)
class _Progress:
    """How far one key has come."""

    matched: list[Event] = field(default_factory=list)


class OrderingCheck(BaseCheck):
    """Follows the order, for each key."""

    __slots__ = ("_compiled", "_key_of", "_open", "_progress", "_rule", "_strict")

    def __init__(self, rule: Ordering) -> None:
        super().__init__(rule.name, inf if rule.timeout_ms is None else rule.timeout_ms)
        self._rule = rule
        self._compiled = [CompiledPattern(pattern) for pattern in rule.patterns]
        self._key_of: KeyOf | None = None if rule.per is None else compile_key(rule.per)
        self._progress: dict[JsonValue, _Progress] = {}
        self._open = 0
        self._strict = rule.ordering is OrderingConstraint.STRICT

    def interested(self, event_type: str) -> bool:
        """Take every type if the order is strict, else those of the patterns."""
        return self._strict or any_type(self._compiled, event_type)

    def observe(self, event: Event) -> None:
        """Go one step on if the event is the next one of its key."""
        if self.result is not None:
            return
        if event.at > self.deadline:
            self.advance(event.at)
            return
        key = None if self._key_of is None else self._key_of(event)
        if self._key_of is not None and key is None:
            return
        progress = self._progress.get(key)
        if progress is None:
            if not any(pattern.matches(event) for pattern in self._compiled):
                return  # a key is judged from its first event of the order
            progress = self._progress[key] = _Progress()
            self._open += 1
        self._step(progress, event, key)

    def _step(self, progress: _Progress, event: Event, key: JsonValue) -> None:
        done = len(progress.matched)
        if done == len(self._compiled):
            return
        if self._compiled[done].matches(event):
            progress.matched.append(event)
            self._open -= done + 1 == len(self._compiled)
            if not self._open and self._key_of is None:
                self._decide(Outcome.PASSED, "the events occurred in this order", event.at, progress.matched)
        elif self._strict and done:
            message = f"{event.type or 'another event'} came where {self._wanted(done)} was wanted{show_key(key)}"
            self._decide(Outcome.FAILED, message, event.at, [*progress.matched, event])

    def advance(self, now: Milliseconds) -> None:
        """Decide when the time is over."""
        if now > self.deadline and self.result is None:
            self._close(self.deadline)

    def finish(self, now: Milliseconds, *, seen: int) -> AssertionResult:
        """Decide by how far each key has come. Without a key that began, a rule for each key was not tested."""
        del seen
        if self.result is None:
            self._close(min(now, self.deadline))
        return self.decided()

    def _close(self, at: Milliseconds) -> None:
        behind = [(key, found) for key, found in self._progress.items() if len(found.matched) < len(self._compiled)]
        if behind:
            key, progress = behind[0]
            message = f"{self._wanted(len(progress.matched))} did not come in its turn by {at:.0f} ms{show_key(key)}"
            more = f", and so for {len(behind) - 1} more keys" if len(behind) > 1 else ""
            self._decide(Outcome.FAILED, message + more, at, progress.matched)
        elif self._progress:
            self._decide(Outcome.PASSED, f"the order holds for {counted(len(self._progress), 'key')}", at, [])
        elif self._key_of is not None:
            self._decide(Outcome.VACUOUS, "no event of the order was seen", at, [])
        else:
            self._decide(Outcome.FAILED, f"{self._wanted(0)} did not come by {at:.0f} ms", at, [])

    def _wanted(self, number: int) -> str:
        return describe_pattern(self._rule.patterns[number])

    def _decide(self, outcome: Outcome, message: str, at: Milliseconds, witnesses: list[Event]) -> None:
        self.decide(outcome, message, at, witnesses)
        if len({event.place[:2] for event in witnesses}) > 1:
            self.result = replace(self.decided(), notes=(ACROSS,))
