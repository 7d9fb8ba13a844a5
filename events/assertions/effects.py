"""Exactly-once effect: each command has one effect, however often it is delivered."""

from dataclasses import dataclass

from pydantic import JsonValue

from events.assertions.assertion import BaseCheck, any_type
from events.event import Event, Milliseconds
from events.keys import compile_key
from events.matcher import CompiledPattern
from events.outcomes import AssertionResult, Outcome
from events.pattern import EventPattern
from model.plural import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactlyOnce:
    """For each idempotency key of a `command` there is exactly one `effect`, and no effect without a command.

    The same command may be seen several times: that is what redelivery does. `effect_key` is the expression for the key
    in an effect, if it differs from `key`.
    """

    name: str
    command: EventPattern
    effect: EventPattern
    key: str
    effect_key: str | None = None

    def start(self) -> "EffectCheck":
        """Return a check that has seen nothing."""
        return EffectCheck(self)


class EffectCheck(BaseCheck):
    """Counts the effects of each key. A second effect decides at once; a missing one, when the test ends."""

    __slots__ = ("_command", "_commands", "_effect", "_effect_key", "_effects", "_key")

    def __init__(self, rule: ExactlyOnce) -> None:
        super().__init__(rule.name)
        self._command, self._effect = CompiledPattern(rule.command), CompiledPattern(rule.effect)
        self._key, self._effect_key = compile_key(rule.key), compile_key(rule.effect_key or rule.key)
        self._commands: dict[JsonValue, Event] = {}
        self._effects: dict[JsonValue, Event] = {}

    def interested(self, event_type: str) -> bool:
        """Take the types of commands and effects."""
        return any_type((self._command, self._effect), event_type)

    def observe(self, event: Event) -> None:
        """Note a command, or count an effect."""
        if self.result is not None:
            return
        if self._command.matches(event):
            self._note(self._key(event), event)
        if self._effect.matches(event):
            self._count(self._effect_key(event), event)

    def _note(self, key: JsonValue, event: Event) -> None:
        if key is None:
            self.decide(Outcome.FAILED, "a command has no idempotency key", event.at, [event])
        else:
            self._commands.setdefault(key, event)

    def _count(self, key: JsonValue, event: Event) -> None:
        if key is None:
            self.decide(Outcome.FAILED, "an effect has no idempotency key", event.at, [event])
        elif self._effects.setdefault(key, event) is not event:
            self.decide(Outcome.FAILED, f"{key!r} had its effect twice", event.at, [self._effects[key], event])

    def finish(self, now: Milliseconds, *, seen: int) -> AssertionResult:
        """Look for commands without an effect, and for effects without a command."""
        del seen
        missing = [command for key, command in self._commands.items() if key not in self._effects]
        if missing:
            self.decide(Outcome.FAILED, f"{len(missing)} of {len(self._commands)} had no effect", now, missing[:3])
        unasked = [effect for key, effect in self._effects.items() if key not in self._commands]
        if unasked:
            self.decide(Outcome.FAILED, f"{len(unasked)} effects had no command", now, unasked[:3])
        if not self._commands:
            self.decide(Outcome.VACUOUS, "no command was seen", now)
        self.decide(Outcome.PASSED, f"{counted(len(self._commands), 'command')}, each with one effect", now)
        return self.decided()
