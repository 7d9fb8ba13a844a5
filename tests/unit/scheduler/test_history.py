"""How long the next one takes, from what earlier ones took."""

from itertools import pairwise
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.forecast.history import LEAST, History, history, known

durations = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(durations, chances, st.floats(min_value=0, max_value=2e6))
def test_a_run_takes_longer_than_it_has_taken(seconds: list[float], chance: float, elapsed: float) -> None:
    assert history(seconds).draw(chance, elapsed) >= elapsed


@given(durations, st.floats(min_value=0, max_value=2e6))
def test_a_greater_chance_never_takes_less(seconds: list[float], elapsed: float) -> None:
    drawn = [history(seconds).draw(chance / 20, elapsed) for chance in range(20)]

    assert all(a <= b * (1 + 1e-9) + 1e-9 for a, b in pairwise(drawn))


def test_each_gap_between_durations_is_as_likely() -> None:
    seen = history([10, 20, 40])
    dice = Random(1)
    drawn = [seen.draw(dice.uniform(0, 1)) for _ in range(8000)]

    shares = [mean(low <= d < high for d in drawn) for low, high in pairwise(seen.bounds)]

    assert seen.bounds == (5, 10, 20, 40, 60)  # those above the median exceed it by 10 on average
    assert shares == pytest.approx([0.25] * 4, abs=0.02)


@pytest.mark.parametrize(
    ("elapsed", "least", "most"), [(0, 5, 60), (15, 15, 60), (39, 39, 60), (40, 40, 60), (400, 400, 600)]
)
def test_of_a_run_that_runs_only_longer_durations_count(elapsed: float, least: float, most: float) -> None:
    seen = history([10, 20, 40])

    assert seen.draw(0.0, elapsed) == pytest.approx(least)
    assert seen.draw(1.0, elapsed) == pytest.approx(most)


def test_half_of_what_is_left_lies_below_the_even_chance() -> None:
    seen = history([10, 20, 30, 40, 50])

    assert seen.draw(0.5) == pytest.approx(30)
    assert seen.draw(0.5, 30) == pytest.approx(45)


def test_the_next_duration_is_below_a_quantile_as_often_as_that_says() -> None:
    """Of any distribution, and from very few durations: the answer is wide where little is known."""
    dice = Random(2)
    below = [
        dice.lognormvariate(0, 1) <= history([dice.lognormvariate(0, 1) for _ in range(9)]).draw(0.9)
        for _ in range(4000)
    ]

    assert mean(below) == pytest.approx(0.9, abs=0.02)


def test_too_few_durations_are_no_history_and_the_next_level_answers() -> None:
    few, enough = [1.0] * (LEAST - 1), [2.0] * LEAST

    assert known([few, [], enough]) == history(enough)
    assert known([few, []]) is None


def test_a_clock_that_went_back_makes_no_negative_duration() -> None:
    assert history([-3.0]) == History((0.0, 0.0, 0.0), 0.0)


def test_no_duration_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="one duration at least"):
        history([])
