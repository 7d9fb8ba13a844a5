"""Whether a run is still wanted while it is being prepared: a clone may take minutes, an installation even more.

The look is in the loop, once for all that is done meanwhile; the answer is asked for in threads.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, ParamSpec, Self, TypeVar

from cluster.local.guarded_command import StoppedError
from flows.wakeups import news
from flows.worker_context import WorkerContext
from orchestrator import lifecycle
from orchestrator.lifecycle import Grant, Superseded

P = ParamSpec("P")
T = TypeVar("T")

LOOK_AGAIN = 2.0
"""Seconds between two looks; a cancel is in the news besides."""


class CancellationWatch:
    """Looks, as a context, whether a run is asked to stop or in other hands, and breaks its preparation off then.

    Who has not begun is not asked to stop for another run; one that was lost with its worker may have been before.
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
        """Return whether it is to be broken off; from any thread."""
        return self._called_off.is_set()

    async def run(self, threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call that asks `called_off` by itself. One that has not begun by then never does.

        Raises: StoppedError.
        """
        running = threads.submit(work, *args, **kwargs)
        done = asyncio.wrap_future(running)
        either: tuple[asyncio.Future[Any], ...] = (done, self._looking)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.called_off() and running.cancel():
            raise StoppedError
        return await done

    async def look_again(self) -> None:
        """Look now: what was lost with a notification must not be started first."""
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
