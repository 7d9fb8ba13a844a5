"""The answers that a load got, as the readings of an SLO. An answer counts at the moment at which it was asked for.

So a request that hangs is a bad one of the second in which a customer made it, however late that becomes known.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import overload

from chaos.windows import Count, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadAnswer:
    """One request of a load. `good`: it was answered in time, with a status below 400."""

    asked_at: datetime
    took: timedelta
    good: bool


class AnswerLog(Sequence[LoadAnswer]):
    """The answers of a running load, in the order in which they were asked for. An hour of them can be millions."""

    def __init__(self) -> None:
        self._answers: list[LoadAnswer] = []

    def add(self, answer: LoadAnswer) -> None:
        """Put an answer in its place, which is near the end."""
        insort(self._answers, answer, key=_asked_at)

    def between(self, begins: datetime, ends: datetime) -> Sequence[LoadAnswer]:
        """Return those that were asked for from `begins` on, and before `ends`."""
        first, last = (bisect_left(self._answers, at, key=_asked_at) for at in (begins, ends))
        return self._answers[first:last]

    @overload
    def __getitem__(self, index: int) -> LoadAnswer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[LoadAnswer]: ...
    def __getitem__(self, index: int | slice) -> LoadAnswer | Sequence[LoadAnswer]:
        return self._answers[index]

    def __len__(self) -> int:
        return len(self._answers)


def _asked_at(answer: LoadAnswer) -> datetime:
    return answer.asked_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A part of an execution, divided into steps."""

    begins: datetime
    ends: datetime
    step: timedelta

    @property
    def steps(self) -> int:
        """Return how many whole steps there are."""
        return int((self.ends - self.begins) / self.step)

    def step_of(self, at: datetime) -> int | None:
        """Return in which step a moment lies, None if it lies in none."""
        step = int((at - self.begins) // self.step)
        return step if 0 <= step < self.steps else None

    def end_of(self, step: int) -> datetime:
        """Return the end of a step, which is the moment of its reading."""
        return self.begins + (step + 1) * self.step


def load_counts(answers: Sequence[LoadAnswer], interval: Interval) -> list[Count]:
    """Return bad and all requests of each step. A step without any has no data."""
    counts = []
    for step, part in enumerate(_parts(answers, interval)):
        bad = sum(not answer.good for answer in part)
        counts.append(Count(at=interval.end_of(step), bad=bad if part else None, total=len(part) if part else None))
    return counts


def load_samples(answers: Sequence[LoadAnswer], interval: Interval, percentile: float) -> list[Sample]:
    """Return the percentile of the seconds of good answers in each step, nearest-rank. Without any there is no data."""
    samples = []
    for step, part in enumerate(_parts(answers, interval)):
        seconds = sorted(answer.took.total_seconds() for answer in part if answer.good)
        rank = math.ceil(percentile / 100 * len(seconds)) - 1
        samples.append(Sample(at=interval.end_of(step), value=seconds[max(rank, 0)] if seconds else None))
    return samples


def _parts(answers: Sequence[LoadAnswer], interval: Interval) -> list[list[LoadAnswer]]:
    parts: list[list[LoadAnswer]] = [[] for _ in range(interval.steps)]
    there = answers.between(interval.begins, interval.ends) if isinstance(answers, AnswerLog) else answers
    for answer in there:
        step = interval.step_of(answer.asked_at)
        if step is not None:
            parts[step].append(answer)
    return parts
