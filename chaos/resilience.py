"""The resilience score of a service: what it was shown to withstand lately, of all the faults that are possible there.

    credit(type)   = largest magnitude that held, and that no later failure of the same or a smaller one refutes
                     * 2 ** (-age / 30 days)
    score(service) = 100 * sum(weight * credit) / sum(weight), over all types that are possible, tested or not

Only a verdict counts: inconclusive, aborted, blocked and infrastructure are not tested. A repetition adds nothing, and
a failure of a harder test takes nothing away from an easier one that held. Rules: docs/decisions/027.
Sources: the probe success percentage and weights of Litmus, the expiry and the zero of untested in Gremlin's score.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypedDict

from chaos.fault_types import FaultType, Provider
from chaos.provider import CAPABILITIES

HALF_LIFE = timedelta(days=30)
WEIGHTS: Mapping[FaultType, int] = {
    FaultType.POD_DELETE: 3,
    FaultType.POD_KILL: 3,
    FaultType.CONTAINER_KILL: 2,
    FaultType.NETWORK_LATENCY: 3,
    FaultType.NETWORK_PARTITION: 3,
    FaultType.NETWORK_PACKET_LOSS: 2,
    FaultType.CPU_STRESS: 2,
    FaultType.MEMORY_STRESS: 1,
    FaultType.DISK_IO_STRESS: 1,
    FaultType.EXCEPTION_INJECTION: 3,
}
"""By severity: 3 takes the service or its answers away, 2 a part of it, 1 crowds it."""
WEEK = timedelta(days=7)
ROUNDING = 1e-9


class CellState(StrEnum):
    """What is known about one fault type at one service."""

    HELD = "held"
    FAILED = "failed"
    STALE = "stale"
    NEVER = "never tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One fault type at one service in one execution. `held` is None if there is no verdict about the hypothesis."""

    run: str
    service: str
    type: FaultType
    at: datetime
    magnitude: float
    held: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One fault type at one service. `run` is the execution that the state comes from.

    `magnitude` is what held, `fails_at` the smallest that failed and was not mended since, None if there is none.
    """

    type: FaultType
    weight: int
    state: CellState
    credit: float = 0.0
    magnitude: float = 0.0
    fails_at: float | None = None
    at: datetime | None = None
    run: str = ""
    without_verdict: int = 0


class _Source(TypedDict):
    at: datetime
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The score at one time."""

    at: datetime
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceScore:
    """The score of a service from 0 to 100. `coverage` is the share of the weights with a verdict, in percent."""

    service: str
    score: float
    coverage: float
    cells: tuple[Cell, ...]
    trend: tuple[Point, ...]

    @property
    def never(self) -> tuple[FaultType, ...]:
        """Return the fault types that were never tested, the heaviest first."""
        left = [cell for cell in self.cells if cell.state is CellState.NEVER]
        return tuple(cell.type for cell in sorted(left, key=lambda one: (-one.weight, one.type)))


def score(service: str, trials: Iterable[Trial], types: Iterable[FaultType], now: datetime) -> ServiceScore:
    """Return the score of a service now, without a trend. `types` are those that are possible there."""
    own: dict[FaultType, list[Trial]] = {}
    for trial in trials:
        if trial.service == service and trial.at <= now:
            own.setdefault(trial.type, []).append(trial)
    cells = tuple(_cell(kind, own.get(kind, []), now) for kind in sorted(types))
    whole = sum(cell.weight for cell in cells)
    known = sum(cell.weight for cell in cells if cell.state is not CellState.NEVER)
    return ServiceScore(
        service=service,
        score=100 * sum(cell.weight * cell.credit for cell in cells) / whole if whole else 0.0,
        coverage=100 * known / whole if whole else 0.0,
        cells=cells,
        trend=(),
    )


def _cell(kind: FaultType, trials: Sequence[Trial], now: datetime) -> Cell:
    judged = sorted((trial for trial in trials if trial.held is not None), key=lambda one: (one.at, one.run))
    empty = Cell(
        type=kind,
        weight=WEIGHTS[kind],
        state=CellState.FAILED if judged else CellState.NEVER,
        without_verdict=sum(trial.held is None for trial in trials),
    )
    standing, failing = _that_stand(judged)
    fails_at = min((one.magnitude for one in failing), default=None)
    if not standing:
        return replace(empty, fails_at=fails_at, **_source(judged[-1])) if judged else empty
    best = max(standing, key=lambda one: (one.magnitude * freshness(now - one.at), one.at, one.run))
    return replace(
        empty,
        state=CellState.STALE if now - best.at > HALF_LIFE else CellState.HELD,
        credit=best.magnitude * freshness(now - best.at),
        magnitude=best.magnitude,
        fails_at=fails_at,
        **_source(best),
    )


def _source(trial: Trial) -> _Source:
    return {"at": trial.at, "run": trial.run}


def _that_stand(judged: Sequence[Trial]) -> tuple[list[Trial], list[Trial]]:
    """Return what held and was not refuted since, and what failed and was not mended since. `judged` is by time.

    Refuted: a later failure was no harder. Mended: something at least as hard held later.
    """
    standing, failing = [], []
    most_held, least_failed = -1.0, 2.0
    for one in reversed(judged):
        if one.held:
            if one.magnitude < least_failed - ROUNDING:
                standing.append(one)
            most_held = max(most_held, one.magnitude)
        else:
            if one.magnitude > most_held + ROUNDING:
                failing.append(one)
            least_failed = min(least_failed, one.magnitude)
    return standing, failing


def freshness(age: timedelta) -> float:
    """Return what is left of a result of this age: a half after `HALF_LIFE`."""
    return float(2.0 ** (-max(age, timedelta(0)) / HALF_LIFE))


def with_trend(
    service: str, trials: Sequence[Trial], types: Sequence[FaultType], now: datetime, weeks: int
) -> ServiceScore:
    """Return the score with what it was at the end of each of the last weeks, the oldest first, now last."""
    own = [trial for trial in trials if trial.service == service]
    moments = [now - WEEK * back for back in range(weeks, -1, -1)]
    points = tuple(Point(at=moment, score=score(service, own, types, moment).score) for moment in moments)
    latest = score(service, trials, types, now)
    return ServiceScore(service=service, score=latest.score, coverage=latest.coverage, cells=latest.cells, trend=points)


def possible_types(service: str, used: AbstractSet[tuple[str, FaultType]]) -> tuple[FaultType, ...]:
    """Return the fault types that are possible at a service. `used` are those that were injected, by cluster.

    Local services and pods have what our own providers can do. What needs Litmus or Chaos Mesh counts in a cluster
    where such a fault was injected before: so the operator is there.
    """
    place = place_of(service)
    own = Provider.LOCAL if place.startswith("local/") else Provider.KUBERNETES
    cluster = cluster_of(service)
    return tuple(sorted(kind for kind in FaultType if not CAPABILITIES[own, kind].refused or (cluster, kind) in used))


def place_of(service: str) -> str:
    """Return the path without the service: local/shop, k8s/lab/shop."""
    return service.rpartition("/")[0]


def cluster_of(service: str) -> str:
    """Return the cluster or local environment of a service: k8s/lab, local/shop."""
    return "/".join(service.split("/", 2)[:2])
