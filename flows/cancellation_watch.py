"""Checks whether a run is still wanted while it is being prepared. A clone may take minutes, an installation even more.

A task of the event loop reads the database now and then. The threads of the backend only ask for its last answer.
"""

import asyncio
import threading
from typing import Self

from flows.wakeups import news
from flows.worker_context import WorkerContext
from orchestrator import lifecycle
from orchestrator.lifecycle import Grant, Superseded

LOOK_AGAIN = 2.0
"""Seconds between two looks at the database. A notice of a cancel leads to a look at once."""


class CancellationWatch:
    """Calls the launch off if the run is asked to stop or is held by another worker, while this context is open.

    The gate does not ask a run to stop for another run before its test has begun. But a run that is launched again
    after its worker was lost may have been asked before.
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
        """Return whether the preparation must be broken off. May be called from any thread."""
        return self._called_off.is_set()

    async def look_again(self) -> None:
        """Read the database now. If the notice of a cancel was lost, the run must still not be started."""
        asked = await self._context.db.run_patiently(lambda conn: lifecycle.asked_to_stop(conn, self._grant))
        if asked or isinstance(asked, Superseded):
            self._called_off.set()

    async def _look(self) -> None:
        """Return when the run is not wanted any more."""
        with self._context.wakeups.listening(self._grant.execution_id) as event:
            while not self.called_off():
                await self.look_again()
                if not self.called_off():
                    await news(event, LOOK_AGAIN)
