"""Follow topics without a test: each event as it arrives."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import inf

from events.arrival import in_order
from events.brokers.broker import Subscription
from events.brokers.broker_factory import open_broker
from events.decoding import decode
from events.event import Event, Topic

_WAIT_SECONDS = 1.0
"""How long one wait takes at most. Ctrl-C is noticed after it."""


def arriving(
    address: str,
    topics: Sequence[str],
    *,
    count: int | None = None,
    seconds: float = inf,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Yield the events of topics from now on, at most `count`, for at most `seconds`. Raises: BrokerError.

    Nothing is kept. Everything is closed when the iterator ends, or is closed itself.
    """
    broker = open_broker(address)
    try:
        subscription = broker.subscribe([Topic(topic) for topic in topics])
        try:
            yield from islice(_read(subscription, seconds, monotonic), count)
        finally:
            subscription.close()
    finally:
        broker.close()


def _read(subscription: Subscription, seconds: float, monotonic: Callable[[], float]) -> Iterator[Event]:
    begun = monotonic()
    while (left := seconds - (monotonic() - begun)) > 0:
        records = subscription.poll(min(left, _WAIT_SECONDS))
        now = (monotonic() - begun) * 1000
        yield from (decode(record, now) for record in in_order(records))
