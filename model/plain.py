"""Reduce input to plain data, which JSON and PostgreSQL can hold. This is the first step of a check.

YAML can contain dates, sets, keys that are not text, and a structure that contains itself. JSON can contain NUL, lone
surrogates and NaN. PostgreSQL cannot store any of these, and the later steps need not handle them.
"""

import math
import re
from dataclasses import dataclass, field

from model.problems import Finding, Location

DEEPEST = 32
MOST_VALUES = 100_000
MOST_TEXT = 8 * 2**20
LARGEST_NUMBER = 2**63 - 1
_NOT_TEXT = re.compile("[\\x00\\ud800-\\udfff]")


@dataclass(slots=True)
class Plain:
    """The result: `value` is a copy without the values that were refused, so that the later steps can run."""

    value: object = None
    findings: list[Finding] = field(default_factory=list)
    hidden: set[Location] = field(default_factory=set)
    """The locations whose value was replaced. Findings of later steps about them are not mistakes of the sender."""
    values: int = 0
    text: int = 0
    unbounded: list[Finding] = field(default_factory=list)
    """Those findings that say that the input is too deep or too large to be read at all."""

    def refuse(self, location: Location, message: str) -> None:
        """Add a finding about the value at `location`, which is replaced."""
        self.findings.append(Finding(location=location, message=message))
        self.hidden.add(location)

    def hides(self, location: Location) -> bool:
        """Say whether the value at `location`, or one that contains it, was replaced."""
        return any(location[:length] in self.hidden for length in range(len(location) + 1))

    @property
    def too_large(self) -> bool:
        """Say whether the input is larger than any legitimate request."""
        return self.values > MOST_VALUES or self.text > MOST_TEXT


def plain(raw: object) -> Plain:
    """Return a plain copy of `raw`, with a finding for each value that was not plain. Never raises."""
    seen = Plain()
    seen.value = _copy(raw, (), seen)
    if seen.too_large:
        message = f"is too large: at most {MOST_VALUES:,} values and {MOST_TEXT // 2**20} MiB of text"
        whole = [Finding(location=(), message=message)]
        return Plain(findings=whole, hidden={()}, values=seen.values, text=seen.text, unbounded=whole)
    return seen


def _copy(raw: object, location: Location, seen: Plain) -> object:
    seen.values += 1
    if seen.too_large:
        return None
    if isinstance(raw, dict | list) and len(location) >= DEEPEST:
        seen.refuse(location, f"is nested deeper than {DEEPEST} levels")
        seen.unbounded.append(seen.findings[-1])
        return None
    if isinstance(raw, dict):
        return _copy_mapping(raw, location, seen)
    if isinstance(raw, list):
        return [_copy(item, (*location, position), seen) for position, item in enumerate(raw)]
    wrong = _wrong_text(raw) if isinstance(raw, str) else _wrong_scalar(raw)
    if wrong:
        seen.refuse(location, wrong)
    return _kept(raw, wrong, seen)


def _copy_mapping(raw: dict[object, object], location: Location, seen: Plain) -> dict[str, object]:
    copy: dict[str, object] = {}
    for key, value in raw.items():
        if not isinstance(key, str):
            message = f"has the key {_shown(key)}, which is not text: write it in quotes"
            seen.findings.append(Finding(location=location, message=message))
        elif wrong := _wrong_text(key):
            seen.findings.append(Finding(location=location, message=f"has a key that {wrong}"))
        else:
            seen.text += len(key)
            copy[key] = _copy(value, (*location, key), seen)
    return copy


def _kept(raw: object, wrong: str, seen: Plain) -> object:
    if isinstance(raw, str):
        seen.text += len(raw)
        return _NOT_TEXT.sub("", raw)
    return None if wrong else raw


def _wrong_scalar(raw: object) -> str:
    if isinstance(raw, float):
        return "" if math.isfinite(raw) else "is not a finite number"
    if isinstance(raw, int):
        return "" if abs(raw) <= LARGEST_NUMBER else "is too large a number"
    kind = type(raw).__name__
    return "" if raw is None else f"is a {kind}, which JSON cannot carry: if text is meant, write it in quotes"


def _wrong_text(text: str) -> str:
    if "\x00" in text:
        return "holds a NUL character"
    if _NOT_TEXT.search(text):
        return "holds half of a surrogate pair, which is not text"
    return ""


def _shown(key: object) -> str:
    return repr(key)[:40] if isinstance(key, int | float | bool | None) else f"of type {type(key).__name__}"
