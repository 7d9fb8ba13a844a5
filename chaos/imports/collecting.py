"""What an import finds on its way: problems, each with its location, and notes on what is not the same here."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from model.json_values import JsonObject
from model.lenient import mapping
from model.problems import Finding, Location

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<braced>\w+)\}|(?P<named>[A-Za-z_]\w*))")
"""As in `string.Template`, which Chaos Toolkit uses: `${name}`, `$name`, and `$$` for a dollar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Problems and notes, in the order in which they are found."""

    problems: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: set[Location] = field(default_factory=set)
    """Where a value is missing. What else is wrong there only follows from that."""

    def refuse(self, location: Location, message: str) -> None:
        """Add a problem."""
        if not any(location[:length] in self.unknown for length in range(1, len(location) + 1)):
            self.problems.append(Finding(location=location, message=message))

    def note(self, words: str) -> None:
        """Add a note, once."""
        if words not in self.notes:
            self.notes.append(words)

    def only(self, location: Location, given: Mapping[str, object], allowed: AbstractSet[str]) -> None:
        """Refuse every key that is not allowed. An empty value says nothing, so it is allowed."""
        for key in given:
            if key not in allowed and given[key] not in (None, "", [], {}, False):
                self.refuse((*location, key), "has no counterpart here")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFault:
    """A fault of a file, and its target: namespace, labels, and how many pods, None for all.

    `location` is where it stands in the file.
    """

    fault: JsonObject
    namespace: str
    labels: Mapping[str, str]
    count: int | None
    location: Location = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCheck:
    """A health check of a file in our written form, and where it stands there."""

    check: JsonObject
    location: Location = field(default=(), compare=False)


def configured(raw: object, configuration: Mapping[str, object], location: Location, findings: Findings) -> object:
    """Return a value with its `${names}` replaced by the configuration, as Chaos Toolkit replaces them.

    A text that is one name gets the value itself, of any type. `$name` is left as it is if there is no such value.
    """
    match raw:
        case str() if (whole := _VARIABLE.fullmatch(raw)) and whole.lastgroup:
            return _value(whole, configuration, location, findings)
        case str():
            return _VARIABLE.sub(lambda found: str(_value(found, configuration, location, findings)), raw)
        case dict():
            return {
                key: configured(value, configuration, (*location, str(key)), findings) for key, value in raw.items()
            }
        case list():
            return [
                configured(value, configuration, (*location, position), findings) for position, value in enumerate(raw)
            ]
        case _:
            return raw


def _value(found: re.Match[str], configuration: Mapping[str, object], location: Location, findings: Findings) -> object:
    name = found["braced"] or found["named"]
    if name is None:
        return "$"
    if name not in configuration and found["named"]:
        return found.group()
    value = configuration.get(name)
    if name in configuration and "type" not in mapping(value):
        return value
    where = "is read from outside of the file" if name in configuration else "is not in the configuration of the file"
    findings.refuse(location, f"${{{name}}} {where}: give it by --var {name}=VALUE")
    findings.unknown.add(location)
    return name
