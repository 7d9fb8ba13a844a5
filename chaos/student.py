"""The upper tail of Student's t distribution, without a library that takes a second to import.

Source: the continued fraction of the incomplete beta function, by the method of Lentz (NIST DLMF 8.17.22).
"""

import math

MOST_STEPS = 300
PRECISION = 1e-14
TINY = 1e-300


def upper_tail(score: float, freedom: float) -> float:
    """Return the probability of a value above `score`, with `freedom` degrees of freedom above 0."""
    if score < 0:
        return 1 - upper_tail(-score, freedom)
    return 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + score * score))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function of x, from 0 to 1."""
    if x in {0.0, 1.0}:
        return x
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x > (a + 1) / (a + b + 2):
        return 1 - math.exp(front) * _fraction(b, a, 1 - x) / b
    return math.exp(front) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    result = d
    for step in range(1, MOST_STEPS):
        change = 1.0
        for term in _terms(a, b, x, step):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            change = c * d
            result *= change
        if abs(change - 1) < PRECISION:
            break
    return result


def _terms(a: float, b: float, x: float, step: int) -> tuple[float, float]:
    even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
    odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
    return even, odd


def _away_from_zero(number: float) -> float:
    return number if abs(number) > TINY else TINY
