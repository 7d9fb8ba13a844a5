"""The one-sided Mann-Whitney test, exact for short windows and with ties, and corrected for autocorrelation.

Sources: Mann and Whitney 1947 (the test); Streitberg and Röhmel 1986 (the exact distribution with ties, by shifts);
Bartlett 1946 (the variance of a mean of autocorrelated readings); docs/experiments.md has the formulas.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from chaos.student import upper_tail

Floats: TypeAlias = NDArray[np.float64]
LONGEST_EXACT = 60
"""Windows with more readings together use the normal distribution, which is as good there."""
SHORTEST_FOR_CORRELATION = 8
"""Fewer readings in a window say nothing about their autocorrelation."""
LARGEST_CORRELATION = 0.9


def smallest_p(first: int, second: int) -> float:
    """Return the smallest p that windows of these lengths can reach: 1 over the number of ways to choose one."""
    return 1 / math.comb(first + second, second) if first and second else 1.0


def one_sided_p(baseline: Sequence[float], fault: Sequence[float]) -> float:
    """Return the probability that the ranks of `fault` are as high as these, or higher, if nothing changed.

    Raises: ValueError if a window is empty.
    """
    if not baseline or not fault:
        raise ValueError("a window without readings cannot be compared")
    ranks = _doubled_midranks([*baseline, *fault])
    observed = sum(ranks[len(baseline) :])
    if len(ranks) > LONGEST_EXACT:
        return _normal_p(ranks, len(fault), observed)
    counts = _subset_sums(tuple(sorted(ranks)), len(fault))
    return float(counts[observed:].sum() / counts.sum())


def corrected_p(p: float, lengths: tuple[int, int], correlation: float) -> float:
    """Return `p` for readings with this lag-1 correlation.

    The normal score of p is divided by the root of the variance inflation, and read in Student's distribution with the
    degrees of freedom that remain.
    """
    if correlation <= 0 or p >= 0.5:  # noqa: PLR2004  the middle of the distribution: no evidence either way
        return p
    score = NormalDist().inv_cdf(1 - max(p, 1e-15)) / math.sqrt(inflation(correlation, sum(lengths) / 2))
    kept = [effective_length(length, correlation) for length in lengths]
    return max(p, upper_tail(score, max(1.0, sum(kept) - 2)), smallest_p(int(kept[0]), int(kept[1])))


def inflation(correlation: float, length: float) -> float:
    """Return by how much lag-1 correlation multiplies the variance of a mean of `length` readings."""
    lags = range(1, max(1, int(length)))
    return 1 + 2 * sum((1 - lag / length) * correlation**lag for lag in lags)


def effective_length(length: int, correlation: float) -> float:
    """Return how many independent readings say as much as `length` correlated ones."""
    return max(1.0, length / inflation(correlation, length))


def lag_one(windows: Sequence[Sequence[float]]) -> float | None:
    """Return the lag-1 correlation within the windows, from their ranks, without the bias that short windows have.

    None if the windows are too short to say. Never negative: a negative one would make p smaller.
    Source: Marriott and Pope 1954 (bias: -(1 + 4 rho) / n).
    """
    long_enough = [_centred_ranks(window) for window in windows if len(window) >= SHORTEST_FOR_CORRELATION]
    spread = sum(float(ranks @ ranks) for ranks in long_enough)
    if not long_enough:
        return None
    if spread == 0:
        return 0.0
    raw = sum(float(ranks[:-1] @ ranks[1:]) for ranks in long_enough) / spread
    length = sum(map(len, long_enough)) / len(long_enough)
    return min(LARGEST_CORRELATION, max(0.0, (raw + 1 / length) / (1 - 4 / length)))


def pooled(correlations: Sequence[float | None]) -> list[float | None]:
    """Return each estimate moved half of the way to the mean of all.

    The SLOs of an experiment are read at the same moments, and the estimate of one alone scatters widely.
    """
    known = [correlation for correlation in correlations if correlation is not None]
    mean = sum(known) / len(known) if known else 0.0
    return [None if correlation is None else (correlation + mean) / 2 for correlation in correlations]


def holm(ps: Sequence[float], alpha: float) -> list[bool]:
    """Return which of several hypotheses are rejected, with at most `alpha` false ones in all. Source: Holm 1979."""
    rejected = [False] * len(ps)
    for step, position in enumerate(sorted(range(len(ps)), key=lambda index: (ps[index], index))):
        if ps[position] > alpha / (len(ps) - step):
            break
        rejected[position] = True
    return rejected


def _centred_ranks(window: Sequence[float]) -> Floats:
    ranks: Floats = np.array(_doubled_midranks(window), dtype=np.float64)
    return ranks - float(ranks.mean())


def _doubled_midranks(readings: Sequence[float]) -> list[int]:
    """Return twice the rank of each reading; equal readings share the middle one. Twice, so that they are whole."""
    order = sorted(range(len(readings)), key=lambda index: readings[index])
    ranks = [0] * len(readings)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and readings[order[end + 1]] == readings[order[start]]:
            end += 1
        for index in order[start : end + 1]:
            ranks[index] = start + end + 2
        start = end + 1
    return ranks


@lru_cache(maxsize=256)
def _subset_sums(ranks: tuple[int, ...], size: int) -> Floats:
    """Return how many subsets of that size have each sum, as floats (they are exact up to 2**53)."""
    counts: Floats = np.zeros((size + 1, sum(ranks) + 1))
    counts[0, 0] = 1
    for rank in ranks:
        for chosen in range(size, 0, -1):
            counts[chosen, rank:] += counts[chosen - 1, : counts.shape[1] - rank]
    chosen_all: Floats = counts[size]
    return chosen_all


def _normal_p(ranks: Sequence[int], size: int, observed: int) -> float:
    """Return p by the normal distribution, with the correction for ties and for continuity."""
    total = len(ranks)
    values = np.array(ranks, dtype=float)
    mean = size * values.mean()
    variance = size * (total - size) / (total * (total - 1)) * float(((values - values.mean()) ** 2).sum())
    if variance == 0:
        return 1.0
    return 1 - NormalDist().cdf((observed - mean - 1) / math.sqrt(variance))
