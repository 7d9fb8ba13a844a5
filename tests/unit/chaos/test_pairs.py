"""The median of all differences between two windows."""

import random
import statistics

import pytest

from chaos import pairs
from chaos.pairs import median_difference


@pytest.mark.parametrize("seed", range(40))
def test_counting_finds_what_listing_finds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    low, high = (
        [chance.choice([chance.gauss(0, 1), round(chance.gauss(5, 2)), 1.0]) for _ in range(chance.randint(1, 12))]
        for _ in range(2)
    )
    listed = median_difference(low, high)
    monkeypatch.setattr(pairs, "MOST_LISTED", 0)

    assert median_difference(low, high) == pytest.approx(listed, rel=1e-12, abs=1e-12)
    assert listed == statistics.median(b - a for a in low for b in high)


def test_no_change_is_exactly_none_in_long_windows() -> None:
    assert median_difference([0.0] * 1000, [0.0] * 1000) == 0.0
    assert median_difference([7.0] * 1000, [7.0] * 1000) == 0.0


def test_two_hours_of_readings_each_second_are_compared() -> None:
    """There are 26 million pairs, which would take a gigabyte as a list."""
    chance = random.Random(1)
    low = [chance.gauss(100, 5) for _ in range(7200)]
    high = [chance.gauss(125, 5) for _ in range(3600)]

    assert median_difference(low, high) == pytest.approx(25, abs=0.5)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="without readings"):
        median_difference([], [1.0])
