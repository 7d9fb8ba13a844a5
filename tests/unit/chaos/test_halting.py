"""An experiment is halted by k of the last m samples over a limit; missing data counts as over."""

from datetime import timedelta

import pytest
from harness.chaos_readings import second
from hypothesis import given
from hypothesis import strategies as st

from chaos.halting import Look, Watch, is_over
from chaos.hypothesis import HaltCondition

ABOVE = HaltCondition(slo="latency", above=5.0, failures=2, of=3)


def watched(values: list[float | None], condition: HaltCondition = ABOVE) -> Watch:
    watch = Watch(condition=condition, interval=timedelta(seconds=1), since=second(0))
    for number, value in enumerate(values):
        watch = watch.look(Look(at=second(number + 1), value=value))
    return watch


@pytest.mark.parametrize(
    ("values", "halts_at"),
    [
        ([9, 9], 2),
        ([9, 1, 9], 3),
        ([9, 1, 1, 9, 1, 1, 9], None),
        ([5, 5, 5], None),
        ([None, None], 2),
        ([1, None, float("nan")], 3),
        ([], None),
    ],
)
def test_k_of_m_samples_halt(values: list[float | None], halts_at: int | None) -> None:
    halt = watched(values).halt

    assert (halt.at if halt else None) == (second(halts_at) if halts_at else None)


@given(st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=30))
def test_it_halts_exactly_when_some_window_has_enough_over(values: list[float | None]) -> None:
    over = [is_over(ABOVE, value) for value in values]
    enough = any(sum(over[max(0, end - 3) : end]) >= 2 for end in range(1, len(over) + 1))

    assert (watched(values).halt is not None) == enough


def test_silence_halts_without_any_look() -> None:
    watch = watched([1])

    assert watch.tick(second(2.5)).halt is None
    assert watch.tick(second(4)).halt is not None
    assert watched([]).tick(second(30)).halt is not None


def test_a_halt_stays_and_late_looks_change_nothing() -> None:
    halted = watched([9, 9])

    assert halted.look(Look(at=second(9), value=1)) is halted
    early = watched([9])
    assert early.look(Look(at=second(1), value=9)) is early


def test_a_limit_below_and_a_health_check() -> None:
    below = HaltCondition(slo="throughput", below=10.0, failures=1)
    health = HaltCondition(health_check="orders", failures=2)

    assert watched([9], below).halt is not None
    assert watched([11], below).halt is None
    assert watched([1, 0, 1], health).halt is None
    assert watched([0, 1, 1], health).halt is not None
    halt = watched([1, None], health).halt
    assert halt is not None
    assert halt.sentence == "2 of the last 2 samples of orders were misses (1 of them missing)"
