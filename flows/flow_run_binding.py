"""Finds or creates the flow run in Prefect for a run that is about to start.

If a person has cancelled the flow run meanwhile, the run is cancelled. If it was deleted, another one is created.
"""

import asyncio
import logging
from functools import partial
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.states import Pending
from sqlalchemy import Connection
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from db import runs
from db.runs import RunRef
from flows.mirror import Mirror
from flows.worker_context import WorkerContext
from model.backoff import Backoff
from orchestrator import kinds
from orchestrator.kinds import Wish
from orchestrator.lifecycle import Grant

BACKOFF = Backoff(first=0.1, longest=2.0)
"""If another worker creates the same flow run now, the next try finds it. An outage of Prefect lasts longer."""

log = logging.getLogger("assay.flow_run_binding")


class FlowRunBinding:
    """Prepares flow runs for the dispatcher."""

    def __init__(self, context: WorkerContext, mirror: Mirror) -> None:
        self._context = context
        self._client = context.client
        self._mirror = mirror

    async def begin(self, grant: Grant, patience: float) -> FlowRun | None:
        """Return the flow run in state Pending; None if Prefect fails for `patience` seconds, or the run has ended."""
        patiently = AsyncRetrying(
            retry=retry_if_exception_type(Exception),  # the client raises many types for one kind of failure
            wait=lambda tried: BACKOFF.pause(tried.attempt_number),
            before_sleep=partial(_refused, grant),
            sleep=asyncio.sleep,
        )
        try:
            async with asyncio.timeout(patience):
                return await patiently(self._pending, grant)
        except TimeoutError:
            return None

    async def _pending(self, grant: Grant) -> FlowRun | None:
        row = await self._context.db.run(lambda conn: runs.find(conn, grant.execution_id))
        if row.status.terminal:
            return None
        known = await self._known(row.flow_run_id)
        if known is None:
            return await self._made_anew(RunRef(id=row.id, kind=row.kind), row.flow_run_id)
        if known.state is not None and (known.state.is_cancelling() or known.state.is_cancelled()):
            wish = Wish(by="prefect", now=self._context.now())
            if await self._context.db.run(partial(_cancelled, RunRef(id=row.id, kind=row.kind), wish)):
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

    async def _made_anew(self, run: RunRef, lost: UUID | None) -> FlowRun:
        """Create the flow run. If one was deleted, its deployment may be gone too, so the deployment is read again."""
        if lost is not None:
            self._mirror.forget_deployments()
            await self._context.db.run(lambda conn: runs.lose_flow_run(conn, run.id, lost))
        try:
            return await self._mirror.create(run, state=Pending())
        except ObjectNotFound:
            self._mirror.forget_deployments()
            raise


def _cancelled(run: RunRef, wish: Wish, conn: Connection) -> bool:
    """Cancel a run. Returns: whether it has ended at once, since it had not begun."""
    kinds.of(run).cancel(conn, run.id, wish)
    return runs.find(conn, run.id).status.terminal


def _refused(grant: Grant, tried: RetryCallState) -> None:
    failed = tried.outcome.exception() if tried.outcome is not None else None
    log.warning("Prefect does not take run %s yet: %r", grant.execution_id, failed)
