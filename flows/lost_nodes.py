"""Gives up the runs of nodes that are lost: nodes that no live worker has served for too long (010.6).

Every worker of a pool looks. A look locks the row of the backend, so that only one worker counts the time.
"""

import asyncio
import logging
from functools import partial

from sqlalchemy import Connection

from db import backends
from flows.worker_context import WorkerContext
from model.ids import BackendName, ExecutionId
from orchestrator import lost_nodes
from orchestrator.lost_nodes import Loss

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
        """Give up the runs of one backend, each in a transaction of its own."""
        db = self._context.db
        placed = await db.run(lambda conn: backends.placed(conn, loss.pool, loss.backend))
        given_up = [run for run in placed if await db.run(partial(_give_up, loss, run))]
        if given_up:
            log.warning("backend %s is lost (%s): %d runs are tried elsewhere", loss.backend, loss.why, len(given_up))
            await self._context.pass_gate()


def _give_up(loss: Loss, execution_id: ExecutionId, conn: Connection) -> bool:
    return lost_nodes.give_up(conn, loss, execution_id)
