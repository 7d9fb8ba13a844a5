"""Passes of the gate, joined: of many that ask at once, one passes for all.

Who asks while a pass waits to begin shares it. One that has begun may have read before the asker's change was
committed, so the next asker gets the next one.

A change that frees a place is best handed in: it is carried out in the pass's own transaction, just before the pass, so
that one commit frees the place and gives it on, and changes that come together share it. The runs that end by them are
told by the changes, and their places are freed by one statement for all.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias, TypeVar, cast

from sqlalchemy import Connection

from db.engine import Database
from orchestrator.place_releases import PlaceReleases

T = TypeVar("T")
Change: TypeAlias = Callable[[Connection, PlaceReleases], object]
"""Idempotent work in one transaction, and who ends by it."""

log = logging.getLogger("assay.passes")


@dataclass(slots=True, eq=False)
class PendingChange:
    """A change that was handed in, and what came of it."""

    change: Change
    outcome: "asyncio.Future[object]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, outcome: object) -> None:
        """Tell what came of it, an exception included."""
        if self.outcome.done():
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class PassBatcher:
    """Makes one pass at a time, and one more for all that asked meanwhile."""

    def __init__(self, make: Callable[[Sequence[PendingChange]], Awaitable[object]]) -> None:
        self._make = make
        self._turn = asyncio.Lock()
        self._due = inf
        self._sooner = asyncio.Event()
        self._next: asyncio.Task[None] | None = None
        self._pending: list[PendingChange] = []

    async def ask(self, patience: float = 0.0) -> None:
        """Return when a pass that began after this call has ended. Raises: what that pass raised.

        So many seconds of `patience` it may begin later, to be shared with those that ask meanwhile.
        """
        self._due = min(self._due, asyncio.get_running_loop().time() + patience)
        self._sooner.set()
        if self._next is None:
            self._next = asyncio.create_task(self._begin())
        await asyncio.shield(self._next)  # others wait for it too: one that is cancelled must not end it

    async def change(self, work: Callable[[Connection, PlaceReleases], T]) -> T:
        """Return what idempotent `work` returns, once a pass has seen it. Raises: what it raised.

        Cancelling the caller undoes nothing. A pass that failed is no matter of the work's.
        """
        pending = PendingChange(work)
        self._pending.append(pending)
        with suppress(Exception):  # of the pass; or, when it never came to the work, of both
            await self.ask()
        return cast("T", await pending.outcome)

    async def _begin(self) -> None:
        async with self._turn:
            await self._until_due()
            self._next, self._due = None, inf
            pending, self._pending = self._pending, []
            try:
                await self._make(pending)
            except Exception as failed:
                for one in pending:
                    one.settle(failed)
                raise

    async def _until_due(self) -> None:
        """Wait as long as all are patient who share the pass."""
        while (left := self._due - asyncio.get_running_loop().time()) > 0:
            self._sooner.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sooner.wait(), left)


async def carry_out(db: Database, pending: Sequence[PendingChange], run_pass: Callable[[Connection], T]) -> T:
    """Carry out all that was handed in and make a pass, in one transaction. Returns: what the pass returned.

    If that cannot be, each change has a transaction of its own, so that none fails for another one, or for the pass.
    """

    def together(conn: Connection) -> tuple[list[object], T]:
        return _change(conn, [one.change for one in pending]), run_pass(conn)

    try:
        outcomes, found = await db.run_patiently(together)
    except Exception:
        if not pending:
            raise
        log.exception("%d changes are made one by one, since together with a pass they failed", len(pending))
        outcomes = [await _alone(db, one.change) for one in pending]
    else:
        _tell(pending, outcomes)
        return found
    _tell(pending, outcomes)
    return await db.run_patiently(run_pass)


async def _alone(db: Database, change: Change) -> object:
    try:
        [outcome] = await db.run_patiently(lambda conn: _change(conn, [change]))
    except Exception as failed:  # noqa: BLE001  told to whoever handed it in
        return failed
    return outcome


def _change(conn: Connection, changes: Sequence[Change]) -> list[object]:
    releases = PlaceReleases()
    outcomes = [change(conn, releases) for change in changes]
    releases.carry_out(conn)
    return outcomes


def _tell(pending: Sequence[PendingChange], outcomes: Sequence[object]) -> None:
    for one, outcome in zip(pending, outcomes, strict=True):
        one.settle(outcome)
