"""Takes up what the gate admitted, starts its flow, and sees it through to a verdict, with Prefect or without.

claim      a lease on an admitted run, by a worker's own right or because its last holder is gone
carry      its flow run, in this loop; where the flow breaks off (Prefect away), the same steps bare
settle     Prefect shows the verdict too; else the reconciler will see to it
"""

import asyncio
import logging
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort
from prefect.flow_engine import run_flow_async
from prefect.states import Pending

from db import executions, gate, leases
from db.leases import Claimed
from flows import doors, steps
from flows.doors import CARRIED, Carried, Run
from flows.house import House
from flows.mirror import Mirror
from flows.places import news
from flows.states import agrees
from model.execution import Reason, Status, Verdict
from model.ids import ExecutionId
from orchestrator import lifecycle
from orchestrator.lifecycle import Place

CLAIM_EVERY = 1.0
CLAIMS = 50
GIVE_BACK_AFTER = 60.0
"""Seconds after which an admitted run that cannot be started gives its place back."""
TRY_AGAIN = 2.0

log = logging.getLogger("assay.carrier")


class Carrier:
    """Carries the runs of one worker."""

    def __init__(self, here: House, mirror: Mirror) -> None:
        self._here = here
        self._client = here.client
        self._mirror = mirror
        self._held: dict[ExecutionId, Place] = {}
        self._tasks: dict[ExecutionId, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[Any]] = set()
        self._draining = False

    async def run(self) -> None:
        """Claim admitted runs as they come, until drained."""
        with self._here.places.listening("admitted") as event:
            while not self._draining:
                for claimed in await self._claim():
                    self._take_up(claimed)
                await news(event, CLAIM_EVERY)

    def drain(self) -> None:
        """Take nothing more."""
        self._draining = True

    async def _claim(self) -> list[Claimed]:
        settings = self._here.settings
        return await self._here.db.run_patiently(
            lambda conn: leases.claim(conn, settings.worker, settings.lease, limit=CLAIMS)
        )

    def _take_up(self, claimed: Claimed) -> None:
        place = Place(execution_id=claimed.execution_id, epoch=claimed.epoch, node=claimed.node)
        self._held[place.execution_id] = place
        self._here.places.grant(place)
        if place.execution_id in self._tasks or self._here.places.waited_for(place.execution_id):
            return  # its flow waits here already
        task = asyncio.create_task(self._carry(place, claimed.flow_run_id), name=f"run {place.execution_id}")
        self._tasks[place.execution_id] = task
        task.add_done_callback(lambda done: self._forget(place.execution_id, done))

    def _forget(self, execution_id: ExecutionId, done: "asyncio.Task[None]") -> None:
        self._tasks.pop(execution_id, None)
        self._held.pop(execution_id, None)
        if not done.cancelled() and (failed := done.exception()):
            log.error("run %s was left to the next worker", execution_id, exc_info=failed)

    async def _carry(self, place: Place, flow_run_id: UUID | None) -> None:
        """Start the flow run of an admitted execution, and stay with it."""
        flow, flow_run = await self._flow_run(place, flow_run_id)
        if flow_run is None:
            await self._give_back(place)
            return
        await self.flow(flow, flow_run, {"execution_id": place.execution_id}, place.execution_id)

    async def _flow_run(self, place: Place, flow_run_id: UUID | None) -> tuple[Any, FlowRun | None]:
        """Find or make the flow run and set it Pending; None when Prefect stays away too long."""
        from flows.test_run import test_run  # noqa: PLC0415  the flow imports the steps, which import this wiring

        try:
            async with asyncio.timeout(GIVE_BACK_AFTER):
                while True:
                    try:
                        return test_run, await self._pending(place, flow_run_id)
                    except Exception as away:  # noqa: BLE001  the client raises many kinds for one thing
                        log.warning("Prefect does not take run %s yet: %s", place.execution_id, away)
                        await asyncio.sleep(TRY_AGAIN)
        except TimeoutError:
            return test_run, None

    async def _pending(self, place: Place, flow_run_id: UUID | None) -> FlowRun:
        if flow_run_id is None:
            return await self._mirror.create(place.execution_id, state=Pending())
        await self._client.set_flow_run_state(flow_run_id, Pending(), force=True)
        return await self._client.read_flow_run(flow_run_id)

    async def _give_back(self, place: Place) -> None:
        log.warning("run %s gives its place back: Prefect did not answer", place.execution_id)
        self._here.places.take(place.execution_id)
        not_before = self._here.now()
        await self._here.db.run_patiently(lambda conn: gate.requeue(conn, place.execution_id, place.epoch, not_before))

    def start(self, flow: Any, flow_run: FlowRun, parameters: dict[str, Any]) -> None:
        """Run a flow run beside the others, and keep hold of it."""
        task = asyncio.create_task(self.flow(flow, flow_run, parameters, None), name=f"flow run {flow_run.id}")
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def flow(
        self, flow: Any, flow_run: FlowRun, parameters: dict[str, Any], execution_id: ExecutionId | None
    ) -> State[Any] | None:
        """Run a flow run in this loop. When it breaks off, see our run of it through without Prefect."""
        deployment = await self._mirror.deployment_name(flow_run)
        CARRIED.set(
            Carried(
                flow_run_id=flow_run.id,
                deployment=deployment,
                deployment_id=flow_run.deployment_id,
                due=flow_run.expected_start_time,
                scheduled=bool(flow_run.auto_scheduled),
            )
        )
        state: State[Any] | None = None
        try:
            state = await run_flow_async(flow, flow_run=flow_run, parameters=parameters, return_type="state")
        except Abort as told:
            log.info("flow run %s stopped here: %s", flow_run.id, told)
        except Exception as broken:  # noqa: BLE001  whatever broke it, our run must end with a verdict
            log.warning("flow run %s broke off: %r", flow_run.id, broken)
        known = execution_id or await self._here.db.run_patiently(lambda c: executions.by_flow_run(c, flow_run.id))
        if known is not None:
            await self._see_through(known, state)
            self._held.pop(known, None)
        return state

    async def _see_through(self, execution_id: ExecutionId, state: State[Any] | None) -> None:
        """Carry on bare while the run is ours and has no verdict; then note whether Prefect shows it."""
        found = await self._here.db.run_patiently(lambda conn: lifecycle.verdict_of(conn, execution_id))
        if found is None and await self._ours(execution_id):
            await self._bare(execution_id)
            return
        if found is not None and state is not None and agrees(state.type, found):
            await self._here.db.run_patiently(lambda conn: executions.settle(conn, execution_id))

    async def _ours(self, execution_id: ExecutionId) -> bool:
        """Return whether this worker holds the run, or hosts it while it waits."""
        place = self._held.get(execution_id)
        if place is not None and await self._held_still(place):
            self._here.places.grant(place)
            return True
        worker = self._here.settings.worker
        return await self._here.db.run_patiently(lambda conn: gate.hosted_by(conn, execution_id, worker))

    async def _held_still(self, place: Place) -> bool:
        worker = self._here.settings.worker
        return await self._here.db.run_patiently(
            lambda conn: leases.hold(conn, place.execution_id, place.epoch, worker)
        )

    async def _bare(self, execution_id: ExecutionId) -> None:
        """Take the flow's own steps without Prefect: the row gets its verdict, and Prefect hears of it later."""
        log.warning("run %s goes on without Prefect", execution_id)
        try:
            while (place := await doors.admitted(Run(execution_id=execution_id))) is not None:
                await self._attempt(place)
        except Abort as told:
            log.info("run %s stopped here: %s", execution_id, told)

    async def _attempt(self, place: Place) -> None:
        try:
            attempt = await steps.launch(place)
            await steps.record(await steps.collect(await steps.watch(attempt)))
        except Exception as broken:
            log.exception("run %s: this worker failed", place.execution_id)
            failed = Verdict(
                status=Status.FAILED, reason=Reason.INFRASTRUCTURE, detail=f"the worker failed: {broken!r}"
            )
            await self._here.db.run_patiently(lambda conn: lifecycle.abandon(conn, place, failed, self._here.now()))
