"""Happens-before between events, from what the events themselves carry, and never from a clock.

The edges: the order of offsets in one partition; a header with the id of the event that caused this one; and spans of
a trace, where an event carries its own span (`traceparent`) and that of its parent (`b3`, or `x-b3-parentspanid`).

Without an edge between two events it is unknown whether one caused the other, unless the parents of both lead to one
common span: then they are concurrent. That both are in one trace says nothing, since a `traceparent` does not name its
parent. Unknown makes an assertion inconclusive, and so does a circle, in which each event is a cause of the other.

Source: Lamport 1978; W3C Trace Context (traceparent); B3 propagation (the single header).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from events.assertions.assertion import BaseCheck
from events.event import Event, Milliseconds
from events.keys import compile_key, show_key
from events.matcher import CompiledPattern
from events.outcomes import AssertionResult, Outcome
from events.pattern import EventPattern, describe_pattern

CAUSATION_HEADERS = ("causation-id", "causation_id", "ce_causationid")
_PARENT_HEADER = "x-b3-parentspanid"
_TRACEPARENT_PARTS = 4
_B3_PARTS_WITH_PARENT = 4


class Relation(StrEnum):
    """How two events stand to each other."""

    BEFORE = "before"
    AFTER = "after"
    CONCURRENT = "concurrent"
    UNKNOWN = "unknown"
    CIRCULAR = "circular"
    """Each is a cause of the other, so what the events carry is wrong."""


@dataclass(frozen=True, slots=True)
class _Span:
    """What the headers of an event tell of its trace."""

    trace: str
    span: str
    parent: str | None


class CausalOrder:
    """The events seen so far, and what came before each of them."""

    def __init__(self) -> None:
        self._causes: dict[int, list[int]] = {}
        self._numbers: dict[int, int] = {}
        self._spans: list[_Span | None] = []
        self._last: dict[tuple[str, int], int] = {}
        self._by_id: dict[str, int] = {}
        self._by_span: dict[tuple[str, str], int] = {}
        self._waiting: dict[str | tuple[str, str], list[int]] = {}
        self._kept: list[Event] = []

    def add(self, event: Event) -> None:
        """Take an event, in any order but that of the offsets of its partition."""
        number = len(self._kept)
        self._kept.append(event)  # so that its identity stays its own
        self._numbers[id(event)] = number
        span = _span(event)
        self._spans.append(span)
        self._causes[number] = [self._last[event.place[:2]]] if event.place[:2] in self._last else []
        self._last[event.place[:2]] = number
        for known, name in _names(event, span):
            self._learn(number, name, of=known)
        for cause in _cause_names(event, span):
            found = self._by_id.get(cause) if isinstance(cause, str) else self._by_span.get(cause)
            if found is None:
                self._waiting.setdefault(cause, []).append(number)
            elif found != number:
                self._causes[number].append(found)

    def _learn(self, number: int, name: str | tuple[str, str], *, of: str) -> None:
        """Remember under which name an event may be named as a cause. The first event of a name counts."""
        if of == "id" and isinstance(name, str):
            self._by_id.setdefault(name, number)
        elif isinstance(name, tuple):
            self._by_span.setdefault(name, number)
        for later in self._waiting.pop(name, []):
            if later != number:
                self._causes[later].append(number)

    def relation(self, one: Event, other: Event) -> Relation:
        """Return how `one` stands to `other`. Both must have been added."""
        a, b = self._numbers[id(one)], self._numbers[id(other)]
        before, after = self._reaches(b, a), self._reaches(a, b)
        if before and after:
            return Relation.CIRCULAR
        if before or after:
            return Relation.BEFORE if before else Relation.AFTER
        return Relation.CONCURRENT if self._ancestors(a) & self._ancestors(b) else Relation.UNKNOWN

    def _ancestors(self, number: int) -> set[tuple[str, str]]:
        """Return the spans that lead to an event by their parents, as far as they are known."""
        found: set[tuple[str, str]] = set()
        span = self._spans[number]
        while span is not None and span.parent and (span.trace, span.parent) not in found:
            found.add((span.trace, span.parent))
            parent = self._by_span.get((span.trace, span.parent))
            span = None if parent is None else self._spans[parent]
        return found

    def _reaches(self, start: int, wanted: int) -> bool:
        """Say whether `wanted` is among the causes of `start`, near or far."""
        seen, ahead = {start}, deque([start])
        while ahead:
            for cause in self._causes[ahead.popleft()]:
                if cause == wanted:
                    return True
                if cause not in seen:
                    seen.add(cause)
                    ahead.append(cause)
        return False


def _names(event: Event, span: _Span | None) -> Iterator[tuple[str, str | tuple[str, str]]]:
    identity = event.attributes.get("id") or event.headers.get("id") or event.headers.get("event-id")
    if identity:
        yield "id", identity
    if span is not None:
        yield "span", (span.trace, span.span)


def _cause_names(event: Event, span: _Span | None) -> Iterator[str | tuple[str, str]]:
    for header in CAUSATION_HEADERS:
        if header in event.headers:
            yield event.headers[header]
    if span is not None and span.parent:
        yield span.trace, span.parent


def _span(event: Event) -> _Span | None:
    parent = event.headers.get(_PARENT_HEADER)
    b3 = event.headers.get("b3", "").split("-")
    if len(b3) == _B3_PARTS_WITH_PARENT:
        return _Span(b3[0], b3[1], b3[3])
    parts = event.headers.get("traceparent", "").split("-")
    if len(parts) == _TRACEPARENT_PARTS:
        return _Span(parts[1], parts[2], parent)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class HappensBefore:
    """The first event of `cause` happens before the first one of `effect`, for each key if `per` is given."""

    name: str
    cause: EventPattern
    effect: EventPattern
    per: str | None = None

    def start(self) -> "HappensBeforeCheck":
        """Return a check that has seen nothing."""
        return HappensBeforeCheck(self)


class HappensBeforeCheck(BaseCheck):
    """Collects the causal order of all events, and judges when the test ends: a cause may arrive after its effect."""

    __slots__ = ("_cause", "_causes", "_effect", "_effects", "_key_of", "_order")

    def __init__(self, rule: HappensBefore) -> None:
        super().__init__(rule.name)
        self._cause, self._effect = CompiledPattern(rule.cause), CompiledPattern(rule.effect)
        self._key_of = None if rule.per is None else compile_key(rule.per)
        self._order = CausalOrder()
        self._causes: dict[JsonValue, Event] = {}
        self._effects: dict[JsonValue, Event] = {}

    def observe(self, event: Event) -> None:
        """Add the event to the order."""
        self._order.add(event)
        key = None if self._key_of is None else self._key_of(event)
        if self._key_of is not None and key is None:
            return
        if self._cause.matches(event):
            self._causes.setdefault(key, event)
        if self._effect.matches(event):
            self._effects.setdefault(key, event)

    def finish(self, now: Milliseconds, *, seen: int) -> AssertionResult:
        """Judge each effect. The first one that is wrong decides; else the first one that is unknown."""
        del seen
        words = f"{describe_pattern(self._cause.pattern)} before {describe_pattern(self._effect.pattern)}"
        unclear: list[tuple[str, list[Event]]] = []
        for key, effect in self._effects.items():
            cause = self._causes.get(key)
            if cause is None:
                self.decide(Outcome.FAILED, f"the effect has no cause{show_key(key)}", now, [effect])
                break
            relation = self._order.relation(cause, effect)
            if relation in {Relation.AFTER, Relation.CONCURRENT}:
                message = f"{words} is wanted, but the cause is {relation}{show_key(key)}"
                self.decide(Outcome.FAILED, message, now, [cause, effect])
            elif relation is Relation.CIRCULAR:
                unclear.append((f"each event names the other as its cause{show_key(key)}", [cause, effect]))
            elif relation is Relation.UNKNOWN:
                unclear.append((f"the events carry nothing that relates them{show_key(key)}", [cause, effect]))
        if unclear:
            why, witnesses = unclear[0]
            self.decide(Outcome.INCONCLUSIVE, f"{words}: {why}", now, witnesses)
        if not self._effects:
            self.decide(Outcome.VACUOUS, f"{describe_pattern(self._effect.pattern)} did not occur", now)
        self.decide(Outcome.PASSED, f"{words} holds", now)
        return self.decided()
