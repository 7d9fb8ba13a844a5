"""Claims admitted runs, starts their flows, and brings each run to a verdict, with Prefect or without it.

claim      take the lease of an admitted run that no worker holds, or whose last holder is gone
run        run its flow run in this loop; if the flow breaks off (Prefect is away), do the same steps without Prefect
settle     note that Prefect shows the verdict; if it does not, the reconciler sets it
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort
from prefect.flows import Flow
from sqlalchemy import Connection

from db import leases, runs
from db.gate import queue
from db.gate.pass_output import Admitted as AdmittedRun
from db.leases import Claimed
from db.runs import RunRef
from flows import engine, entry
from flows.entry import CURRENT_FLOW_RUN, CurrentFlowRun, Run
from flows.flow_run_binding import FlowRunBinding
from flows.kinds import FLOWS, Steps
from flows.mirror import Mirror
from flows.states import agrees
from flows.wakeups import news
from flows.worker_context import CONTEXT, WorkerContext
from model.execution import Status
from model.ids import ExecutionId
from model.notices import Admitted
from orchestrator import kinds, lifecycle
from orchestrator.lifecycle import Grant

CLAIM_EVERY = 1.0
CLAIMS = 50
GIVE_BACK_AFTER = 60.0
"""Seconds after which an admitted run that has no flow run in Prefect returns its capacity."""
TAKE_OVER_AFTER = 5.0
"""Seconds after which a run that was taken over goes on without Prefect, since its process is running already."""
FAILED_AGAIN = 5.0

log = logging.getLogger("assay.dispatcher")


class Dispatcher:
    """Runs the flows of one worker."""

    def __init__(self, context: WorkerContext, mirror: Mirror) -> None:
        self._context = context
        self._mirror = mirror
        self._binding = FlowRunBinding(context, mirror)
        self._grants: dict[ExecutionId, Grant] = {}
        self._tasks: dict[ExecutionId, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[Any]] = set()
        self._running: set[UUID] = set()
        self._draining = False

    @property
    def running(self) -> frozenset[UUID]:
        """The flow runs that are under way in this process."""
        return frozenset(self._running)

    async def run(self) -> None:
        """Claim admitted runs as they come, until drained."""
        self._context.taking = self._take_up_all
        with self._context.wakeups.listening(Admitted) as event:
            while not self._draining:
                try:
                    for claimed in await self._claim():
                        self._take_up(claimed)
                except Exception:
                    log.exception("claiming failed, it goes on in a moment")
                await news(event, CLAIM_EVERY)

    def drain(self) -> None:
        """Claim no more runs."""
        self._draining = True
        self._context.taking = None

    async def _claim(self) -> list[Claimed]:
        """Claim the runs that no worker holds, and those that the database lists as ours but are unknown here."""
        settings, known = self._context.settings, list(self._grants)
        return await self._context.db.run_patiently(
            lambda conn: leases.claim(conn, settings.worker, settings.lease, limit=CLAIMS, known=known)
        )

    def _take_up_all(self, admitted: Sequence[AdmittedRun]) -> None:
        for run in admitted:
            self._take_up(run)

    def _take_up(self, claimed: Claimed | AdmittedRun) -> None:
        grant = Grant(
            execution_id=claimed.execution_id,
            epoch=claimed.epoch,
            node=claimed.node,
            backend=claimed.backend,
            candidates=claimed.candidates,
        )
        if self._grants.get(grant.execution_id) == grant:
            return  # both a pass of this worker and `_claim` found it
        self._grants[grant.execution_id] = grant
        self._context.wakeups.grant(grant)
        if grant.execution_id in self._tasks or claimed.flow_run_id in self._running:
            return  # its flow is here already, and waits for the grant or soon will
        task = asyncio.create_task(self._dispatch(grant), name=f"run {grant.execution_id}")
        self._tasks[grant.execution_id] = task
        task.add_done_callback(lambda done: self._forget(grant, done))

    def _forget(self, grant: Grant, done: "asyncio.Task[None]") -> None:
        self._tasks.pop(grant.execution_id, None)
        self._let_go(grant)
        if not done.cancelled() and (failed := done.exception()):
            log.error("run %s broke off and is claimed anew", grant.execution_id, exc_info=failed)

    def _let_go(self, grant: Grant | None) -> None:
        """Forget a grant, but not a later one of the same run."""
        if grant is not None and self._grants.get(grant.execution_id) == grant:
            del self._grants[grant.execution_id]
            self._context.wakeups.take(grant.execution_id)

    async def _dispatch(self, grant: Grant) -> None:
        """Run the flow run of an admitted execution to its end."""
        row = await self._context.db.run_patiently(lambda conn: runs.find(conn, grant.execution_id))
        under_way = row.status is Status.RUNNING
        flow_run = await self._binding.begin(grant, TAKE_OVER_AFTER if under_way else GIVE_BACK_AFTER)
        run = RunRef(id=row.id, kind=row.kind)
        if flow_run is not None:
            kind = FLOWS[run.kind]
            await self.flow(kind.flow, flow_run, kind.parameters(run.id), run)
        elif under_way:
            await self._bare(run)
        else:
            await self._give_back(grant)

    async def _give_back(self, grant: Grant) -> None:
        """Return the capacity of a run that has not begun. A run that was cancelled meanwhile has none."""
        log.warning("run %s returns to the queue: Prefect did not answer", grant.execution_id)
        await self._context.db.run_patiently(lambda conn: lifecycle.give_back(conn, grant))

    def start(self, flow: Flow[..., Any], flow_run: FlowRun, parameters: dict[str, Any]) -> None:
        """Run a flow run beside the others, and keep a reference to its task."""
        task = asyncio.create_task(self.flow(flow, flow_run, parameters), name=f"flow run {flow_run.id}")
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def flow(
        self,
        flow: Flow[..., Any],
        flow_run: FlowRun,
        parameters: dict[str, Any],
        granted: RunRef | None = None,
        *,
        entered: Callable[[], None] | None = None,
    ) -> None:
        """Run a flow run in this loop. If it breaks off, finish our run without Prefect.

        `granted` is the run that this worker was granted, None for a flow run that comes from Prefect.
        `entered` is given for a flow run that Prefect handed out as due; see `entry.CurrentFlowRun`.
        """
        if flow_run.id in self._running:
            return
        self._running.add(flow_run.id)
        try:
            state = await self._engine(flow, flow_run, parameters, entered)
            run = granted or await self._context.db.run_patiently(lambda conn: runs.by_flow_run(conn, flow_run.id))
            if run is not None and FLOWS[run.kind].waits:
                await self._see_through(run, state)
            elif run is not None and state is not None:
                await self._context.db.run_patiently(partial(_settle, run, state))
        finally:
            self._running.discard(flow_run.id)

    async def _engine(
        self,
        flow: Flow[..., Any],
        flow_run: FlowRun,
        parameters: dict[str, Any],
        entered: Callable[[], None] | None,
    ) -> State[Any] | None:
        """Run it with Prefect's engine. Returns: its state, None if it stopped without one."""
        try:
            CONTEXT.set(self._context)
            CURRENT_FLOW_RUN.set(
                CurrentFlowRun(
                    flow_run_id=flow_run.id,
                    deployment=await self._mirror.deployment_name(flow_run),
                    deployment_id=flow_run.deployment_id,
                    due=flow_run.expected_start_time,
                    scheduled=bool(flow_run.auto_scheduled),
                    entered=entered,
                )
            )
            return await engine.run(flow, flow_run, parameters)
        except Abort as reason:
            log.info("flow run %s stopped here: %s", flow_run.id, reason)
            self._context.superseded.set()
        except Exception as broken:  # noqa: BLE001  whatever the error is, our run must end with a verdict
            log.warning("flow run %s broke off: %r", flow_run.id, broken)
        return None

    async def _see_through(self, run: RunRef, state: State[Any] | None) -> None:
        """Finish the run without Prefect if it is ours and has no verdict; otherwise note whether Prefect shows it."""
        execution_id = ExecutionId(run.id)
        grant = self._grants.get(execution_id)
        found = await self._context.db.run_patiently(lambda conn: lifecycle.verdict_of(conn, execution_id))
        if found is None and await self._ours(execution_id):
            await self._bare(run)
        elif found is not None and agrees(state, found):
            await self._context.db.run_patiently(lambda conn: runs.settle(conn, execution_id))
        self._let_go(grant)

    async def _ours(self, execution_id: ExecutionId) -> bool:
        """Return whether this worker holds the lease of the run, or its flow waits here in the gate."""
        grant = self._grants.get(execution_id)
        if grant is not None and await self._held_still(grant):
            self._context.wakeups.grant(grant)
            return True
        worker, serves = self._context.settings.worker, self._context.serves
        return await self._context.db.run_patiently(lambda conn: queue.hosted_by(conn, execution_id, worker, serves))

    async def _held_still(self, grant: Grant) -> bool:
        worker = self._context.settings.worker
        return await self._context.db.run_patiently(
            lambda conn: leases.hold(conn, grant.execution_id, grant.epoch, worker)
        )

    async def _bare(self, mine: RunRef) -> None:
        """Do the steps of the run's kind without Prefect. The reconciler tells Prefect the verdict later."""
        steps = FLOWS[mine.kind].steps
        if steps is None:
            msg = f"a {mine.kind} has no steps: it is never queued"
            raise ValueError(msg)
        log.warning("run %s goes on without Prefect", mine.id)
        try:
            run = Run(self._context, ExecutionId(mine.id))
            while (grant := await entry.admitted(run)) is not None:
                await self._attempt(steps, run, grant)
        except Abort as reason:
            log.info("run %s stopped here: %s", mine.id, reason)
            self._context.superseded.set()

    async def _attempt(self, steps: Steps, run: Run, grant: Grant) -> None:
        """Run one attempt. If this worker fails, the process is ended before the attempt counts as lost."""
        try:
            await steps.attempt(run, grant)
        except Exception as broken:
            log.exception("run %s: this worker failed", grant.execution_id)
            await asyncio.sleep(FAILED_AGAIN)
            await steps.abandon(self._context, grant, f"the worker failed: {broken!r}")


def _settle(run: RunRef, state: State[Any], conn: Connection) -> None:
    """Note that Prefect shows the verdict of a run that holds no capacity. Retry then makes a new run."""
    ended = kinds.of(run).judge(conn, run.id)
    if ended is not None and agrees(state, ended.verdict):
        runs.settle(conn, run.id)
