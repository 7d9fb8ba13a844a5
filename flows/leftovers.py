"""Ends attempts that run on this worker's backends and are not wanted there any more (010.8).

There may be some after a worker was away for long: its node was lost or forgotten, and its runs were tried elsewhere. A
worker looks for them at its start, when a step finds that its run is superseded, and every 30 seconds. At its start and
every ten minutes it also removes what is kept of attempts that are over, pods and run folders.
"""

import asyncio
import logging

from cluster.backend import AttemptId, Backend
from db import backends
from flows.wakeups import news
from flows.worker_context import WorkerContext

LOOK_SECONDS = 30.0
COLLECT_SECONDS = 600.0

log = logging.getLogger("assay.leftovers")


class Leftovers:
    """Ends the leftovers on the backends of one worker."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._collected = float("-inf")

    async def run(self) -> None:
        """Look until the process ends. After a failure the next look tries again."""
        while True:
            try:
                await self.end_all()
                if self._is_due():
                    await self.collect()
            except Exception as failed:  # noqa: BLE001  one failure must not end the loop
                log.warning("leftovers could not be ended, tried again: %r", failed)
            await news(self._context.superseded, LOOK_SECONDS)

    def _is_due(self) -> bool:
        """Return whether it is time to collect, which is rarer than looking for what is alive."""
        now = asyncio.get_running_loop().time()
        due = now - self._collected >= COLLECT_SECONDS
        self._collected = now if due else self._collected
        return due

    async def end_all(self) -> None:
        """End each attempt that is alive here, unless it is the open attempt of a run placed on this backend."""
        for backend in list(self._context.backends.values()):
            for attempt in await backend.running():  # listed first: an attempt that starts later is wanted
                if not await self._is_wanted(backend, attempt):
                    log.warning("%s is not wanted here any more", attempt)
                    await backend.end(attempt)
                    await backend.forget(attempt)

    async def collect(self) -> None:
        """Remove what is kept of attempts that nobody wants: their worker died before it had forgotten them."""
        for backend in list(self._context.backends.values()):
            for attempt in await backend.kept():  # listed first, as above
                if not await self._is_wanted(backend, attempt):
                    await backend.end(attempt)
                    await backend.forget(attempt)

    async def _is_wanted(self, backend: Backend, attempt: AttemptId) -> bool:
        return await self._context.db.run(
            lambda conn: backends.is_wanted(conn, attempt.execution_id, attempt.number, [backend.name])
        )
