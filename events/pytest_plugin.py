"""A pytest plugin: the fixture `event_stream` opens consumers and closes them after the test.

Use it with `pytest_plugins = ["events.pytest_plugin"]` in `conftest.py`, or with `-p events.pytest_plugin`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from events.brokers.broker import Broker
from events.consumer import EventConsumer


@pytest.fixture
def event_stream() -> Iterator[Callable[..., EventConsumer]]:
    """Return what opens a consumer of a broker: `event_stream(broker, "orders", "payments")`. It is subscribed."""
    with ExitStack() as opened:

        def open_stream(broker: Broker, *topics: str, group_id: str | None = None) -> EventConsumer:
            return opened.enter_context(EventConsumer(broker, topics, group_id=group_id))

        yield open_stream
