"""Aggregates over events: a sum, or a number of events, altogether or for each key, within bounds."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from math import inf

from pydantic import JsonValue

from events.assertions.assertion import BaseCheck
from events.event import Event, Milliseconds
from events.keys import KeyOf, compile_key, show_key
from events.matcher import CompiledPattern
from events.outcomes import AssertionResult, Outcome
from events.paths import compile_path
from events.pattern import EventPattern, describe_pattern
from model.plural import counted

_LONGEST_NUMBER = 30


class Measure(StrEnum):
    """What is computed."""

    COUNT = "count"
    SUM = "sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """The `measure` over the events of `pattern` lies from `at_least` to `at_most` when the test ends.

    `of` is the expression that a sum adds. With `per`, the bounds hold for each key.
    """

    name: str
    pattern: EventPattern
    measure: Measure = Measure.COUNT
    of: str | None = None
    per: str | None = None
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if self.measure is Measure.SUM and self.of is None:
            raise ValueError(f"{self.name}: a sum needs `of`, the value to add")
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"{self.name}: an aggregate needs atLeast or atMost")
        if self.measure is Measure.COUNT and self.at_most is None and (self.at_least or 0) <= 0:
            raise ValueError(f"{self.name}: a count of at least 0 always holds")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"{self.name}: atLeast {self.at_least} exceeds atMost {self.at_most}")

    def start(self) -> "AggregateCheck":
        """Return a check that has seen nothing."""
        return AggregateCheck(self)


@dataclass(slots=True)
class _Group:
    """The value of one key so far, and its last events. It is decimal, as JSON is: 0.1 three times is 0.3."""

    value: Decimal = Decimal(0)
    last: list[Event] = field(default_factory=list)


class AggregateCheck(BaseCheck):
    """Adds up. A count over its upper bound decides at once; a sum may go down again, so only the end decides it."""

    __slots__ = ("_compiled", "_groups", "_high", "_key_of", "_low", "_rule", "_value_of")

    def __init__(self, rule: Aggregate) -> None:
        super().__init__(rule.name)
        self._rule = rule
        self._compiled = CompiledPattern(rule.pattern)
        self._key_of: KeyOf | None = None if rule.per is None else compile_key(rule.per)
        self._value_of = None if rule.of is None else compile_path(rule.of)
        self._low, self._high = _decimal(rule.at_least), _decimal(rule.at_most)
        self._groups: dict[JsonValue, _Group] = {}

    def interested(self, event_type: str) -> bool:
        """Take the types of the pattern."""
        return self._compiled.types(event_type)

    def observe(self, event: Event) -> None:
        """Add the event to its group."""
        if self.result is not None or not self._compiled.matches(event):
            return
        key = None if self._key_of is None else self._key_of(event)
        added = self._added(event)
        if added is None:
            return
        group = self._groups.setdefault(key, _Group())
        group.value += added
        group.last = [*group.last[-2:], event]
        most = self._high
        if self._rule.measure is Measure.COUNT and most is not None and group.value > most:
            self._fail(key, group, event.at)

    def _added(self, event: Event) -> Decimal | None:
        if self._value_of is None or self._rule.measure is Measure.COUNT:
            return Decimal(1)
        value = self._value_of(event)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < inf:
            return Decimal(str(value))
        hint = f"; to_number({self._rule.of}) reads a text" if isinstance(value, str) else ""
        self.decide(Outcome.FAILED, f"{self._rule.of} is {value!r}, not a number{hint}", event.at, [event])
        return None

    def finish(self, now: Milliseconds, *, seen: int) -> AssertionResult:
        """Compare each group with the bounds. Without an event, and for each key without a key, it was not tested."""
        untested = not seen or self._rule.measure is Measure.SUM
        if not self._groups and (self._key_of is not None or (untested and self._within(Decimal(0)))):
            self.decide(Outcome.VACUOUS, f"{describe_pattern(self._rule.pattern)} did not occur", now)
        groups = self._groups or {None: _Group()}
        for key, group in groups.items():
            if not self._within(group.value):
                self._fail(key, group, now)
        if len(groups) == 1:
            (group,) = groups.values()
            self.decide(Outcome.PASSED, f"the {self._rule.measure} is {_shown(group.value)}", now, group.last)
        self.decide(
            Outcome.PASSED, f"the {self._rule.measure} is within its bounds for {counted(len(groups), 'key')}", now
        )
        return self.decided()

    def _within(self, value: Decimal) -> bool:
        low, high = self._low, self._high
        return (low is None or value >= low) and (high is None or value <= high)

    def _fail(self, key: JsonValue, group: _Group, at: Milliseconds) -> None:
        bounds = [f"at least {_shown(self._low)}"] if self._low is not None else []
        bounds += [f"at most {_shown(self._high)}"] if self._high is not None else []
        wanted = " and ".join(bounds)
        message = f"the {self._rule.measure}{show_key(key)} is {_shown(group.value)}, {wanted} is wanted"
        self.decide(Outcome.FAILED, message, at, group.last)


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))


def _shown(number: Decimal) -> str:
    """Return a number in full, without zeros at its end, unless it is longer than a person reads."""
    text = f"{number:f}"
    if len(text) > _LONGEST_NUMBER:
        return f"{number:.6g}"
    return text.rstrip("0").rstrip(".") if "." in text else text
