"""Passes of the gate, joined: of many that ask at once, one passes for all.

Who asks while a pass waits to begin shares it. One that has begun may have read before the asker's change was
committed, so the next asker gets the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress


class Joined:
    """Makes one pass at a time, and one more for all that asked meanwhile."""

    def __init__(self, make: Callable[[], Awaitable[object]]) -> None:
        self._make = make
        self._turn = asyncio.Lock()
        self._hurry = asyncio.Event()
        self._next: asyncio.Task[None] | None = None

    async def ask(self, patience: float = 0.0) -> None:
        """Return when a pass that began after this call has ended. Raises: what that pass raised.

        So many seconds of `patience` it may begin later, to be shared with those that ask meanwhile.
        """
        if not patience:
            self._hurry.set()
        if self._next is None:
            self._next = asyncio.create_task(self._begin(patience))
        await asyncio.shield(self._next)  # others wait for it too: one that is cancelled must not end it

    async def _begin(self, patience: float) -> None:
        async with self._turn:
            if patience:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), patience)
            self._next = None
            self._hurry.clear()
            await self._make()
