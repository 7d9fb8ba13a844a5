"""The readings of an experiment: samples in three windows, and requests that were counted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Window(StrEnum):
    """The three windows of an experiment."""

    BASELINE = "baseline"
    FAULT = "fault"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One reading of an SLO of kind value. `value` is None, or not a number, where there was no data."""

    at: datetime
    value: float | None

    @property
    def present(self) -> bool:
        """Say whether there was data."""
        return self.value is not None and math.isfinite(self.value)


ROUNDING = 1e-6
"""Two sums of rates differ in their last digits: when every request is bad, `bad` may be a little above `total`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The requests of one interval that ended at `at`, and how many of them were bad. None: no data."""

    at: datetime
    bad: float | None
    total: float | None

    @property
    def present(self) -> bool:
        """Say whether there was data that can be true: not more bad requests than requests."""
        if self.bad is None or self.total is None:
            return False
        return math.isfinite(self.bad) and math.isfinite(self.total) and 0 <= self.bad <= self.total * (1 + ROUNDING)


def values(samples: Sequence[Sample]) -> list[float]:
    """Return the readings that are there."""
    return [sample.value for sample in samples if sample.value is not None and sample.present]


def totals(counts: Sequence[Count]) -> tuple[float, float]:
    """Return the bad requests and all requests of a window."""
    there = [(count.bad or 0.0, count.total or 0.0) for count in counts if count.present]
    return sum(min(bad, total) for bad, total in there), sum(total for _, total in there)


def completeness(readings: Sequence[Sample] | Sequence[Count]) -> float:
    """Return the share of the readings of a window that had data; 0 if there are none."""
    return sum(reading.present for reading in readings) / len(readings) if readings else 0.0
