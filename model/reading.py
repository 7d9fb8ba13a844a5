"""From plain data to a value of the model, or every field that is wrong.

A misspelt key is told once, and its value then counts for the key that was meant: so it does not also appear as
missing, and what stands below it is checked in the same go.
"""

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from model.lenient import at, mapping
from model.problems import Finding, InvalidError, Location
from model.wording import Fault, fault, only_follows

T = TypeVar("T")
MOST_FAULTS = 2000
"""More than anybody reads, and few enough that a hostile request does not keep us busy."""


@dataclass(slots=True, kw_only=True)
class Reading(Generic[T]):
    """What came of it: `value`, or None with `findings`. `raw` is the input with the meant keys, for further rules."""

    value: T | None = None
    raw: object = None
    findings: list[Finding] = field(default_factory=list)
    spelt: dict[Location, str] = field(default_factory=dict)
    """Where a key was taken for another: the meant place, and the sender's word for it."""

    def required(self) -> T:
        """Return the value. Raises: InvalidError with what was found instead."""
        if self.value is None:
            raise InvalidError(finding.problem() for finding in self.findings)
        return self.value

    def as_sent(self, finding: Finding) -> Finding:
        """Return `finding` at the place as the sender spelt it."""
        location = list(finding.location)
        for length in range(1, len(location) + 1):
            word = self.spelt.get(finding.location[:length])
            if word is not None:
                location[length - 1] = word
        return replace(finding, location=tuple(location))


class Reader(Generic[T]):
    """Reads values of one type. The adapter and its schema are built once, when first needed."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind

    @cached_property
    def adapter(self) -> TypeAdapter[T]:
        """Pydantic's view of the type."""
        return TypeAdapter(self.kind)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the type, as pydantic writes it."""
        return self.adapter.json_schema()

    def read(self, raw: object) -> Reading[T]:
        """Read plain `raw`; see `Reading`."""
        reading: Reading[T] = Reading(raw=raw)
        while True:
            faults = self._try(reading)
            repairs = _repairs(faults, reading.raw)
            told = repairs.values() if repairs else faults  # the others come again, with the meant keys
            reading.findings += [reading.as_sent(f.finding) for f in told if f.finding.location not in reading.spelt]
            if not repairs:
                return reading
            for place, repair in repairs.items():
                reading.raw = _renamed(reading.raw, repair.finding.location, str(place[-1]))
                reading.spelt[place] = str(repair.finding.location[-1])

    def _try(self, reading: Reading[T]) -> list[Fault]:
        try:
            value = self.adapter.validate_json(json.dumps(reading.raw))
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            own = [detail for detail in details if not only_follows(detail, reading.raw, self.schema)]
            return [fault(detail, reading.raw, self.schema) for detail in own[:MOST_FAULTS]]
        if not reading.findings:
            reading.value = value
        return []


def _repairs(faults: list[Fault], raw: object) -> dict[Location, Fault]:
    """Return which unknown keys can be taken for others, by the place that was meant. Each makes one key known more."""
    repairs: dict[Location, Fault] = {}
    for one in faults:
        location = one.finding.location
        if one.meant and _is_free(raw, location, one.meant):
            repairs.setdefault((*location[:-1], one.meant), one)
    return repairs


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
