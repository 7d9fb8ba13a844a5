"""Gives up the runs of nodes that are lost: nodes that no live worker has served for too long (010.6).

Every worker of a pool looks. A look locks the row of the backend, so that only one worker counts the time.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

from sqlalchemy import Connection

from db import backends
from flows.worker_context import WorkerContext
from model.ids import BackendName, ExecutionId, NodeName
from orchestrator import lost_nodes
from orchestrator.lost_nodes import Loss
from scheduler.values.absence import LONGEST_GAP

LOOK_SECONDS = 2.0
"""Between two looks. Time is counted only between looks that are close (scheduler.values.absence.LONGEST_GAP)."""
TRY_AGAIN_SECONDS = 10.0
"""Between two tries to give up runs that stayed on a lost node because no other node could take them."""

log = logging.getLogger("assay.lost_nodes")

Place: TypeAlias = tuple[BackendName, NodeName]


class LostNodes:
    """Watches the backends of one pool."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._tried: dict[BackendName, float] = {}

    async def look(self) -> None:
        """Count for how long backends have had no live worker, and give up the runs of those that are lost."""
        settings = self._context.settings
        losses = await self._context.db.run(lambda conn: lost_nodes.observe(conn, settings.pool, settings.lost_after))
        now = asyncio.get_running_loop().time()
        self._tried = {loss.backend: self._tried.get(loss.backend, -TRY_AGAIN_SECONDS) for loss in losses}
        for loss in losses:
            if now - self._tried[loss.backend] >= TRY_AGAIN_SECONDS:
                self._tried[loss.backend] = now
                await self._give_up(loss)

    async def _give_up(self, loss: Loss) -> None:
        await give_up_all(self._context, loss)


class TimesAway:
    """For how long nodes have not been ready, by looks that are close to each other.

    While this process stood still for longer, the facts were old: then the count begins anew, as it does for backends.
    """

    def __init__(self) -> None:
        self._since: dict[Place, float] = {}
        self._looked_at = float("-inf")

    def look(self, away: Sequence[Place], now: float) -> dict[Place, float]:
        """Take in which nodes are not ready now. Return the seconds for which each has been so."""
        if now - self._looked_at > LONGEST_GAP.total_seconds():
            self._since = {}
        self._looked_at = now
        self._since = {place: self._since.get(place, now) for place in away}
        return {place: now - since for place, since in self._since.items()}


class UnreadyNodes:
    """Watches the nodes of the clusters that this worker serves, by what the clusters say of them."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._away = TimesAway()
        self._tried: dict[Place, float] = {}

    async def look(self) -> None:
        """Give up the runs of nodes that have not been ready for too long."""
        settings, now = self._context.settings, asyncio.get_running_loop().time()
        served = list(self._context.backends)
        places = await self._context.db.run(lambda conn: backends.unready(conn, settings.pool, served))
        away = self._away.look(places, now)
        self._tried = {place: self._tried.get(place, -TRY_AGAIN_SECONDS) for place in away}
        for place, seconds in away.items():
            if seconds >= settings.lost_after.total_seconds() and now - self._tried[place] >= TRY_AGAIN_SECONDS:
                self._tried[place] = now
                backend, node = place
                why = f"its cluster has not seen it ready for {seconds:.0f} s"
                await give_up_all(self._context, Loss(pool=settings.pool, backend=backend, why=why, node=node))


async def give_up_all(context: WorkerContext, loss: Loss) -> None:
    """Give up the runs of a backend or of one node of it, each in a transaction of its own."""
    placed = await context.db.run(lambda conn: backends.placed(conn, loss.pool, loss.backend, loss.node))
    given_up = [run for run in placed if await context.db.run(partial(_give_up, loss, run))]
    if given_up:
        what = loss.node or loss.backend
        log.warning("%s is lost (%s): %d runs are tried elsewhere", what, loss.why, len(given_up))
        await context.pass_gate()


def _give_up(loss: Loss, execution_id: ExecutionId, conn: Connection) -> bool:
    return lost_nodes.give_up(conn, loss, execution_id)
