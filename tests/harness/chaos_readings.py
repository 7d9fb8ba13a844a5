"""Makes readings for the tests of verdicts: autocorrelated latencies, and counted requests with an outage."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from chaos.hypothesis import Hypothesis, Slo, SloKind, Source
from chaos.judge import Readings
from chaos.windows import Count, Sample, Window

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def autocorrelated(random: Random, length: int, correlation: float, variation: float) -> list[float]:
    """Return log-normal readings around 1 with that lag-1 correlation and coefficient of variation."""
    state, readings = random.gauss(0, 1), []
    for _ in range(length):
        readings.append(math.exp(variation * state))
        state = correlation * state + math.sqrt(1 - correlation**2) * random.gauss(0, 1)
    return readings


def samples(readings: Sequence[float | None], since: float = 0) -> list[Sample]:
    return [Sample(at=second(since + number), value=value) for number, value in enumerate(readings)]


def value_readings(baseline: Sequence[float | None], fault: Sequence[float | None]) -> Readings:
    return Readings(samples={Window.BASELINE: samples(baseline), Window.FAULT: samples(fault, len(baseline))})


def counted(bad: Sequence[float | None], per_second: float = 20, since: float = 0) -> list[Count]:
    return [Count(at=second(since + n), bad=value, total=per_second) for n, value in enumerate(bad)]


def outage(seconds: int, of: int = 60, per_second: float = 20) -> list[Count]:
    """Return a window in which no request succeeds for so many seconds."""
    return counted([per_second if 20 <= n < 20 + seconds else 0 for n in range(of)], per_second)


def ratio(objective: float = 99.0) -> Slo:
    return Slo(name="success", kind=SloKind.RATIO, source=Source.LOAD, objective=objective)


def value(name: str = "latency") -> Slo:
    return Slo(name=name, kind=SloKind.VALUE, source=Source.LOAD)


def hypothesis(*slos: Slo, tolerance: float = 10.0) -> Hypothesis:
    return Hypothesis(title="", health_checks=(), slos=slos, tolerance_percent=tolerance)
