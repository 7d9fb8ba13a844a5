"""Cron expressions: which minutes of which days they name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import count

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SATURDAY = 6
_NONE = range(0)
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,4}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The values of the five fields. Weekdays are 0 (Sunday) to 6."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def names(self, day: date) -> bool:
        """Say whether the expression names this day.

        Where it restricts both the days of the month and the days of the week, one of them suffices.
        """
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_suffices else in_month and in_week

    @property
    def either_suffices(self) -> bool:
        """Say whether the days of the month and the days of the week are both restricted."""
        return len(self.days) < _LONGEST_MONTHS[0] and len(self.weekdays) < len(_DAYS)

    @property
    def names_every_hour(self) -> bool:
        """Say whether only the minutes are restricted."""
        sizes = (len(self.hours), len(self.days), len(self.months), len(self.weekdays))
        return sizes == (24, 31, 12, 7)

    def is_hourly_at(self, hour: int) -> bool:
        """Say whether the hour before or after `hour` is named too."""
        return (hour - 1) % 24 in self.hours or (hour + 1) % 24 in self.hours

    def text(self) -> str:
        """Return the expression in its plainest form, which every implementation of cron reads alike.

        Prefect's croniter reads `8-8` as every value, and `1-5,*` and `*/1` other than `*`. It fails where the months
        have none of the days, also if the days of the week would suffice.
        """
        days = self.days if self._a_month_has_a_day() else frozenset(range(1, 32))
        fields = (self.minutes, self.hours, days, self.months, self.weekdays)
        known = (range(60), range(24), range(1, 32), range(1, 13), range(7))
        return " ".join(_written(values, each) for values, each in zip(fields, known, strict=True))

    def fires(self) -> bool:
        """Say whether the expression names any day. There is no 30 February."""
        return self.either_suffices or self._a_month_has_a_day()

    def _a_month_has_a_day(self) -> bool:
        return any(day <= _LONGEST_MONTHS[month - 1] for month in self.months for day in self.days)


def parse_cron(text: str) -> Cron:
    """Return the values that a cron expression names. Raises: ValueError with the field that is wrong."""
    fields = expanded(text).split()
    if len(fields) != len(_FIELDS):
        known = ", ".join(ALIASES)
        raise ValueError(
            f"must have five fields (minute hour day month weekday), not {len(fields)}, or be one of {known}"
        )
    minutes, hours, days, months, weekdays = (
        _field(field, name, range(low, high + 1), names)
        for field, (name, low, high, names) in zip(fields, _FIELDS, strict=True)
    )
    weekdays = frozenset(day % 7 for day in weekdays)
    return Cron(minutes=minutes, hours=hours, days=days, months=months, weekdays=weekdays)


def cron_expression(text: str) -> str:
    """Accept a cron expression that fires. Raises: ValueError."""
    if not parse_cron(text).fires():
        raise ValueError("never fires: none of its months has such a day")
    return text


def expanded(text: str) -> str:
    """Return the five fields that an alias such as @daily stands for, or `text` itself."""
    return ALIASES.get(text.strip().lower(), text)


def _field(text: str, name: str, known: range, names: tuple[str, ...]) -> frozenset[int]:
    parts = [_values(part, known, names) for part in text.lower().split(",")]
    if not all(parts):
        raise ValueError(f"has a wrong {name}: {text[:40]!r}")
    return frozenset(value for part in parts for value in part)


def _values(part: str, known: range, names: tuple[str, ...]) -> range:
    """Return the values of one part of a field. They are none if the part is wrong."""
    match = _PART.fullmatch(part)
    step = int(match["step"] or 1) if match else 0
    if match is None or not 1 <= step <= len(known):
        return _NONE
    open_end = _SATURDAY if names is _DAYS else known[-1]
    if match["first"] is None:
        return range(known[0], open_end + 1, step)
    first = _number(match["first"], known, names)
    last = _number(match["last"], known, names) if match["last"] else first
    if first is None or last is None or first > last:
        return _NONE
    return range(first, max(first, open_end if match["step"] and not match["last"] else last) + 1, step)


def _number(text: str, known: range, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + known[0]
    number = int(text) if text.isdigit() else None
    return number if number in known else None


def _written(values: frozenset[int], known: range) -> str:
    """Return values as a field: `*`, `*/step`, or a list of numbers and ranges."""
    if len(values) == len(known):
        return "*"
    steps = (step for step in range(2, len(known) // 2) if values == frozenset(known[::step]))
    if (step := next(steps, None)) is not None:
        return f"*/{step}"
    return ",".join(f"{first}-{last}" if first < last else str(first) for first, last in _runs(values))


def _runs(values: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last value of each run of values that follow each other."""
    for first in sorted(value for value in values if value - 1 not in values):
        yield first, next(value for value in count(first) if value + 1 not in values)
