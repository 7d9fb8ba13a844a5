"""Seconds as a locale writes them: `0.160`, `0,160`, `1,234.5`, `1.234,5`, `1 234,5`, `1'234.5`.

One separator before three digits may be either: `1,234` is 1.234 seconds where a comma is the decimal mark, else 1,234.
The other times of the report tell which, and a decimal mark it is where they do not.
"""

import math
import re
import unicodedata
from collections.abc import Sequence

LARGEST = 2**31 - 1
_THOUSANDS = re.compile(r"(?<=\d)[\s'\u2019\u02bc_\u066c](?=\d)")
"""Blanks of all widths, apostrophes and the Arabic separator: these stand between thousands only."""
_NUMBER = re.compile(r"([+-]?)([\d.,]*\d[\d.,]*)(?:e([+-]?\d{1,3}))?\s*(ms|s|sec|secs|seconds?)?", re.IGNORECASE)
_EITHER = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_LONGEST = 40


def milliseconds(texts: Sequence[str]) -> list[int]:
    """Return the times of one report in whole milliseconds; 0 for what is no time."""
    plain = [_plain(text) for text in texts]
    mark = _decimal_mark(plain)
    return [_milliseconds(text, mark) for text in plain]


def _plain(text: str) -> str:
    """Return a time with ASCII digits, and without separators that can stand between thousands only."""
    text = text.strip()[:_LONGEST]
    if not text.isascii():
        text = "".join(str(unicodedata.digit(char, char)) for char in text).replace("\u066b", ".")
    return _THOUSANDS.sub("", text)


def _decimal_mark(texts: Sequence[str]) -> str:
    """Return the decimal mark that the times agree on, empty where they do not tell."""
    marks = set()
    for text in set(texts):
        match = _NUMBER.fullmatch(text)
        if match is not None and not _EITHER.fullmatch(match[2]):
            marks.add(_mark_of(match[2]))
    marks.discard("")
    return marks.pop() if len(marks) == 1 else ""


def _mark_of(number: str) -> str:
    """Return the decimal mark of a number that leaves no doubt, empty if it has no separator."""
    separators = [char for char in number if char in ".,"]
    if not separators:
        return ""
    last = separators[-1]
    if separators.count(last) == 1:
        return last
    return {",": ".", ".": ","}[last]


def _milliseconds(text: str, mark: str) -> int:
    if ":" in text:
        return _of_clock(text, mark)
    match = _NUMBER.fullmatch(text)
    if match is None:
        return 0
    sign, number, exponent, unit = match.groups()
    own = mark if mark and _EITHER.fullmatch(number) else _mark_of(number)
    whole, _, fraction = number.partition(own) if own else (number, "", "")
    digits = re.sub("[.,]", "", whole)
    value = float(f"{sign}{digits or 0}.{re.sub('[.,]', '', fraction) or 0}e{exponent or 0}")
    return _bounded(value if unit and unit.lower() == "ms" else value * 1000)


def _of_clock(text: str, mark: str) -> int:
    """Return hours, minutes and seconds, as .NET writes them: 00:01:02.5."""
    parts = text.split(":")
    if len(parts) > 3 or not all(re.fullmatch(r"\d{1,4}", part) for part in parts[:-1]):  # noqa: PLR2004  h, m, s
        return 0
    total = _milliseconds(parts[-1], mark)
    for place, part in enumerate(reversed(parts[:-1]), start=1):
        total += int(part) * 60**place * 1000
    return min(total, LARGEST)


def _bounded(value: float) -> int:
    return min(max(round(value), 0), LARGEST) if math.isfinite(value) else 0
