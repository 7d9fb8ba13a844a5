"""What a simulation found: figures of one trace under one setting."""

from dataclasses import dataclass
from datetime import timedelta

from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long runs waited from their submission to the start that ran to its end. Percentiles are nearest-rank."""

    runs: int
    mean: timedelta
    p50: timedelta
    p95: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Utilisation:
    """Share of the capacity that was held, 0..1, between the first arrival and the last end. `gpu`: None if no GPU."""

    cpu: float
    memory: float
    gpu: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What no schedule can beat, and what sets it: CPU, memory, GPUs, places, or the longest run."""

    makespan: timedelta
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """Runs that could never start, and why."""

    code: Code
    text: str
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Means over a short time that begins at `at`, counted from the first arrival. Shares are 0..1."""

    at: timedelta
    cpu: float
    memory: float
    queued: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationReport:
    """One trace under one strategy and profile. `scheduler.simulation.figures` says how each figure is computed.

    `backfilled` runs started while one that came earlier, or is more important under PRIORITY, still waited;
    `preemptions` is how often one was stopped for a more important one.
    """

    strategy: Strategy
    profile: str
    runs: int
    nodes: int
    waits: Waits
    by_priority: tuple[tuple[int, Waits], ...]
    by_team: tuple[tuple[str, Waits], ...]
    slowdown: float
    utilisation: Utilisation
    makespan: timedelta
    bound: Bound
    fairness: float
    fragmentation: float
    unplaced: tuple[Unplaced, ...]
    backfilled: int
    preemptions: int
    passes: int
    timeline: tuple[Point, ...]

    @property
    def stretch(self) -> float:
        """How many times the lower bound the makespan is; 1 if nothing ran."""
        return self.makespan / self.bound.makespan if self.bound.makespan else 1.0
