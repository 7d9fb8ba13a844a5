"""Reverts the faults that nobody owns any more: expired, or of a run that has ended. A duty of every worker.

A fault of a run that is alive belongs to whoever holds that run; its guard reverts it meanwhile. This is for what is
left in the database after that, and verifies that nothing is left in the world.
"""

import logging

from sqlalchemy import Connection

from chaos.experiment import Experiment
from chaos.provider import FaultStatus
from cluster.fault_providers import is_here, open_place
from db import chaos_faults, chaos_runs, chaos_switch
from db.chaos_faults import FaultRow
from flows.experiment.reverts import take_back
from flows.periodic import FlowRunner
from flows.worker_context import WorkerContext
from model.ids import RunId
from orchestrator import experiments

SECONDS = 5.0
"""Between two looks."""

log = logging.getLogger("assay.experiments")


class FaultCollector:
    """Looks for forgotten faults, and takes them back where this worker can reach them."""

    def __init__(self, context: WorkerContext, _: FlowRunner) -> None:
        self._context = context

    async def collect(self) -> None:
        """Revert every forgotten fault that is in the reach of this worker."""
        for row in await self._context.db.run(chaos_faults.forgotten):
            await self._take_back(row)

    async def _take_back(self, row: FaultRow) -> None:
        target = (await self._context.db.run(lambda conn: _experiment_of(conn, row.execution_id))).target
        if not is_here(target, self._context.places()):
            return
        closed = await take_back(open_place(target, self._context.places()).faults, row, self._context.now)
        log.warning("fault %s had no owner any more and is %s", row.fault_id, closed.status)
        await self._context.db.run(lambda conn: chaos_faults.closed(conn, [closed]))
        if closed.status is FaultStatus.RESIDUAL:
            path = f"{'/'.join(target.claim.split('/')[:2])}/{row.target.service}"
            reason, by = "; ".join(closed.remains), f"experiment run {row.execution_id}"
            await self._context.db.run(lambda conn: chaos_switch.cordon(conn, [path], reason, by))


def _experiment_of(conn: Connection, run_id: RunId) -> Experiment:
    return experiments.read(conn, chaos_runs.experiment_of(conn, run_id))
