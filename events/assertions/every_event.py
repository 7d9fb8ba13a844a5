"""Assertions about every event: its schema, its uniqueness, and that it is no dead letter.

They are decided by the first event that breaks them, else by the end of the test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from events.assertions.assertion import BaseCheck
from events.event import Event, Milliseconds
from events.keys import KeyOf, compile_keys
from events.matcher import CompiledPattern, compile_glob
from events.outcomes import AssertionResult, Outcome
from events.pattern import ANY_EVENT, EventPattern, describe_pattern
from events.schemas import Schema, compile_schema
from model.plural import counted

CLOUDEVENT_IDENTITY = ("event.attributes.source", "event.attributes.id")
"""What identifies a CloudEvent: no two different events have the same source and id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """Every event of `pattern` fits the schema of its type. Poison events fit none.

    `schemas` maps globs of types to JSON Schemas; the first one that matches counts. An event without a type fits the
    schema of its topic, from `topics`. An event that has no schema so fails, unless `others_allowed`.
    """

    name: str
    schemas: Mapping[str, Mapping[str, JsonValue] | bool]
    topics: Mapping[str, Mapping[str, JsonValue] | bool] = field(default_factory=dict)
    pattern: EventPattern = ANY_EVENT
    others_allowed: bool = False

    def start(self) -> "ConformanceCheck":
        """Return a check that has seen nothing."""
        return ConformanceCheck(self)


class EveryCheck(BaseCheck):
    """Counts the events that it was about. Without one, it was not tested."""

    __slots__ = ("_compiled", "_count")

    def __init__(self, name: str, pattern: EventPattern) -> None:
        super().__init__(name)
        self._compiled = CompiledPattern(pattern)
        self._count = 0

    def interested(self, event_type: str) -> bool:
        """Take the types of the pattern."""
        return self._compiled.types(event_type)

    def finish(self, now: Milliseconds, *, seen: int) -> AssertionResult:
        """Pass if no event has failed it, and there was one."""
        del seen
        if not self._count:
            self.decide(Outcome.VACUOUS, f"{describe_pattern(self._compiled.pattern)} did not occur", now)
        self.decide(Outcome.PASSED, f"it holds for {counted(self._count, 'event')}", now)
        return self.decided()


class ConformanceCheck(EveryCheck):
    """Checks each event against the schema of its type."""

    __slots__ = ("_by_type", "_others_allowed", "_schemas", "_topics")

    def __init__(self, rule: Conformance) -> None:
        super().__init__(rule.name, rule.pattern)
        self._schemas = [(compile_glob(glob), compile_schema(schema)) for glob, schema in rule.schemas.items()]
        self._by_type = {glob: schema for glob, (_, schema) in zip(rule.schemas, self._schemas, strict=True)}
        self._by_type = {glob: schema for glob, schema in self._by_type.items() if not set(glob) & set("*?[")}
        topics = sorted(rule.topics.items(), key=_exact_first)
        self._topics = [(compile_glob(glob), compile_schema(schema)) for glob, schema in topics]
        self._others_allowed = rule.others_allowed

    def observe(self, event: Event) -> None:
        """Decide if the event does not fit."""
        if self.result is not None or not (self._compiled.rest is None or self._compiled.rest(event)):
            return
        self._count += 1
        schema = self._by_type.get(event.type) or self._find(event)
        if schema is not None and event.poison is None:
            if not schema.fits(event.payload):
                self.decide(Outcome.FAILED, "; ".join(schema.errors(event.payload)), event.at, [event])
        elif event.poison is not None:
            self.decide(Outcome.FAILED, event.poison, event.at, [event])
        elif not self._others_allowed:
            self.decide(Outcome.FAILED, _no_schema(event), event.at, [event])

    def _find(self, event: Event) -> Schema | None:
        found = next((schema for fits, schema in self._schemas if fits(event.type)), None)
        if found is not None:
            self._by_type[event.type] = found
        elif not event.type:
            return next((schema for fits, schema in self._topics if fits(event.topic)), None)
        return found


def _exact_first(entry: tuple[str, object]) -> tuple[int, int, str]:
    """Order globs by how little they leave open."""
    glob = entry[0]
    return glob.count("*"), -len(glob), glob


def _no_schema(event: Event) -> str:
    if event.type:
        return f"there is no schema for the type {event.type!r}"
    return f"the event has no type, and there is no schema for the topic {event.topic!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Every event of `pattern` was read by a schema of the registry, which it therefore fits."""

    name: str
    pattern: EventPattern = ANY_EVENT

    def start(self) -> "RegisteredCheck":
        """Return a check that has seen nothing."""
        return RegisteredCheck(self.name, self.pattern)


class RegisteredCheck(EveryCheck):
    """Looks for events without a schema."""

    __slots__ = ()

    def observe(self, event: Event) -> None:
        """Decide if the event was not read by a schema."""
        if self.result is not None or not (self._compiled.rest is None or self._compiled.rest(event)):
            return
        self._count += 1
        if event.poison is not None:
            self.decide(Outcome.FAILED, event.poison, event.at, [event])
        elif event.schema_id is None:
            self.decide(Outcome.FAILED, "the event has no registered schema", event.at, [event])


@dataclass(frozen=True, slots=True, kw_only=True)
class NoDuplicates:
    """No two events of `pattern` have the same key. The key is what `by` gives; without it, CloudEvents source and id.

    An event without the key fails it: whether it is a duplicate is then unknown.
    """

    name: str
    pattern: EventPattern = ANY_EVENT
    by: tuple[str, ...] = CLOUDEVENT_IDENTITY

    def start(self) -> "DuplicateCheck":
        """Return a check that has seen nothing."""
        return DuplicateCheck(self)


class DuplicateCheck(EveryCheck):
    """Remembers the first event of each key."""

    __slots__ = ("_by", "_first", "_key_of")

    def __init__(self, rule: NoDuplicates) -> None:
        super().__init__(rule.name, rule.pattern)
        self._by = rule.by
        self._key_of: KeyOf = compile_keys(rule.by)
        self._first: dict[JsonValue, Event] = {}

    def observe(self, event: Event) -> None:
        """Decide if the key was seen before."""
        if self.result is not None or not (self._compiled.rest is None or self._compiled.rest(event)):
            return
        self._count += 1
        key = self._key_of(event)
        if key is None:
            message = f"the event has no {' and '.join(self._by)}, so duplicates cannot be told"
            self.decide(Outcome.FAILED, message, event.at, [event])
        elif self._first.setdefault(key, event) is not event:
            message = f"{key} occurred twice"
            self.decide(Outcome.FAILED, message, event.at, [self._first[key], event])


def dead_letter(topic: str) -> EventPattern:
    """Return the pattern of any event on a dead-letter topic, for `never` or for an expected dead letter."""
    return EventPattern(topic=topic)
