"""A pytest plugin: the fixture `event_stream` opens consumers and closes them after the test.

Use it with `pytest_plugins = ["events.pytest_plugin"]` in `conftest.py`, or with `-p events.pytest_plugin`. If a test
fails, its report shows the last events of each stream.
"""

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import pytest

from events.brokers.broker import Broker
from events.consumer import EventConsumer
from events.event import Event, describe

MOST_SHOWN = 20
"""Events of a stream in the report of a failed test: the last ones."""
_LONGEST_PAYLOAD = 200
_STREAMS = pytest.StashKey[list[EventConsumer]]()


@pytest.fixture
def event_stream(request: pytest.FixtureRequest) -> Iterator[Callable[..., EventConsumer]]:
    """Return what opens a consumer of a broker: `event_stream(broker, "orders", "payments")`. It is subscribed."""
    streams = request.node.stash.setdefault(_STREAMS, [])
    with ExitStack() as opened:

        def open_stream(broker: Broker, *topics: str, group_id: str | None = None) -> EventConsumer:
            consumer = opened.enter_context(EventConsumer(broker, topics, group_id=group_id))
            streams.append(consumer)
            return consumer

        yield open_stream


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the events of each stream to the report of a test that failed."""
    report = yield
    if report.when == "call" and report.failed:
        for consumer in item.stash.get(_STREAMS, []):
            report.sections.append((f"events of {', '.join(consumer.topics)}", _shown(consumer.received_events)))
    return report


def _shown(events: list[Event]) -> str:
    left_out = len(events) - MOST_SHOWN
    lines = [f"{left_out} earlier events"] if left_out > 0 else []
    return "\n".join([*lines, *map(_line, events[-MOST_SHOWN:])]) or "none arrived"


def _line(event: Event) -> str:
    payload = json.dumps(event.payload)
    cut = payload if len(payload) <= _LONGEST_PAYLOAD else f"{payload[:_LONGEST_PAYLOAD]}..."
    return f"{describe(event)}  {event.poison or cut}"
