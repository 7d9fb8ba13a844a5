"""Who waits here for what: news from the database reach the coroutines that wait for them.

A notification is a hint, never the truth: whoever is woken looks again, and whoever waits also looks now and then,
so that a lost hint costs seconds and nothing else.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from model.ids import ExecutionId
from orchestrator.lifecycle import Grant

EVERYTHING = "*"


class Wakeups:
    """Wakes waiters by execution id, and hands over the places that this worker has claimed for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._granted: dict[ExecutionId, Grant] = {}

    def hear(self, payload: str) -> None:
        """Take one notification, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, payload)

    @contextmanager
    def listening(self, *topics: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever one of `topics` is in the news; the waiter clears it."""
        event = asyncio.Event()
        for topic in (*topics, EVERYTHING):
            self._waiting[topic].add(event)
        try:
            yield event
        finally:
            for topic in (*topics, EVERYTHING):
                self._waiting[topic].discard(event)
                if not self._waiting[topic]:
                    del self._waiting[topic]

    def grant(self, grant: Grant) -> None:
        """Put down a claimed place for the flow that waits for it, or that is about to start."""
        self._granted[grant.execution_id] = grant
        self._wake(str(grant.execution_id))

    def take(self, execution_id: ExecutionId) -> Grant | None:
        """Take the place of a run if one has been granted."""
        return self._granted.pop(execution_id, None)

    def waited_for(self, execution_id: UUID) -> bool:
        """Return whether a coroutine of this process waits for news of that run."""
        return bool(self._waiting.get(str(execution_id)))

    def _wake(self, payload: str) -> None:
        """`admitted:<id>,<id>`, `preempt:<id>,<id>`, `cancel:<id>`, `ended:<id>`, `suite:<id>`, `enqueued`, `*`."""
        kind, _, rest = payload.partition(":")
        topics = [kind, *(rest or "").split(",")] if kind != EVERYTHING else [EVERYTHING]
        for topic in topics:
            for event in list(self._waiting.get(topic, ())):
                event.set()


async def news(event: asyncio.Event, patience: float) -> None:
    """Wait until `event` is set, at most `patience` seconds, and clear it."""
    try:
        async with asyncio.timeout(patience):
            await event.wait()
    except TimeoutError:
        return
    finally:
        event.clear()
