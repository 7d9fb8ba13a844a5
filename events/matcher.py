"""Match events against patterns, and explain which events nearly matched."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import TypeAlias

from pydantic import JsonValue

from events.event import Event, describe
from events.paths import compile_path, truth
from events.pattern import EventPattern
from events.schemas import Schema, compile_schema
from events.subset import compile_subset, differences

Predicate: TypeAlias = Callable[[Event], bool]

NEAREST = 3
"""The number of near misses that are shown."""
MOST_TEXTS = 256
"""The number of texts of which a glob remembers whether it matches. A stream has few types and topics."""
_GLOB_MARKS = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """An event that does not match, and why."""

    event: Event
    differences: tuple[str, ...]

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{describe(self.event)}: {'; '.join(self.differences)}"


class CompiledPattern:
    """A pattern that is ready to be matched: `types` decides about the type, `rest` about the other conditions.

    `rest` is None if the type alone decides. Raises: ValueError if an expression, a regular expression or the schema is
    wrong.
    """

    __slots__ = ("_checks", "pattern", "rest", "types")

    def __init__(self, pattern: EventPattern) -> None:
        self.pattern = pattern
        self.types = compile_glob(pattern.type)
        self._checks = tuple(_checks(pattern))
        self.rest = _all([check.holds for check in self._checks])

    def matches(self, event: Event) -> bool:
        """Say whether an event fulfils all conditions."""
        return self.types(event.type) and (self.rest is None or self.rest(event))

    def differences(self, event: Event) -> tuple[str, ...]:
        """Return why an event does not match, one line for each condition. Empty if it matches."""
        lines = [] if self.types(event.type) else [f"type is {event.type!r}, {self.pattern.type!r} is wanted"]
        for check in self._checks:
            if not check.holds(event):
                lines += check.explain(event)
        return tuple(lines)


class EventMatcher:
    """Matches events against patterns. Each pattern is compiled once."""

    def __init__(self) -> None:
        self._compiled: dict[int, tuple[EventPattern, CompiledPattern]] = {}

    def matches(self, event: Event, pattern: EventPattern) -> bool:
        """Say whether `event` matches `pattern`."""
        return self._of(pattern).matches(event)

    def find_matches(self, events: Sequence[Event], pattern: EventPattern) -> list[Event]:
        """Return the events that match, in their order."""
        compiled = self._of(pattern)
        return [event for event in events if compiled.matches(event)]

    def near_misses(self, events: Sequence[Event], pattern: EventPattern) -> list[NearMiss]:
        """Return the three events that come closest to `pattern` without matching it."""
        return near_misses(events, self._of(pattern))

    def _of(self, pattern: EventPattern) -> CompiledPattern:
        known = self._compiled.get(id(pattern))
        if known is None:  # the pattern is kept too, so that its identity is not given to another one
            known = self._compiled[id(pattern)] = (pattern, CompiledPattern(pattern))
        return known[1]


def near_misses(events: Sequence[Event], compiled: CompiledPattern) -> list[NearMiss]:
    """Return the three closest events: of the right type first, then with the fewest differences, then the earliest."""
    misses = [NearMiss(event=event, differences=lines) for event in events if (lines := compiled.differences(event))]
    misses.sort(key=lambda miss: (not compiled.types(miss.event.type), len(miss.differences), miss.event.at))
    return misses[:NEAREST]


def compile_glob(glob: str) -> Callable[[str], bool]:
    """Return what matches a text against a glob. Upper and lower case differ."""
    if glob == "*":
        return lambda _text: True
    if not _GLOB_MARKS.intersection(glob):
        return glob.__eq__
    expression = re.compile(translate(glob))
    return lru_cache(maxsize=MOST_TEXTS)(lambda text: expression.match(text) is not None)


@dataclass(frozen=True, slots=True)
class _Check:
    """One condition: whether it holds, and what is said if it does not."""

    holds: Predicate
    explain: Callable[[Event], Sequence[str]]


def _checks(pattern: EventPattern) -> Iterator[_Check]:
    """Return the conditions beside the type, the cheap ones first."""
    if pattern.topic != "*":
        yield _topic_check(pattern.topic)
    for name, glob in pattern.headers.items():
        yield _named_check("header", name, glob, lambda event: event.headers)
    for name, glob in pattern.attributes.items():
        yield _named_check("attribute", name, glob, lambda event: event.attributes)
    if pattern.payload is not None:
        yield _payload_check(pattern.payload)
    if pattern.where is not None:
        yield _where_check(pattern.where)
    for path, expression in pattern.matches.items():
        yield _regex_check(path, expression)
    if pattern.schema is not None:
        yield _schema_check(compile_schema(pattern.schema))
    if pattern.condition is not None:
        yield _Check(pattern.condition, lambda _event: ["the condition is false"])


def _topic_check(glob: str) -> _Check:
    fits = compile_glob(glob)
    return _Check(lambda event: fits(event.topic), lambda event: [f"topic is {event.topic!r}, {glob!r} is wanted"])


def _named_check(kind: str, name: str, glob: str, of: Callable[[Event], Mapping[str, str]]) -> _Check:
    fits = compile_glob(glob)

    def holds(event: Event) -> bool:
        value = of(event).get(name)
        return value is not None and fits(value)

    return _Check(holds, lambda event: [f"{kind} {name} is {of(event).get(name)!r}, {glob!r} is wanted"])


def _payload_check(wanted: JsonValue) -> _Check:
    holds = compile_subset(wanted)
    return _Check(lambda event: holds(event.payload), lambda event: list(differences(event.payload, wanted)))


def _where_check(expression: str) -> _Check:
    path = compile_path(expression)
    return _Check(lambda event: truth(path(event)), lambda _event: [f"{expression} is not true"])


def _regex_check(expression: str, regex: str) -> _Check:
    path = compile_path(expression)
    try:
        compiled = re.compile(regex)
    except re.error as error:
        raise ValueError(f"{regex!r} is not a regular expression: {error}") from error
    fits = compiled.fullmatch

    def holds(event: Event) -> bool:
        value = path(event)
        return isinstance(value, str) and fits(value) is not None

    return _Check(holds, lambda event: [f"{expression} is {path(event)!r}, which does not match {regex!r}"])


def _schema_check(schema: Schema) -> _Check:
    return _Check(lambda event: schema.fits(event.payload), lambda event: schema.errors(event.payload))


def _all(predicates: Sequence[Predicate]) -> Predicate | None:
    if not predicates:
        return None
    if len(predicates) == 1:
        return predicates[0]
    return lambda event: all(predicate(event) for predicate in predicates)
