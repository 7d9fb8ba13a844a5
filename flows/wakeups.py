"""Wakes the coroutines of a worker that wait for a notice: one about a run, or one of a kind.

A notice is a hint, never the truth. A coroutine that is woken looks again, and one that waits also looks now and then,
so that a lost notice costs seconds and nothing else.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from db import notices
from model.ids import ExecutionId, RunId
from model.notices import CancelAsked, Ended, LookAgain, Notice
from orchestrator.lifecycle import Grant

Topic: TypeAlias = RunId | type[Notice]
"""A run that a notice names, or a kind of notices."""


class Wakeups:
    """Wakes waiters by topic, and hands over the places that this worker has claimed for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Topic, set[asyncio.Event]] = defaultdict(set)
        self._granted: dict[ExecutionId, Grant] = {}

    def hear(self, payload: str) -> None:
        """Take one payload of the database, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hear, notices.parse(payload))

    @contextmanager
    def listening(self, *topics: Topic) -> Iterator[asyncio.Event]:
        """Give an event that is set by each notice about one of `topics`; the waiter clears it."""
        event = asyncio.Event()
        heard: tuple[Topic, ...] = (*topics, LookAgain)
        for topic in heard:
            self._waiting[topic].add(event)
        try:
            yield event
        finally:
            for topic in heard:
                self._waiting[topic].discard(event)
                if not self._waiting[topic]:
                    del self._waiting[topic]

    def grant(self, grant: Grant) -> None:
        """Put down a claimed place for the flow that waits for it, or that is about to start."""
        self._granted[grant.execution_id] = grant
        self._wake(grant.execution_id)

    def take(self, execution_id: ExecutionId) -> Grant | None:
        """Take the place of a run if one has been granted."""
        return self._granted.pop(execution_id, None)

    def _hear(self, notice: Notice) -> None:
        for topic in (type(notice), *_run_ids(notice)):
            self._wake(topic)

    def _wake(self, topic: Topic) -> None:
        for event in list(self._waiting.get(topic, ())):
            event.set()


def _run_ids(notice: Notice) -> tuple[RunId, ...]:
    if isinstance(notice, LookAgain):
        return ()
    return (notice.run_id,) if isinstance(notice, CancelAsked | Ended) else notice.run_ids


async def news(event: asyncio.Event, patience: float) -> None:
    """Wait until `event` is set, at most `patience` seconds, and clear it."""
    try:
        async with asyncio.timeout(patience):
            await event.wait()
    except TimeoutError:
        return
    finally:
        event.clear()
