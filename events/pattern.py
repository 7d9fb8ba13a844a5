"""The pattern: what an event must be like. All conditions that are given must hold.

`type`, `topic` and the values of headers and attributes are globs (`Order*`). `payload` is a JSON subset. `where` is a
JMESPath expression that must be true. `matches` maps JMESPath expressions to regular expressions of the whole text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from events.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPattern:
    """The conditions of a pattern. `condition` is a Python predicate, for the library and pytest only."""

    type: str = "*"
    topic: str = "*"
    where: str | None = None
    payload: JsonValue = None
    matches: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    schema: Mapping[str, JsonValue] | bool | None = None
    condition: Callable[[Event], bool] | None = None

    @property
    def only_type(self) -> bool:
        """Say whether the type alone decides."""
        return self == EventPattern(type=self.type)


ANY_EVENT = EventPattern()


def describe_pattern(pattern: EventPattern) -> str:
    """Return a pattern in words, such as `OrderPaid where amount > 3`."""
    words = [pattern.type]
    words += [f"on {pattern.topic}"] * (pattern.topic != "*")
    words += [f"where {pattern.where}"] * (pattern.where is not None)
    words += ["with the given payload"] * (pattern.payload is not None)
    words += [f"with {path} like {text}" for path, text in pattern.matches.items()]
    words += [f"with {name}: {text}" for name, text in (*pattern.headers.items(), *pattern.attributes.items())]
    words += ["that fits the schema"] * (pattern.schema is not None)
    words += ["with the given condition"] * (pattern.condition is not None)
    return " ".join(words)
