"""Takes over the flows of suites whose worker is gone."""

import logging
from uuid import UUID

from prefect.exceptions import ObjectNotFound
from prefect.states import Pending

from db import suites
from flows.periodic import FlowRunner
from flows.suite_run import suite_run
from flows.worker_context import WorkerContext
from model.ids import SuiteRunId

log = logging.getLogger("assay.suites")


class OrphanedSuites:
    """Flow runs of suites that Prefect shows as running, but that no live worker runs."""

    def __init__(self, context: WorkerContext, runner: FlowRunner) -> None:
        self._context = context
        self._runner = runner

    async def take_over(self) -> None:
        """Run the flows of these suites in this worker."""
        worker, running = self._context.settings.worker, self._runner.running
        ttl = self._context.settings.lease
        orphans = await self._context.db.run(lambda conn: suites.take_orphans(conn, worker, ttl, running))
        for suite_run_id, flow_run_id in orphans:
            await self._restart(suite_run_id, flow_run_id)

    async def _restart(self, suite_run_id: SuiteRunId, flow_run_id: UUID) -> None:
        """Run the flow from its start. If a person has cancelled it, the reconciler ends the suite and the flow run."""
        client = self._context.client
        try:
            flow_run = await client.read_flow_run(flow_run_id)
        except ObjectNotFound:
            log.info("flow run %s is no longer in Prefect; suite run %s ends without it", flow_run_id, suite_run_id)
            return
        if flow_run.state is not None and (flow_run.state.is_cancelling() or flow_run.state.is_cancelled()):
            return
        await client.set_flow_run_state(flow_run_id, Pending(), force=True)
        parameters = {"suite_run_id": str(suite_run_id)}
        self._runner.start(suite_run, await client.read_flow_run(flow_run_id), parameters)
