"""Combines passes of the gate: callers that ask at the same time share one pass.

A caller that asks while a pass waits to begin shares that pass. A pass that has begun may have read before the
caller's change was committed, so the caller gets the next one.

A change that frees capacity should be handed in here. It is made in the transaction of the pass, just before the pass.
So one commit frees the capacity and gives it to the next run, and changes that come at the same time share the
transaction. The changes name the runs that end, and one statement frees the capacity of all of them.
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
"""Idempotent work in one transaction. It adds the runs that it ends to the releases."""

log = logging.getLogger("assay.passes")


@dataclass(slots=True, eq=False)
class PendingChange:
    """A change that was handed in, and its outcome."""

    change: Change
    outcome: "asyncio.Future[object]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, outcome: object) -> None:
        """Set the outcome, which may be an exception. Only the first outcome counts."""
        if self.outcome.done():
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


class PassBatcher:
    """Makes one pass at a time, and then one for all callers that asked meanwhile."""

    def __init__(self, make: Callable[[Sequence[PendingChange]], Awaitable[object]]) -> None:
        self._make = make
        self._turn = asyncio.Lock()
        self._due = inf
        self._sooner = asyncio.Event()
        self._next: asyncio.Task[None] | None = None
        self._pending: list[PendingChange] = []

    async def ask(self, patience: float = 0.0) -> None:
        """Wait until a pass that began after this call has ended. Raises: what that pass raised.

        The pass may begin up to `patience` seconds later, so that more callers can share it.
        """
        self._due = min(self._due, asyncio.get_running_loop().time() + patience)
        self._sooner.set()
        if self._next is None:
            self._next = asyncio.create_task(self._begin())
        await asyncio.shield(self._next)  # other callers wait for it, too: the cancel of one must not end it

    async def change(self, work: Callable[[Connection, PlaceReleases], T]) -> T:
        """Do idempotent `work` and a pass. Returns: what the work returned. Raises: what the work raised.

        A cancel of the caller undoes nothing. The caller does not see a failure of the pass.
        """
        pending = PendingChange(work)
        self._pending.append(pending)
        with suppress(Exception):  # of the pass; the outcome below has the failure of the work
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
        """Wait as long as every caller that shares the pass allows."""
        while (left := self._due - asyncio.get_running_loop().time()) > 0:
            self._sooner.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sooner.wait(), left)


async def carry_out(db: Database, pending: Sequence[PendingChange], run_pass: Callable[[Connection], T]) -> T:
    """Make all changes that were handed in, and a pass, in one transaction. Returns: what the pass returned.

    If that fails, each change gets a transaction of its own, so that no change fails because of another or of the pass.
    """

    def together(conn: Connection) -> tuple[list[object], T]:
        return _change(conn, [one.change for one in pending]), run_pass(conn)

    try:
        outcomes, found = await db.run_patiently(together)
    except Exception:
        if not pending:
            raise
        log.exception("%d changes failed together with a pass, and are made one by one", len(pending))
        outcomes = [await _alone(db, one.change) for one in pending]
    else:
        _tell(pending, outcomes)
        return found
    _tell(pending, outcomes)
    return await db.run_patiently(run_pass)


async def _alone(db: Database, change: Change) -> object:
    try:
        [outcome] = await db.run_patiently(lambda conn: _change(conn, [change]))
    except Exception as failed:  # noqa: BLE001  it is the outcome of the caller that handed it in
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
