"""A temporal rule as an assertion: over all events of a test, or for each key.

With `per`, each value of the expression has a sequence of its own: the events with that value. The rule must hold for
each of them. A key whose monitor is as new is forgotten, so that a long stream of finished keys takes no memory.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from pydantic import JsonValue

from events.assertions.assertion import BaseCheck, any_type
from events.event import Event, Milliseconds
from events.keys import KeyOf, compile_key, show_key
from events.matcher import CompiledPattern, Predicate
from events.outcomes import AssertionResult, Outcome
from events.pattern import EventPattern
from events.temporal.formula import Atom, triggers
from events.temporal.monitor import AnyMonitor, CompiledFormula
from events.temporal.nodes import value_of
from events.temporal.text import parse_rule

_TypeAtoms = tuple[int, tuple[tuple[int, Predicate], ...]]
"""Of a type of events: the patterns that the type alone matches, and those that have more conditions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalRule:
    """`rule` in the language of `events.temporal.text`. A name without a pattern is a type of events."""

    name: str
    rule: str
    patterns: Mapping[str, EventPattern]
    per: str | None = None

    def start(self) -> "TemporalCheck":
        """Return a check that has seen nothing. Raises: ValueError if the rule or a pattern is wrong."""
        return TemporalCheck(self)


class TemporalCheck(BaseCheck):
    """Runs the monitors of a rule."""

    __slots__ = (
        "_atoms",
        "_by_type",
        "_deadlines",
        "_forgotten",
        "_formula",
        "_key_of",
        "_monitors",
        "_names",
        "_triggers",
        "_untold",
    )

    def __init__(self, rule: TemporalRule) -> None:
        super().__init__(rule.name)
        parsed = parse_rule(rule.rule)
        self._formula = CompiledFormula(parsed.formula)
        self._atoms = [CompiledPattern(rule.patterns.get(name, EventPattern(type=name))) for name in parsed.names]
        self._by_type: dict[str, _TypeAtoms] = {}
        self._key_of: KeyOf | None = None if rule.per is None else compile_key(rule.per)
        self._monitors: dict[JsonValue, AnyMonitor] = {}
        self._deadlines: list[tuple[Milliseconds, str, JsonValue]] = []
        self._triggers = triggers(parsed.formula)
        self._untold = set(range(len(self._triggers)))
        self._names = parsed.names
        self._forgotten = False

    def interested(self, event_type: str) -> bool:
        """Take all types if an event that matches nothing can matter, else those of the patterns."""
        moves = not self._formula.skips_nothing or not self._formula.rests_on_nothing
        return moves or any_type(self._atoms, event_type)

    def observe(self, event: Event) -> None:
        """Show the event to the monitor of its key."""
        if self.result is not None:
            return
        if event.at > self.deadline:
            self.advance(event.at)
        key = None
        if self._key_of is not None:
            key = self._key_of(event)
            if key is None:
                return
        fixed, conditional = self._by_type.get(event.type) or self._learn(event.type)
        letter = fixed
        for bit, holds in conditional:
            if holds(event):
                letter |= bit
        if self._untold and letter:
            self._untold -= {number for number in self._untold if value_of(self._triggers[number], letter)}
        monitor = self._monitors.get(key)
        if monitor is None:
            if self._key_of is not None and self._formula.stays_new(letter):
                self._forgotten = True
                return
            monitor = self._monitors[key] = self._formula.start()
        planned = monitor.deadline
        monitor.observe(letter, event)
        self._after(key, monitor, event.at, planned)

    def _learn(self, event_type: str) -> _TypeAtoms:
        """Find out once for each type which patterns its events can match."""
        matching = [(1 << number, atom) for number, atom in enumerate(self._atoms) if atom.types(event_type)]
        fixed = sum(bit for bit, atom in matching if atom.rest is None)
        found = self._by_type[event_type] = (fixed, tuple((bit, atom.rest) for bit, atom in matching if atom.rest))
        return found

    def _after(self, key: JsonValue, monitor: AnyMonitor, now: Milliseconds, planned: Milliseconds) -> None:
        """Decide, forget, or plan the next look at the clock for the monitor of a key, if that is not planned yet."""
        if monitor.value is False:
            self.decide(Outcome.FAILED, f"the rule is broken{show_key(key)}", now, monitor.witness)
        elif monitor.value is True and self._key_of is None:
            self._pass(now)
        elif self._key_of is not None and self._formula.as_new(monitor):
            del self._monitors[key]
            self._forgotten = True
        elif monitor.deadline not in (inf, planned):
            heapq.heappush(self._deadlines, (monitor.deadline, repr(key), key))
            self.deadline = self._deadlines[0][0]

    def advance(self, now: Milliseconds) -> None:
        """Show the time to the monitors whose windows are over."""
        while self.result is None and self._deadlines and self._deadlines[0][0] < now:
            due, _, key = heapq.heappop(self._deadlines)
            monitor = self._monitors.get(key)
            if monitor is not None and monitor.deadline <= due:
                monitor.advance(now)
                self._after(key, monitor, due, inf)
        if self.result is None:
            self.deadline = self._deadlines[0][0] if self._deadlines else inf

    def finish(self, now: Milliseconds, *, seen: int) -> AssertionResult:
        """Close each monitor. One that is broken fails the rule; one that is open makes it inconclusive."""
        open_keys = []
        for key, monitor in list(self._monitors.items()):
            monitor.close(now)
            if monitor.value is False:
                message = f"the rule is broken{show_key(key)} when the test ends"
                self.decide(Outcome.FAILED, message, now, monitor.witness)
            elif monitor.value is None:
                open_keys.append(key)
        if open_keys:
            message = f"the test ended within a window of the rule{show_key(open_keys[0])}"
            self.decide(Outcome.INCONCLUSIVE, message, now)
        if self.result is None:
            self._pass(now) if seen else self.decide(Outcome.VACUOUS, "no event was seen", now)
        return self.decided()

    def _pass(self, now: Milliseconds) -> None:
        if self._untold:
            self.decide(Outcome.VACUOUS, f"the rule holds, but {self._missing()} did not occur", now)
        elif self._key_of is not None and not (self._monitors or self._forgotten):
            self.decide(Outcome.VACUOUS, "no event had a key of the rule", now)
        else:
            self.decide(Outcome.PASSED, "the rule holds", now)

    def _missing(self) -> str:
        """Return the first trigger that did not occur, in words."""
        trigger = self._triggers[min(self._untold)]
        return self._names[trigger.number] if isinstance(trigger, Atom) else "what it waits for"
