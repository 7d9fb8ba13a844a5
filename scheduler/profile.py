"""How the terms of a score are weighed."""

from dataclasses import dataclass

TERMS = ("free", "utilisation", "affinity", "spot", "balance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Weights of the terms, in the order of `TERMS`. A bounded profile's total is divided by their sum."""

    name: str
    weights: tuple[float, float, float, float, float]
    bounded: bool = True


DEFAULT = Profile(name="default", weights=(0.4, 0.3, 0.2, 0.1, 0.1))
ORIGINAL = Profile(name="original", weights=(0.4, 0.3, 0.2, 0.1, 0.0), bounded=False)
"""The formula of the original design, for comparison: its first term has no bound."""
