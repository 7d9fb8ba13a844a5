"""Check the five fields of cron expressions. Prefect computes when they are due."""

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,4}))?", re.ASCII)


def cron_expression(text: str) -> str:
    """Return `text` if it is a cron expression. Raises: ValueError that names the wrong field."""
    written = text.split()
    if len(written) != len(_FIELDS):
        raise ValueError(f"must have five fields (minute hour day month weekday), not {len(written)}")
    for field, (name, low, high, names) in zip(written, _FIELDS, strict=True):
        if not all(_part_is_right(part, low, high, names) for part in field.lower().split(",")):
            raise ValueError(f"has a wrong {name}: {field[:40]!r}")
    return text


def _part_is_right(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or (match["step"] is not None and int(match["step"]) == 0):
        return False
    if match["first"] is None:
        return True
    first = _number(match["first"], low, names)
    last = _number(match["last"], low, names) if match["last"] else first
    return first is not None and last is not None and low <= first <= last <= high


def _number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + low
    return int(text) if text.isdigit() and len(text) <= 2 else None  # noqa: PLR2004  no field has three digits
