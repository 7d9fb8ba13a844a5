"""Whether a run is still wanted while it is being prepared: a clone may take minutes, an installation even more.

The loop looks into the database, once for all that is done meanwhile. Threads of the backend ask for the answer.
"""

import asyncio
import threading
from typing import Self

from flows.wakeups import news
from flows.worker_context import WorkerContext
from orchestrator import lifecycle
from orchestrator.lifecycle import Grant, Superseded

LOOK_AGAIN = 2.0
"""Seconds between two looks; a cancel is in the news besides."""


class CancellationWatch:
    """Looks, while its context is open, whether a run is asked to stop or held by another worker; then calls it off.

    A run that has not begun is not asked to stop for another run. One whose worker was lost may have been asked before.
    """

    def __init__(self, context: WorkerContext, grant: Grant) -> None:
        self._context, self._grant = context, grant
        self._called_off = threading.Event()

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look(), name=f"wanted {self._grant.execution_id}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()
        await asyncio.wait([self._looking])

    def called_off(self) -> bool:
        """Return whether the preparation is to be broken off; from any thread."""
        return self._called_off.is_set()

    async def look_again(self) -> None:
        """Look now: a run whose cancellation was not heard of, since a notification was lost, must not be started."""
        asked = await self._context.db.run_patiently(lambda conn: lifecycle.asked_to_stop(conn, self._grant))
        if asked or isinstance(asked, Superseded):
            self._called_off.set()

    async def _look(self) -> None:
        """Return once it is not wanted any more."""
        with self._context.wakeups.listening(self._grant.execution_id) as event:
            while not self.called_off():
                await self.look_again()
                if not self.called_off():
                    await news(event, LOOK_AGAIN)
