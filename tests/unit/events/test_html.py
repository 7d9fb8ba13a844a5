"""Which events of a long test are on its page."""

from events.driven_test import EventTestResult
from events.event import Event, Offset, Topic
from events.html import MOST_EVENTS, html
from events.outcomes import AssertionResult, Outcome


def test_a_long_test_shows_the_events_that_decided_it_and_counts_the_rest() -> None:
    events = tuple(
        Event(topic=Topic("orders"), type=f"T{number}", offset=Offset(number), at=float(number), payload="x" * 3000)
        for number in range(5000)
    )
    judged = AssertionResult(name="a", outcome=Outcome.FAILED, message="no", at=1.0, witnesses=(events[4321],))

    page = html(EventTestResult(name="t", results=(judged,), events=events, ended_at=5000.0), "none")

    assert "T4321 orders[0]@4321" in page
    assert f"{5000 - MOST_EVENTS} more events arrived" in page
    assert "(3002 characters)" in page
    assert len(page) < 2_000_000
