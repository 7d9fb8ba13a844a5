"""When a run will start, in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.output import span
from cli.words import describe, starts


def waiting(**told: timedelta) -> dict[str, Any]:
    """A run that waits, with times from now."""
    now = datetime.now(UTC)  # noqa: TID251  the command reads the clock too
    fields = {"p50": "estimatedStartTime", "p90": "estimatedStartTimeP90"}
    times = {fields[name]: (now + span).isoformat() for name, span in told.items()}
    run = {"status": "queued", "phase": "waiting", "queuePosition": 3, "waitReason": "the pool runs 2 of 2"}
    return {**dict.fromkeys(fields.values()), **run, **times}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (150, "2 min"), (3570, "1 h"), (4800, "1 h 20 min"), (90000, "25 h")],
)
def test_a_span_is_said_roughly(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_run_that_waits_says_when_it_will_start() -> None:
    run = waiting(p50=timedelta(minutes=2, seconds=5), p90=timedelta(minutes=5, seconds=5))

    assert starts(run) == "starts in about 2 min (90%: 5 min)"
    assert describe(run) == "waiting at 3, starts in about 2 min (90%: 5 min): the pool runs 2 of 2"


def test_nothing_is_said_while_nothing_is_known() -> None:
    assert starts(waiting()) == ""
    assert describe(waiting()) == "waiting at 3: the pool runs 2 of 2"


def test_a_time_that_has_passed_is_now() -> None:
    assert starts(waiting(p50=timedelta(minutes=-3))) == "starts in about 0 s"
