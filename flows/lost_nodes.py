"""Gives up the runs of nodes that are lost: nodes that no live worker has served for too long (010.6).

Every worker of a pool looks. A look locks the row of the backend, so that only one worker counts the time.
"""

import asyncio
import logging
from functools import partial

from sqlalchemy import Connection

from db import backends
from flows.worker_context import WorkerContext
from model.ids import BackendName, ExecutionId, NodeName
from orchestrator import lost_nodes
from orchestrator.lost_nodes import Loss
from scheduler.absence import LONGEST_GAP

LOOK_SECONDS = 2.0
"""Between two looks. Time is counted only between looks that are close (scheduler.absence.LONGEST_GAP)."""
TRY_AGAIN_SECONDS = 10.0
"""Between two tries to give up runs that stayed on a lost node because no other node could take them."""

log = logging.getLogger("assay.lost_nodes")


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


class UnreadyNodes:
    """Watches the nodes of the clusters that this worker serves, by what the clusters say of them.

    The time counts only between looks that are close, as it does for backends: while this process stood still, the
    facts were old.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._since: dict[tuple[BackendName, NodeName], float] = {}
        self._looked_at = float("-inf")

    async def look(self) -> None:
        """Give up the runs of nodes that have not been ready for too long."""
        settings, now = self._context.settings, asyncio.get_running_loop().time()
        if now - self._looked_at > LONGEST_GAP.total_seconds():
            self._since = {}
        self._looked_at = now
        served = list(self._context.backends)
        away = await self._context.db.run(lambda conn: backends.unready(conn, settings.pool, served))
        self._since = {place: self._since.get(place, now) for place in away}
        for (backend, node), since in self._since.items():
            if now - since >= settings.lost_after.total_seconds():
                why = f"its cluster has not seen it ready for {now - since:.0f} s"
                await give_up_all(self._context, Loss(pool=settings.pool, backend=backend, why=why, node=node))
                self._since[backend, node] = now - settings.lost_after.total_seconds() + TRY_AGAIN_SECONDS


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
