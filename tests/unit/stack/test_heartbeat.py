"""How a part is judged by its heartbeats, in virtual time."""

import pytest

from cli.stack.heartbeat import (
    HANGS,
    HANGS_AFTER,
    INTERVAL,
    READY,
    RESTART_AFTER,
    STARTING,
    Pulse,
    judged,
)
from cli.stack.identity import Identity
from cli.stack.postgres import RESPONSE_SECONDS
from cli.stack.report import DEGRADED, phase

FIRST = Identity(pid=10, start_time=1, boot_id="boot")
SECOND = Identity(pid=10, start_time=2, boot_id="boot")
"""The kernel has given the number to another process."""


@pytest.mark.parametrize(
    ("silence", "state"),
    [
        (None, STARTING),
        (0.0, READY),
        (HANGS_AFTER - 0.1, READY),
        (HANGS_AFTER, HANGS),
        (RESTART_AFTER, HANGS),
    ],
)
def test_a_part_is_judged_by_its_silence(silence: float | None, state: str) -> None:
    assert judged(silence) == state


def test_a_part_that_hangs_is_seen_within_15_seconds() -> None:
    """The last sign may be one look old. PostgreSQL is asked by a connection, which takes its time to fail."""
    worst = max(HANGS_AFTER + INTERVAL, HANGS_AFTER + RESPONSE_SECONDS)

    assert worst < 15
    assert worst < RESTART_AFTER


def test_a_process_that_has_not_begun_is_not_judged_by_the_one_before() -> None:
    """Else a server that takes long to start would be killed for the silence of its predecessor."""
    pulse = Pulse()
    assert pulse.silence(FIRST, 5.0) is None

    pulse.beat(FIRST, 100.0)

    assert pulse.silence(FIRST, 107.0) == 7.0
    assert pulse.silence(SECOND, 107.0) is None
    assert pulse.silence(None, 107.0) is None


def test_the_time_in_which_the_supervisor_stood_still_does_not_count() -> None:
    pulse = Pulse()
    pulse.excuse(50.0)
    assert pulse.silence(FIRST, 50.0) is None
    pulse.beat(FIRST, 100.0)

    pulse.excuse(3700.0)

    assert pulse.silence(FIRST, 3701.0) == 1.0


@pytest.mark.parametrize("state", [STARTING, HANGS, DEGRADED, "down"])
def test_ready_never_stands_above_a_part_that_is_not(state: str) -> None:
    assert phase("ready", [READY, state, READY]) == DEGRADED
    assert phase("ready", [READY, READY]) == "ready"
    assert phase("stopping", [READY, state]) == "stopping"
