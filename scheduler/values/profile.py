"""How the terms of a score are weighed, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType

TERMS = ("free", "utilisation", "affinity", "spot", "balance")
CANDIDATES = (2, 5)
"""The fewest and the most nodes that a run may be given to choose from (D11)."""

Weights = tuple[float, float, float, float, float]


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


DEFAULT = Profile(name="default", weights=(0.4, 0.3, 0.2, 0.1, 0.1))
ORIGINAL = Profile(name="original", weights=(0.4, 0.3, 0.2, 0.1, 0.0), bounded=False)
"""The formula of the original design, for comparison: its first term has no bound."""
BEST_FIT = Profile(name="best-fit", weights=(0.8, 0.0, 0.2, 0.0, 0.0), packing=True)
SPREAD = Profile(name="spread", weights=(0.8, 0.0, 0.2, 0.0, 0.0))

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (DEFAULT, ORIGINAL, BEST_FIT, SPREAD)}
)


def named(name: str) -> Profile:
    """Return a profile by its name. Raises: ValueError that lists the names there are."""
    profile = PROFILES.get(name)
    if profile is None:
        raise ValueError(f"there is no profile {name!r}; choose one of {', '.join(PROFILES)}")
    return profile
