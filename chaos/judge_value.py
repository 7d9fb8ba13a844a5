"""Judge an SLO of kind value: whether its readings became worse under the fault than they were right before.

Deviated means: the one-sided test says so, and the shift is larger than the tolerance, and larger than the noise of the
baseline explains. Each SLO gets its p here; `chaos.judge` takes Holm's decision over all of them.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.pairs import median_difference
from chaos.rank_sum import corrected_p, effective_length, inflation, lag_one, one_sided_p, smallest_p

NOISE_FACTOR = 2.5
"""A shift within so many standard errors of the baseline is noise, whatever the ranks say."""
MAD_TO_DEVIATION = 1.4826
"""What makes the median absolute deviation of a normal distribution its standard deviation."""
SHORTEST_FOR_NOISE_CHECK = 10
LARGEST_LOGARITHM = 700.0
"""Beyond it the exponential is larger than any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two windows of one SLO, compared. `worse_by` is a share: 0.25 is 25 percent worse.

    `reachable` is the smallest p that these windows could have had. `correlation` is None where they are too short.
    """

    p: float
    reachable: float
    worse_by: float
    noise: float
    correlation: float | None

    def large(self, tolerance: float) -> bool:
        """Say whether the shift is above the tolerance and above the noise."""
        return self.worse_by > max(tolerance, self.noise)


def compare(
    baseline: Sequence[float],
    fault: Sequence[float],
    *,
    higher_is_better: bool = False,
    correlation: float | None = None,
) -> Comparison:
    """Compare the readings of the fault window with those of the baseline.

    `correlation` is taken from both windows if it is not given. Raises: ValueError if a window is empty.
    """
    before, during = (fault, baseline) if higher_is_better else (baseline, fault)
    rho = lag_one([baseline, fault]) if correlation is None else correlation
    lengths = (len(baseline), len(fault))
    effective = [int(effective_length(length, rho or 0.0)) for length in lengths]
    return Comparison(
        p=corrected_p(one_sided_p(before, during), lengths, rho or 0.0),
        reachable=smallest_p(effective[0], effective[1]),
        worse_by=_shift(before, during),
        noise=_noise(baseline, lengths, rho or 0.0),
        correlation=rho,
    )


def too_noisy(baseline: Sequence[float], tolerance: float, alpha: float) -> bool | None:
    """Make the A/A check: say whether the halves of the baseline differ as if there had been a fault.

    None if the baseline is too short for it.
    """
    if len(baseline) < SHORTEST_FOR_NOISE_CHECK:
        return None
    half = len(baseline) // 2
    rho = lag_one([baseline[:half], baseline[half:]]) or 0.0  # within the halves: a step between them is no correlation
    for higher_is_better in (False, True):
        seen = compare(baseline[:half], baseline[half:], higher_is_better=higher_is_better, correlation=rho)
        if seen.p <= alpha / 2 and seen.large(tolerance):
            return True
    return False


def _shift(low: Sequence[float], high: Sequence[float]) -> float:
    """Return by which share `high` lies above `low`: the median of all pairs. Source: Hodges and Lehmann 1963.

    Readings above zero are compared as ratios, so that a doubling and a halving are equally far.
    """
    if min(*low, *high) > 0:
        shift = median_difference([math.log(a) for a in low], [math.log(b) for b in high])
        return math.exp(min(shift, LARGEST_LOGARITHM)) - 1
    shift = median_difference(low, high)
    middle = abs(statistics.median(low))
    if middle > 0:
        return shift / middle
    return math.copysign(math.inf, shift) if shift else 0.0


def _noise(baseline: Sequence[float], lengths: tuple[int, int], correlation: float) -> float:
    """Return the shift that the scatter of the baseline alone explains, as a share."""
    if min(baseline) > 0:
        logs = [math.log(value) for value in baseline]
        spread = _deviation(logs)
    else:
        middle = abs(statistics.median(baseline))
        spread = _deviation(baseline) / middle if middle else 0.0
    errors = math.sqrt(sum(inflation(correlation, length) / length for length in lengths))
    return math.expm1(min(NOISE_FACTOR * spread * errors, 50.0))


def _deviation(readings: Sequence[float]) -> float:
    middle = statistics.median(readings)
    return MAD_TO_DEVIATION * statistics.median(abs(reading - middle) for reading in readings)
