"""How much of a pool is free and yet of no use to those that wait."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from scheduler.admission.state import State
from scheduler.placement.node_filter import fits
from scheduler.values.node_arrays import vector
from scheduler.values.run import Queued, Shape

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""The zero of virtual time."""
SAMPLES = 500
"""How often fragmentation is looked at between the first arrival and the last."""
SMALL = 2000
"""A trace with no more runs is looked at after each pass."""
CPU = 0


class Fragments:
    """The share of the pool's CPU that is free on nodes into which the average waiting run does not fit.

    Looked at after passes while runs wait; each look counts until the next. Runs that fit into no empty node do not
    count. Source: Weng and others, Beware of Fragmentation, USENIX ATC 2023: the mean over the waiting runs of what
    they cannot use; there of the free GPUs, here of the CPU, and by the pool's, so that it adds up with utilisation.
    """

    def __init__(self, runs: Sequence[Queued], state: State) -> None:
        self.state = state
        self.coming = list(reversed(runs))
        self.waiting: Counter[Shape] = Counter()
        self.fits_empty: dict[Shape, bool] = {}
        self.samples: list[tuple[float, float | None]] = []
        span = (runs[-1].enqueued_at - runs[0].enqueued_at).total_seconds()
        self.step = 0.0 if len(runs) <= SMALL else max(span, 1.0) / SAMPLES
        self.due = 0.0

    def waits(self, run: Queued, number: int) -> None:
        """Count a run among those that wait, or out with -1."""
        self.waiting[run.shape] += number

    def look(self, at: datetime) -> None:
        """Take a sample, if it is time for one."""
        now = seconds(at)
        if now < self.due:
            return
        while self.coming and self.coming[-1].enqueued_at <= at:
            self.waits(self.coming.pop(), 1)
        self.due = now + self.step
        self.samples.append((now, self._stranded()))

    def mean(self, until: float) -> float:
        """Return the mean of the samples, each for as long as it counts; 0 if no run ever waited."""
        total = weighted = 0.0
        for (at, share), (after, _) in pairwise([*self.samples, (until, None)]):
            if share is not None:
                total += after - at
                weighted += (after - at) * share
        return weighted / total if total else 0.0

    def _stranded(self) -> float | None:
        """Return the share of the pool's CPU that the average waiting run cannot use; None if no run waits."""
        waiting = [(shape, number) for shape, number in self.waiting.items() if number > 0 and self.could_start(shape)]
        total = int(self.state.node_usage.capacity[CPU].sum())
        if not waiting or not total:
            return None
        free = self.state.node_usage.free
        cpu = np.maximum(free[CPU], 0)
        lost = sum(number * int(cpu[~fits(free, vector(shape.resources))].sum()) for shape, number in waiting)
        return lost / (total * sum(number for _, number in waiting))

    def could_start(self, shape: Shape) -> bool:
        """Return whether a run of this shape would fit into an empty node."""
        known = self.fits_empty.get(shape)
        if known is None:
            known = bool(fits(self.state.node_usage.capacity, vector(shape.resources)).any())
            self.fits_empty[shape] = known
        return known


def seconds(at: datetime) -> float:
    """Return a moment of virtual time."""
    return (at - BEGINNING).total_seconds()
