"""The consumer of a test: it reads topics in a thread of its own, and answers questions about what has arrived.

It is subscribed, with a confirmed assignment, when `start` returns. So whatever the test triggers then is seen. Every
event is kept, with partition and offset. Nobody polls in a loop: who waits is woken by the event that arrives.
"""

import time
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from events.arrival import in_order
from events.brokers.broker import Broker, BrokerError, Subscription
from events.decoding import decode
from events.event import Event, Milliseconds, Record, Topic
from events.matcher import CompiledPattern
from events.pattern import EventPattern

if TYPE_CHECKING:
    from events.registry.wire_format import WireFormat

MOST_EVENTS = 1_000_000
"""A consumer that has kept so many events stops with an error, instead of using up the memory of the machine."""
_POLL_SECONDS = 30.0
"""How long the thread waits at a time. `close` wakes it."""


class EventConsumer:
    """Reads `topics` of `broker`. Without `group_id` it is assigned all partitions, so no rebalance disturbs it.

    `wire` reads values with a registered schema.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Sequence[str],
        *,
        group_id: str | None = None,
        wire: "WireFormat | None" = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.broker = broker
        self.topics = tuple(Topic(topic) for topic in topics)
        self.group_id = group_id
        self.consumer_id = str(uuid4())
        self._wire = wire
        self._monotonic = monotonic
        self._zero = monotonic()
        self._arrived = Condition()
        self._events: list[Event] = []
        self._polled = 0
        self._error: BrokerError | None = None
        self._subscription: Subscription | None = None
        self._thread: Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Subscribe, and begin to read. Raises: TopicMissingError; BrokerError."""
        self._subscription = self.broker.subscribe(self.topics, group_id=self.group_id)
        self._thread = Thread(target=self._read, args=(self._subscription,), name="event-consumer", daemon=True)
        self._thread.start()

    def start_clock(self) -> None:
        """Set the clock to 0 and forget what has arrived: it cannot come from what is triggered next."""
        with self._arrived:
            self._zero = self._monotonic()
            self._events.clear()
            self._polled = 0

    def now(self) -> Milliseconds:
        """Return the time on the clock of the test."""
        return (self._monotonic() - self._zero) * 1000

    @property
    def received_events(self) -> list[Event]:
        """Return all events so far, in order of arrival."""
        with self._arrived:
            return list(self._events)

    def poll(self, timeout_ms: Milliseconds = 0) -> list[Event]:
        """Return the events since the last poll, as soon as there is one, or none after `timeout_ms`."""
        return self.drain(timeout_ms)[0]

    def drain(self, timeout_ms: Milliseconds) -> tuple[list[Event], Milliseconds]:
        """Return what `poll` returns, and a time that no later event precedes."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._over or len(self._events) > self._polled, max(timeout_ms, 0) / 1000)
            self._raise()
            found = self._events[self._polled :]
            self._polled = len(self._events)
            return found, self.now()

    def wait_for_event(
        self,
        pattern: EventPattern | str,
        condition: Callable[[Event], bool] | None = None,
        timeout_ms: Milliseconds | None = None,
    ) -> Event | None:
        """Return the first event that matches, which may have arrived before, or None after `timeout_ms`."""
        wanted = _pattern(pattern, condition)
        found = self._wait_for_each([wanted], timeout_ms)
        return found[0] if found else None

    def get_events_in_order(
        self, patterns: Sequence[EventPattern | str], timeout_ms: Milliseconds | None = None
    ) -> list[Event]:
        """Return one event for each pattern, in this order, or nothing if they do not all come within `timeout_ms`.

        Other events may lie between them.
        """
        return self._wait_for_each([_pattern(pattern, None) for pattern in patterns], timeout_ms)

    def caught_up(self, timeout_ms: Milliseconds) -> bool:
        """Say whether all that the topics held at this call has arrived here; False if the broker does not answer."""
        return self._subscription is not None and self._subscription.caught_up(timeout_ms / 1000)

    def close(self) -> None:
        """Stop reading and leave. It may be called more than once."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
        if self._subscription is not None:
            self._subscription.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _over(self) -> bool:
        return self._closed or self._error is not None

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _read(self, subscription: Subscription) -> None:
        """Keep what arrives, until the consumer is closed or the broker fails."""
        try:
            while not self._over:
                records = subscription.poll(_POLL_SECONDS)
                if self._wire is not None:
                    self._wire.prepare([record.value for record in records if record.value is not None])
                self._keep(records)
        except BrokerError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  it would end this thread unseen, and events would only seem to be missing
            self._fail(BrokerError(f"the events cannot be read: {type(error).__name__}: {error}"))

    def _fail(self, error: BrokerError) -> None:
        """Tell whoever waits that no more events come."""
        with self._arrived:
            self._error = error
            self._arrived.notify_all()

    def _keep(self, records: Sequence[Record]) -> None:
        """Decode what has arrived, and wake whoever waits. Raises: BrokerError if that is too much."""
        with self._arrived:
            now = self.now()
            self._events += [decode(record, now, self._wire) for record in in_order(records)]
            if len(self._events) > MOST_EVENTS:
                raise BrokerError(f"more than {MOST_EVENTS} events arrived; limit the topics of the test")
            self._arrived.notify_all()

    def _wait_for_each(self, patterns: Sequence[CompiledPattern], timeout_ms: Milliseconds | None) -> list[Event]:
        """Match the patterns one after the other, each event once, from the first event on."""
        found: list[Event] = []
        looked_at = 0

        def complete() -> bool:
            nonlocal looked_at
            while looked_at < len(self._events) and len(found) < len(patterns):
                event = self._events[looked_at]
                looked_at += 1
                if patterns[len(found)].matches(event):
                    found.append(event)
            return len(found) == len(patterns)

        with self._arrived:
            self._arrived.wait_for(lambda: complete() or self._over, None if timeout_ms is None else timeout_ms / 1000)
            if not complete():
                self._raise()
                return []
            return found


def _pattern(pattern: EventPattern | str, condition: Callable[[Event], bool] | None) -> CompiledPattern:
    if isinstance(pattern, str):
        return CompiledPattern(EventPattern(type=pattern, condition=condition))
    return CompiledPattern(pattern)
