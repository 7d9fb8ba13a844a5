"""Figures of a running attempt: what it may still print, and the CPU that it uses."""

import pytest

from cluster.backend import LOG_LIMIT
from cluster.local.log_writer import NOTE_ROOM
from cluster.local.processes import log_left
from cluster.local.shim import SAMPLE_SECONDS, CpuMeter


@pytest.mark.parametrize(
    ("taken", "left"), [(0, LOG_LIMIT), (60_000_000, 40_000_000), (LOG_LIMIT, NOTE_ROOM), (2 * LOG_LIMIT, NOTE_ROOM)]
)
def test_an_attempt_may_print_what_those_before_it_have_left(taken: int, left: int) -> None:
    assert log_left(taken) == left


def test_cpu_in_use_is_the_difference_of_two_looks_and_its_peak_is_kept() -> None:
    meter = CpuMeter(100.0)

    assert [meter.look(102.0, 1.0), meter.look(104.0, 5.0), meter.look(106.0, 5.5)] == [500, 2000, 250]
    assert meter.peak == 2000


def test_a_look_a_moment_after_the_last_one_is_no_peak() -> None:
    """The kernel counts in hundredths of a second."""
    meter = CpuMeter(0.0)

    assert meter.look(0.001, 0.01) == round(10 / SAMPLE_SECONDS)
    assert meter.look(0.001, 0.0) == 0
