"""Who will come, from who came: how many, how soon, and how sure that is."""

from datetime import timedelta
from itertools import takewhile
from random import Random
from statistics import mean, pvariance
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.forecast.arrivals import (
    DRIFT,
    HALF_LIFE,
    NOBODY,
    PIECES,
    WINDOW,
    Arrivals,
    Newcomer,
    hourly,
    learn,
    overtakes,
)
from scheduler.values.pool import Strategy

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ages = st.lists(st.floats(0, 70), max_size=40)


def lately(make: SimpleNamespace, *minutes: float, window: timedelta = WINDOW, priority: int = 5) -> Arrivals:
    """Runs that came so many minutes ago."""
    runs = [
        make.queued(number, enqueued_at=make.NOON - ago * MINUTE, priority=priority)
        for number, ago in enumerate(minutes)
    ]
    return learn((Newcomer(run=run) for run in runs), make.NOON, window)


def evenly(make: SimpleNamespace, number: int) -> Arrivals:
    return lately(make, *[(place + 0.5) * 60 / number for place in range(number)])


def drawn(make: SimpleNamespace, arrivals: Arrivals, seed: int, pace: float = 1.0) -> list[float]:
    """When runs come in one future of an hour, in minutes."""
    coming = ((at - make.NOON) / MINUTE for at, _ in arrivals.come(make.NOON, pace, Random(seed)))
    return list(takewhile(lambda at: at < 60, coming))


def test_as_many_come_as_came(make: SimpleNamespace) -> None:
    arrivals = evenly(make, 120)

    assert arrivals.rate() == pytest.approx(2 / 60)
    assert mean(len(drawn(make, arrivals, seed)) for seed in range(100)) == pytest.approx(120, rel=0.05)


def test_the_newer_count_more(make: SimpleNamespace) -> None:
    """A piece is a minute here, and half as much worth after twenty of them."""
    assert HALF_LIFE == 20
    assert lately(make, 0.5).rate() == pytest.approx(2 * lately(make, 20.5).rate())


def test_a_faster_pace_brings_more(make: SimpleNamespace) -> None:
    arrivals = evenly(make, 60)

    slow, fast = drawn(make, arrivals, 1), drawn(make, arrivals, 1, pace=3.0)

    assert fast[: len(slow)] == pytest.approx([at / 3 for at in slow])


def test_what_came_together_comes_together(make: SimpleNamespace) -> None:
    """Thirty tests of one suite, and nobody else: either none come or all of them."""
    arrivals = lately(make, *[7.5] * 30)

    for seed in range(30):
        times = drawn(make, arrivals, seed)
        assert len(times) % 30 == 0
        assert len(set(times)) == len(times) / 30


def test_few_that_came_tell_little(make: SimpleNamespace) -> None:
    seen = {number: evenly(make, number) for number in (1, 10, 3600)}
    paces = {number: [arrivals.pace(Random(seed)) for seed in range(2000)] for number, arrivals in seen.items()}

    for number, found in paces.items():
        assert mean(found) == pytest.approx(1, abs=0.1), number
    assert pvariance(paces[3600]) == pytest.approx(DRIFT, rel=0.2)
    assert pvariance(paces[1]) > pvariance(paces[10]) > pvariance(paces[3600])


def test_who_rises_and_falls_for_long_is_trusted_less(make: SimpleNamespace) -> None:
    """As many in the hour: spread evenly, or all in every second ten minutes."""
    steady = evenly(make, 300)
    wavy = lately(make, *[at for at in (place * 0.1 for place in range(600)) if at % 20 < 10])

    def spread(arrivals: Arrivals) -> float:
        return pvariance([arrivals.pace(Random(seed)) for seed in range(500)])

    assert spread(wavy) > 10 * spread(steady)


def test_nobody_comes_where_nobody_came(make: SimpleNamespace) -> None:
    for none in (NOBODY, lately(make), lately(make, 61, -1)):
        assert not none
        assert none.rate() == 0
        assert none.pace(Random(1)) > 0
        assert not list(none.come(make.NOON, 1.0, Random(1)))


def test_a_shorter_window_has_shorter_pieces(make: SimpleNamespace) -> None:
    """Where more came than is looked at, six minutes tell as much as an hour."""
    arrivals = lately(make, *[place / 10 for place in range(60)], window=6 * MINUTE)

    assert arrivals.seconds == 6
    assert arrivals.rate() == pytest.approx(1 / 6, rel=0.02)


def test_those_that_are_not_wanted_are_left_out(make: SimpleNamespace) -> None:
    arrivals = learn(
        (Newcomer(run=make.queued(number, priority=number % 3, minutes=5 + number)) for number in range(9)), make.NOON
    )
    only = arrivals.only(lambda run: run.priority == 0)

    assert {newcomer.run.priority for newcomer in only.all()} == {0}
    assert len(list(only.all())) == 3


@pytest.mark.parametrize(
    ("strategy", "before"),
    [
        (Strategy.PRIORITY, {4}),
        (Strategy.RESOURCE_AWARE, {4, 5}),
        (Strategy.FAIR_SHARE, {4, 5, 6}),
        (Strategy.FIFO, set()),
    ],
)
def test_who_may_start_before_one_that_waits(strategy: Strategy, before: set[int]) -> None:
    assert {priority for priority in (4, 5, 6) if overtakes(priority, 5, strategy)} == before


def test_the_rate_that_is_told_is_the_rate_that_is_drawn_from(make: SimpleNamespace) -> None:
    minutes = [1.0, 4.0, 4.5, 33.0, 59.9]

    told = hourly([make.NOON - ago * MINUTE for ago in (*minutes, 60.0, -1.0)], make.NOON)

    assert told == pytest.approx(3600 * lately(make, *minutes).rate())


@given(minutes=ages, seed=st.integers(0, 99), pace=st.floats(0.1, 10))
def test_newcomers_come_in_order_each_as_one_that_came(
    make: SimpleNamespace, minutes: list[float], seed: int, pace: float
) -> None:
    arrivals = lately(make, *minutes)
    coming = arrivals.come(make.NOON, pace, Random(seed))
    found = [next(coming) for _ in range(20)] if arrivals else []

    times = [at for at, _ in found]
    assert times == sorted(times)
    assert all(at >= make.NOON for at in times)
    assert {newcomer.run.seq for _, newcomer in found} <= {newcomer.run.seq for newcomer in arrivals.all()}
    assert len(list(arrivals.all())) == sum(0 <= ago < 60 for ago in minutes)
    assert len(arrivals.pieces) == PIECES
