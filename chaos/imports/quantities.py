"""Numbers, durations, sizes and labels as other tools write them. What cannot be read is refused, with its path."""

import re
from math import isfinite

from chaos.imports.collecting import Findings
from model.lenient import text
from model.problems import Location

UNLABELLED = "must select by labels: without them a whole namespace is the target"
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
PLACEHOLDER_SECONDS = 30
"""Stands for a length that was refused, so that the rest of a file can be checked."""
ROUNDING = 1e-6
"""0.3 seconds times 1000 is not 300 in its last digit."""
_SIZE = re.compile(r"(\d+)\s*(MB?|MiB?|m)", re.IGNORECASE)


def seconds_of(raw: object, at: Location, findings: Findings) -> float:
    """Return a duration in seconds: `200ms`, `1m30s`, or a plain number of seconds."""
    written = text(raw)
    parts = _PARTS.findall(written)
    if parts and "".join(number + unit for number, unit in parts) == written:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    if re.fullmatch(r"\d+(\.\d+)?", written):
        return float(written)
    findings.refuse(at, "must be a duration such as 200ms or 30s")
    return 1.0


def _with_unit(raw: object, at: Location, findings: Findings) -> float | None:
    """Return a duration as Go and Chaos Mesh read it, in seconds. None if it is refused: a number needs its unit."""
    if re.fullmatch(r"\d*[1-9]\d*(\.\d+)?|\d+\.\d+", text(raw)):
        findings.refuse(at, "must have a unit, such as 200ms or 30s")
        return None
    before = len(findings.problems)
    seconds = seconds_of(raw, at, findings)
    return seconds if len(findings.problems) == before else None


def whole_seconds_of(raw: object, at: Location, findings: Findings) -> int:
    """Return a duration in whole seconds, 1 or more. Another one is refused, never rounded."""
    seconds = _with_unit(raw, at, findings)
    if seconds is None:
        return PLACEHOLDER_SECONDS
    if seconds < 1 or seconds != int(seconds):
        findings.refuse(at, "must be whole seconds, 1 or more")
        return PLACEHOLDER_SECONDS
    return int(seconds)


def milliseconds_of(raw: object, at: Location, findings: Findings) -> int:
    """Return a duration in whole milliseconds. Another one is refused, never rounded."""
    seconds = _with_unit(raw, at, findings)
    milliseconds = 1000 * (1.0 if seconds is None else seconds)
    if abs(milliseconds - round(milliseconds)) > ROUNDING:
        findings.refuse(at, "must be whole milliseconds")
    return round(milliseconds)


def number_of(raw: object, at: Location, findings: Findings) -> float:
    """Return a number, also one that is written as text."""
    try:
        number = float(text(raw))
    except ValueError:
        number = float("nan")
    if isfinite(number):
        return number
    findings.refuse(at, "must be a number")
    return 1.0


def whole_of(raw: object, at: Location, findings: Findings) -> int:
    """Return a whole number."""
    number = number_of(raw, at, findings)
    if number != int(number):
        findings.refuse(at, "must be a whole number")
    return int(number)


def megabytes_of(raw: object, at: Location, findings: Findings) -> int:
    """Return a size in megabytes."""
    found = _SIZE.fullmatch(text(raw))
    if found is None:
        findings.refuse(at, "must be a number of megabytes, such as 256MB")
    return int(found.group(1)) if found else 1


def labels_of(raw: object, at: Location, findings: Findings) -> dict[str, str]:
    """Return the labels of a selector: all must match. Only equality can be said here."""
    if isinstance(raw, dict) and raw:
        for key, value in raw.items():
            if not isinstance(value, str | int) or isinstance(value, bool):
                findings.refuse((*at, str(key)), "must be text: a value such as true needs quotes")
        return {str(key): text(value) for key, value in raw.items()}
    labels = {}
    parts = [part for part in text(raw).split(",") if part]
    for part in parts:
        name, sign, value = part.partition("=")
        if not sign or name.endswith("!") or " " in part.strip():
            findings.refuse(at, f"{part.strip()!r} is not name=value: only equality can be selected")
            continue
        labels[name.strip()] = value.lstrip("=").strip()
    if not parts:
        findings.refuse(at, UNLABELLED)
    return labels
