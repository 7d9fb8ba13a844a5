"""Brings a run that is about to start into Prefect: its flow run found or made, and ready to be run.

What a person did to the flow run meanwhile counts: pressed Cancel, or deleted it.
"""

import asyncio
import logging
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.states import Pending

from db import runs
from flows.mirror import Mirror
from flows.worker_context import WorkerContext
from orchestrator import cancel
from orchestrator.lifecycle import Grant

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds: a collision with another maker of the same flow run passes at once, an absence does not."""

log = logging.getLogger("assay.showing")


class FlowRunBinding:
    """Makes flow runs ready for the carrier."""

    def __init__(self, context: WorkerContext, mirror: Mirror) -> None:
        self._context = context
        self._client = context.client
        self._mirror = mirror

    async def begin(self, grant: Grant, patience: float) -> FlowRun | None:
        """Return the flow run, Pending. None when Prefect stays away for `patience` seconds, or the run has ended."""
        pause = FIRST_PAUSE
        try:
            async with asyncio.timeout(patience):
                while True:
                    try:
                        return await self._pending(grant)
                    except Exception as away:  # noqa: BLE001  the client raises many kinds for one thing
                        log.warning("Prefect does not take run %s yet: %r", grant.execution_id, away)
                        await asyncio.sleep(pause)
                        pause = min(2 * pause, LONGEST_PAUSE)
        except TimeoutError:
            return None

    async def _pending(self, grant: Grant) -> FlowRun | None:
        row = await self._context.db.run(lambda conn: runs.find(conn, grant.execution_id))
        if row.status.terminal:
            return None
        known = await self._known(row.flow_run_id)
        if known is None:
            return await self._made_anew(grant, row.flow_run_id)
        if known.state is not None and (known.state.is_cancelling() or known.state.is_cancelled()):
            now = self._context.now()
            done = await self._context.db.run(
                lambda conn: cancel.cancel(conn, grant.execution_id, by="prefect", now=now)
            )
            if done.status.terminal:
                return None
        known.state = (await self._client.set_flow_run_state(known.id, Pending(), force=True)).state
        return known

    async def _known(self, flow_run_id: UUID | None) -> FlowRun | None:
        if flow_run_id is None:
            return None
        try:
            return await self._client.read_flow_run(flow_run_id)
        except ObjectNotFound:
            return None

    async def _made_anew(self, grant: Grant, lost: UUID | None) -> FlowRun:
        """Make the flow run; where one was deleted, so may have been the deployment."""
        if lost is not None:
            self._mirror.forget_deployments()
            await self._context.db.run(lambda conn: runs.lose_flow_run(conn, grant.execution_id, lost))
        try:
            return await self._mirror.create(grant.execution_id, state=Pending())
        except ObjectNotFound:
            self._mirror.forget_deployments()
            raise
