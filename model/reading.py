"""Read plain data into a value of the model, or find every field that is wrong.

A misspelt key is reported once. Its value is then read under the key that was meant. So that key is not reported as
missing too, and the value is checked in the same run.
"""

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from model.json_values import JsonObject
from model.lenient import at, mapping
from model.problems import Finding, InvalidError, Location
from model.wording import FieldError, field_error, is_consequence

T = TypeVar("T")
MOST_ERRORS = 2000
"""The bound on the work that a hostile request can cause. Nobody reads as many problems."""


@dataclass(slots=True, kw_only=True)
class Reading(Generic[T]):
    """The outcome of reading: `value`, or None with `findings`.

    `raw` is the input with misspelt keys corrected. The rules across fields read it.
    """

    value: T | None = None
    raw: object = None
    findings: list[Finding] = field(default_factory=list)
    spelt: dict[Location, str] = field(default_factory=dict)
    """The corrected keys: the location of the key that was meant, and the key as the sender spelt it."""

    def required(self) -> T:
        """Return the value. Raises: InvalidError with the findings."""
        if self.value is None:
            raise InvalidError(finding.problem() for finding in self.findings)
        return self.value

    def as_sent(self, finding: Finding) -> Finding:
        """Return `finding` with its location as the sender spelt it."""
        location = list(finding.location)
        for length in range(1, len(location) + 1):
            word = self.spelt.get(finding.location[:length])
            if word is not None:
                location[length - 1] = word
        return replace(finding, location=tuple(location))


class Reader(Generic[T]):
    """Reads values of one type. The adapter and the schema are built once, at their first use."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind

    @cached_property
    def adapter(self) -> TypeAdapter[T]:
        """The pydantic adapter of the type."""
        return TypeAdapter(self.kind)

    @cached_property
    def schema(self) -> JsonObject:
        """The JSON schema of the type, as pydantic generates it."""
        return self.adapter.json_schema()

    def read(self, raw: object) -> Reading[T]:
        """Read plain `raw` into a value; see `Reading`."""
        reading: Reading[T] = Reading(raw=raw)
        while True:
            errors = self._try(reading)
            corrections = _corrections(errors, reading.raw)
            # The other errors come again in the next round, which reads the corrected keys.
            reported = corrections.values() if corrections else errors
            findings = [error.finding for error in reported if error.finding.location not in reading.spelt]
            reading.findings += [reading.as_sent(finding) for finding in findings]
            if not corrections:
                return reading
            for location, error in corrections.items():
                reading.raw = _renamed(reading.raw, error.finding.location, str(location[-1]))
                reading.spelt[location] = str(error.finding.location[-1])

    def _try(self, reading: Reading[T]) -> list[FieldError]:
        try:
            value = self.adapter.validate_json(json.dumps(reading.raw))
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            own = [detail for detail in details if not is_consequence(detail, reading.raw, self.schema)]
            return [field_error(detail, reading.raw, self.schema) for detail in own[:MOST_ERRORS]]
        if not reading.findings:
            reading.value = value
        return []


def _corrections(errors: list[FieldError], raw: object) -> dict[Location, FieldError]:
    """Return the misspelt keys that can be corrected, by the location of the key that was meant.

    Each correction makes one more key known, so the rounds of `Reader.read` come to an end.
    """
    corrections: dict[Location, FieldError] = {}
    for error in errors:
        location = error.finding.location
        if error.meant and _is_free(raw, location, error.meant):
            corrections.setdefault((*location[:-1], error.meant), error)
    return corrections


def _is_free(raw: object, location: Location, meant: str) -> bool:
    owner = at(raw, location[:-1])
    return isinstance(owner, dict) and location[-1] in owner and meant not in owner


def _renamed(raw: object, location: Location, meant: str) -> object:
    head, *rest = location
    if isinstance(raw, list):
        return [_renamed(item, tuple(rest), meant) if i == head else item for i, item in enumerate(raw)]
    if not rest:
        return {meant if key == head else key: value for key, value in mapping(raw).items()}
    return {key: _renamed(item, tuple(rest), meant) if key == head else item for key, item in mapping(raw).items()}
