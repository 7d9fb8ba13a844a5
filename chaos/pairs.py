"""The median of all differences between the readings of two windows. Source: Hodges and Lehmann 1963.

Two hours of readings each second have 26 million pairs: they are counted there, and never listed.
"""

import statistics
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
MOST_LISTED = 100_000


def median_difference(low: Sequence[float], high: Sequence[float]) -> float:
    """Return the median of `b - a` over each `a` of `low` and `b` of `high`. Raises: ValueError if one is empty."""
    if not low or not high:
        raise ValueError("a window without readings cannot be compared")
    pairs = len(low) * len(high)
    if pairs <= MOST_LISTED:
        return statistics.median(b - a for a in low for b in high)
    lower, upper = np.sort(np.array(low, dtype=np.float64)), np.sort(np.array(high, dtype=np.float64))
    middle = _smallest(lower, upper, (pairs + 1) // 2)
    return middle if pairs % 2 else (middle + _smallest(lower, upper, pairs // 2 + 1)) / 2


def _smallest(low: Floats, high: Floats, rank: int) -> float:
    """Return the difference of this rank, 1 for the smallest, by bisection on the number of those below a bound."""
    below, above = float(high[0] - low[-1]), float(high[-1] - low[0])
    while below < (bound := below + (above - below) / 2) < above:
        if int(np.searchsorted(high, low + bound, side="right").sum()) >= rank:
            above = bound
        else:
            below = bound
    return _nearest(low, high, above)


def _nearest(low: Floats, high: Floats, wanted: float) -> float:
    """Return the difference that is nearest to `wanted`, which is one of them but for its last digits."""
    after = np.minimum(np.searchsorted(high, low + wanted), len(high) - 1)
    found = np.concatenate([high[after] - low, high[np.maximum(after - 1, 0)] - low])
    return float(found[np.abs(found - wanted).argmin()])
