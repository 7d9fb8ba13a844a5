"""Wakes the coroutines of a worker that wait for a notice, either about one run or of one type.

A notice is only a hint. A coroutine that is woken reads the database again. One that waits also reads it now and then,
so a lost notice costs some seconds and nothing else.
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
"""A run that notices name, or a type of notices."""


class Wakeups:
    """Wakes waiters by topic, and hands them the grants that this worker has claimed for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Topic, set[asyncio.Event]] = defaultdict(set)
        self._granted: dict[ExecutionId, Grant] = {}

    def hear(self, payload: str) -> None:
        """Receive one payload of the database, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hear, notices.parse(payload))

    @contextmanager
    def listening(self, *topics: Topic) -> Iterator[asyncio.Event]:
        """Yield an event that each notice about one of `topics` sets. The waiter clears it."""
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
        """Keep a grant for the flow that waits for it or is about to start, and wake that flow."""
        self._granted[grant.execution_id] = grant
        self._wake(grant.execution_id)

    def take(self, execution_id: ExecutionId) -> Grant | None:
        """Return the grant of a run and forget it; None if there is none."""
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
