"""The settings of a pool, whose limits hold in it, and how the terms of a node's score are weighed there, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import isfinite
from types import MappingProxyType
from uuid import UUID

from model.resources import Resources

NOTHING = Resources()
TERMS = ("free", "utilisation", "affinity", "spot", "balance")
CANDIDATES = (2, 5)
"""The fewest and the most nodes that a run may be given to choose from (D11)."""

Weights = tuple[float, float, float, float, float]


class Strategy(StrEnum):
    """In which order runs are looked at, and what a run that must wait means for those behind it."""

    FIFO = "FIFO"
    PRIORITY = "PRIORITY"
    FAIR_SHARE = "FAIR_SHARE"
    RESOURCE_AWARE = "RESOURCE_AWARE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """How much may be in use at once. None: no limit."""

    runs: int | None = None
    cpu_milli: int | None = None
    memory_bytes: int | None = None
    ephemeral_bytes: int | None = None
    gpu: int | None = None


NO_CEILING = Ceiling()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A user or a team: its limits over all pools, and what it runs in the other pools.

    `weight` and `usage` matter to FAIR_SHARE: `usage` is the decayed average of its dominant share of this pool, 0..1.
    """

    name: str
    ceiling: Ceiling = NO_CEILING
    elsewhere_runs: int = 0
    elsewhere: Resources = NOTHING
    weight: float = 1.0
    usage: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Weights of the terms, in the order of `TERMS`. A bounded profile's total is divided by their sum.

    `packing` counts what is used of the scarcest resource instead of what is free: the fullest node that fits is best.
    Raises: ValueError for a weight below zero, or none above it.
    """

    name: str
    weights: Weights
    bounded: bool = True
    packing: bool = False

    def __post_init__(self) -> None:
        if not all(isfinite(weight) and weight >= 0 for weight in self.weights) or not any(self.weights):
            raise ValueError(f"profile {self.name}: weights must be 0 or more, and one above 0, not {self.weights}")


DEFAULT_PROFILE = Profile(name="default", weights=(0.4, 0.3, 0.2, 0.1, 0.1))
ORIGINAL = Profile(name="original", weights=(0.4, 0.3, 0.2, 0.1, 0.0), bounded=False)
"""The formula of the original design, for comparison: its first term has no bound."""
BEST_FIT = Profile(name="best-fit", weights=(0.8, 0.0, 0.2, 0.0, 0.0), packing=True)
SPREAD = Profile(name="spread", weights=(0.8, 0.0, 0.2, 0.0, 0.0))

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (DEFAULT_PROFILE, ORIGINAL, BEST_FIT, SPREAD)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """The settings of a pool (SchedulerConfig of the original design). `seed` decides between equal nodes.

    `ceiling.runs` is maxConcurrentTests. `backfill_after` (all but RESOURCE_AWARE): once the first that is blocked has
    waited for so long, a later run may start only where it does not delay that one. `half_life` is that of usage
    (FAIR_SHARE), `interval` the longest between two passes while something happens, by which the entry penalty is
    measured. With `preemption` a more important run may stop restartable ones whose test has run for `min_runtime`.
    """

    ceiling: Ceiling = Ceiling(runs=100)
    ageing_limit: timedelta = timedelta(hours=1)
    strategy: Strategy = Strategy.PRIORITY
    backfill_after: timedelta = timedelta(seconds=30)
    half_life: timedelta = timedelta(hours=1)
    interval: timedelta = timedelta(seconds=1)
    preemption: bool = False
    min_runtime: timedelta = timedelta(minutes=1)
    default_selector: tuple[tuple[str, str], ...] = ()
    spot: bool = False
    target_utilisation: float = 0.7
    profile: Profile = DEFAULT_PROFILE
    candidates: int = 5
    seed: int = 0


NO_OWNERS: Mapping[UUID, Owner] = MappingProxyType({})


def profile_named(name: str) -> Profile:
    """Return a profile by its name. Raises: ValueError that lists the names there are."""
    profile = PROFILES.get(name)
    if profile is None:
        raise ValueError(f"there is no profile {name!r}; choose one of {', '.join(PROFILES)}")
    return profile
