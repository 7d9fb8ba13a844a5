"""The scope of a test: which events of shared topics belong to it."""

from dataclasses import dataclass

from pydantic import JsonValue

from events.event import Event
from events.paths import compile_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """An event belongs to the test if `expression` gives `value`. `event.headers.NAME` is the value of a header."""

    expression: str
    value: JsonValue

    def __post_init__(self) -> None:
        if self.value is None:
            raise ValueError(f"the scope {self.expression!r} has no value: it would take every event without one")


class ScopeFilter:
    """Tells the events of a test from foreign ones. Without a scope every event belongs to the test."""

    def __init__(self, scope: Scope | None) -> None:
        self._path = None if scope is None else compile_path(scope.expression)
        self._value = None if scope is None else scope.value

    def holds(self, event: Event) -> bool:
        """Say whether an event belongs to the test."""
        return self._path is None or self._path(event) == self._value
