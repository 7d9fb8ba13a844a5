"""The figures of a simulation, each a function of what happened. Times are seconds from the beginning of the trace."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from scheduler.simulation.report import Bound, Point, Utilisation, Waits

Numbers: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]

POINTS = 500
"""Of a timeline, at most."""
MOMENTS = 4000
"""Beyond which fairness is taken of means over time."""
SHORT = 10.0
"""Seconds below which a run counts as this long in the slowdown."""
CPU, MEMORY, GPU = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What happened to the runs of a trace, in its order.

    `amounts`: shape (3, runs), CPU, memory and GPUs; `capacity`, shape (3,), that of the ready nodes, and `places` how
    many runs may run at once. `start` and `end` are those of the last attempt, not a number where there was none.
    A spell is one attempt: `held` names its run, `begin` and `until` its time.
    """

    submit: Numbers
    duration: Numbers
    amounts: Numbers
    start: Numbers
    end: Numbers
    held: Rows
    begin: Numbers
    until: Numbers
    capacity: Numbers
    places: float

    @property
    def placed(self) -> Rows:
        """The runs that ran."""
        return np.flatnonzero(np.isfinite(self.end))

    @property
    def first(self) -> float:
        """When the first run came."""
        return float(self.submit.min())

    @property
    def span(self) -> float:
        """The makespan: from the first arrival to the last end."""
        return float(self.end[self.placed].max()) - self.first if len(self.placed) else 0.0

    @property
    def dominant(self) -> Numbers:
        """The dominant share of each run: the largest part of the pool's CPU, memory or GPUs that it holds.

        Source: Ghodsi and others, Dominant Resource Fairness, NSDI 2011.
        """
        return np.asarray((self.amounts / np.maximum(self.capacity, 1.0)[:, None]).max(axis=0), dtype=np.float64)


def waits(happened: Happened, rows: Rows) -> Waits:
    """Return how long those of `rows` that ran have waited: end less duration less submission."""
    ran = rows[np.isfinite(happened.end[rows])]
    waited = happened.start[ran] - happened.submit[ran]
    if not len(ran):
        return Waits(runs=0, mean=timedelta(), p50=timedelta(), p95=timedelta(), longest=timedelta())
    return Waits(
        runs=len(ran),
        mean=timedelta(seconds=float(waited.mean())),
        p50=timedelta(seconds=nearest_rank(waited, 0.5)),
        p95=timedelta(seconds=nearest_rank(waited, 0.95)),
        longest=timedelta(seconds=float(waited.max())),
    )


def nearest_rank(values: Numbers, share: float) -> float:
    """Return a percentile that is one of the values. Source: Hyndman and Fan 1996, type 1."""
    return float(np.quantile(values, share, method="inverted_cdf"))


def slowdown(happened: Happened) -> float:
    """Return the mean bounded slowdown: (wait + duration) / duration, where less than `SHORT` counts as `SHORT`.

    Source: Feitelson and others, Theory and Practice in Parallel Job Scheduling, 1997. 1 if nothing ran.
    """
    ran = happened.placed
    if not len(ran):
        return 1.0
    whole = happened.end[ran] - happened.submit[ran]
    return float(np.maximum(whole / np.maximum(happened.duration[ran], SHORT), 1.0).mean())


def utilisation(happened: Happened) -> Utilisation:
    """Return what was held, lost attempts included, by what could have been between first arrival and last end."""
    held = (happened.amounts[:, happened.held] * (happened.until - happened.begin)).sum(axis=1)
    could = happened.capacity * happened.span
    share = np.divide(held, could, out=np.zeros(3), where=could > 0)
    return Utilisation(
        cpu=float(share[CPU]), memory=float(share[MEMORY]), gpu=float(share[GPU]) if happened.capacity[GPU] else None
    )


def lower_bound(happened: Happened) -> Bound:
    """Return a makespan that no schedule of the runs that ran can beat, counted from the first arrival.

    For each moment t: t, plus the work of all that come from t on by what can be done at once; the largest over all t
    and over CPU, memory, GPUs and places. And no run ends before its submission plus its duration.
    """
    ran = happened.placed
    since = happened.submit[ran] - happened.first
    bounds = [("the longest run", float((since + happened.duration[ran]).max(initial=0.0)))]
    amounts = np.vstack((happened.amounts, np.ones(len(happened.submit))))[:, ran]
    capacity = (*happened.capacity, happened.places)
    for name, amount, can in zip(("CPU", "memory", "GPUs", "places"), amounts, capacity, strict=True):
        if can > 0:
            work = np.cumsum((happened.duration[ran] * amount / can)[::-1])[::-1]
            bounds.append((name, float((since + work).max(initial=0.0))))
    because, seconds = max(bounds, key=lambda bound: bound[1])
    return Bound(makespan=timedelta(seconds=seconds), because=because)


def fairness(happened: Happened, owners: Sequence[Rows]) -> float:
    """Return Jain's index over teams: 1 if all got the same part of what they could claim, 1/n if one of n got all.

    At each moment a team asks for the dominant shares of all its runs that are there, waiting or running. What it can
    claim of that is its part when the pool is divided max-min fairly: all get equally much, and what one does not ask
    for goes to the others. So a team that sends a hundred runs at once claims no more than others for it. Its figure is
    what its runs held, as far as it could claim it, by what it could claim. Runs that could never start count in
    neither. Above `MOMENTS` events, means over as many stretches take their place.
    Sources: Jain, Chiu and Hawe, A Quantitative Measure of Fairness, DEC-TR-301, 1984; Ghodsi and others, NSDI 2011.
    """
    edges = _moments(happened)
    teams = [rows for rows in (rows[np.isfinite(happened.end[rows])] for rows in owners) if len(rows)]
    if len(edges) < 2 or not teams:  # noqa: PLR2004  no time between them
        return 1.0
    claim = max_min(np.stack([_asked(happened, edges, rows) for rows in teams]))
    got = np.minimum(np.stack([_held(happened, edges, rows) for rows in teams]), claim)
    lengths = np.diff(edges)
    claimed, had = (claim * lengths).sum(axis=1), (got * lengths).sum(axis=1)
    parts = had[claimed > 0] / claimed[claimed > 0]
    return float(parts.sum() ** 2 / (len(parts) * (parts**2).sum())) if parts.any() else 1.0


def max_min(asked: Numbers) -> Numbers:
    """Divide 1 among those that ask, equally but for what some do not want. Shape of both: (teams, moments)."""
    ordered = np.sort(asked, axis=0)
    before = np.cumsum(ordered, axis=0) - ordered
    left = np.arange(len(asked), 0, -1)[:, None]
    equal = (1 - before) / left
    over = ordered > equal
    level = np.where(over.any(axis=0), np.take_along_axis(equal, over.argmax(axis=0)[None], axis=0)[0], np.inf)
    return np.asarray(np.minimum(asked, level), dtype=np.float64)


def _moments(happened: Happened) -> Numbers:
    """Return when anything came, started or ended; or as many equal stretches."""
    ran = happened.placed
    moments = np.unique(np.concatenate((happened.submit[ran], happened.begin, happened.until)))
    return moments if len(moments) <= MOMENTS else np.linspace(moments[0], moments[-1], MOMENTS)


def _asked(happened: Happened, edges: Numbers, rows: Rows) -> Numbers:
    return _means(edges, happened.submit[rows], happened.end[rows], happened.dominant[rows])


def _held(happened: Happened, edges: Numbers, rows: Rows) -> Numbers:
    spells = np.isin(happened.held, rows)
    weight = happened.dominant[happened.held[spells]]
    return _means(edges, happened.begin[spells], happened.until[spells], weight)


def timeline(happened: Happened) -> tuple[Point, ...]:
    """Return utilisation and queue length over time, as means over up to `POINTS` equal stretches."""
    if happened.span <= 0:
        return ()
    edges = np.linspace(happened.first, happened.first + happened.span, POINTS + 1)
    cpu, memory = (
        _means(edges, happened.begin, happened.until, happened.amounts[kind, happened.held] / max(can, 1.0))
        for kind, can in ((CPU, happened.capacity[CPU]), (MEMORY, happened.capacity[MEMORY]))
    )
    begin, until = _waiting(happened, float(edges[-1]))
    queued = _means(edges, begin, until, np.ones(len(begin)))
    ats = (timedelta(seconds=float(edge - edges[0])) for edge in edges)
    return tuple(
        Point(at=at, cpu=round(float(c), 6), memory=round(float(m), 6), queued=round(float(q), 3))
        for at, c, m, q in zip(ats, cpu, memory, queued, strict=False)
    )


def _waiting(happened: Happened, last: float) -> tuple[Numbers, Numbers]:
    """Return from when until when runs waited: before each attempt, and to the end those that never started."""
    order = np.lexsort((happened.begin, happened.held))
    row, begin, until = happened.held[order], happened.begin[order], happened.until[order]
    again = np.flatnonzero(row[1:] == row[:-1]) + 1
    since = happened.submit[row]
    since[again] = until[again - 1]
    never = happened.submit[~np.isfinite(happened.end)]
    return np.concatenate((since, never)), np.concatenate((begin, np.full(len(never), max(last, never.max(initial=0)))))


def _means(edges: Numbers, begin: Numbers, until: Numbers, height: Numbers) -> Numbers:
    """Return the mean of a sum of blocks, each of some height from `begin` to `until`, between each two edges."""
    times = np.concatenate((begin, until))
    order = np.argsort(times, kind="stable")
    times = times[order]
    level = np.cumsum(np.concatenate((height, -height))[order])
    area = np.concatenate(([0.0], np.cumsum(level[:-1] * np.diff(times))))
    means = np.diff(np.interp(edges, times, area)) / np.diff(edges)
    return np.asarray(np.maximum(means, 0.0), dtype=np.float64)
