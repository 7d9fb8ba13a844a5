"""Takes up what the gate admitted, starts its flow, and sees it through to a verdict, with Prefect or without.

claim      a lease on an admitted run, by a worker's own right or because its last holder is gone
carry      its flow run, in this loop; where the flow breaks off (Prefect away), the same steps bare
settle     Prefect shows the verdict too; else the reconciler will see to it
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort
from prefect.flows import Flow
from sqlalchemy import Connection

from db import executions, gate, leases, suites
from db.gate_write import Admitted
from db.leases import Claimed
from flows import doors, engine, steps
from flows.doors import CARRIED, Carried, Run
from flows.house import House
from flows.mirror import Mirror
from flows.places import news
from flows.showing import Showing
from flows.states import agrees
from model.execution import Status
from model.ids import ExecutionId
from orchestrator import lifecycle
from orchestrator import suites as suite_cases
from orchestrator.lifecycle import Place

CLAIM_EVERY = 1.0
CLAIMS = 50
GIVE_BACK_AFTER = 60.0
"""Seconds after which an admitted run that cannot be shown in Prefect gives its place back."""
TAKE_OVER_AFTER = 5.0
"""Seconds after which a run that was taken over goes on without Prefect: its process is running already."""
FAILED_AGAIN = 5.0

log = logging.getLogger("assay.carrier")


class Carrier:
    """Carries the runs of one worker."""

    def __init__(self, here: House, mirror: Mirror) -> None:
        self._here = here
        self._mirror = mirror
        self._showing = Showing(here, mirror)
        self._held: dict[ExecutionId, Place] = {}
        self._tasks: dict[ExecutionId, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[Any]] = set()
        self._carried: set[UUID] = set()
        self._draining = False

    @property
    def carried(self) -> frozenset[UUID]:
        """The flow runs that are being run in this process."""
        return frozenset(self._carried)

    async def run(self) -> None:
        """Claim admitted runs as they come, until drained."""
        self._here.taking = self._take_up_all
        with self._here.places.listening("admitted") as event:
            while not self._draining:
                try:
                    for claimed in await self._claim():
                        self._take_up(claimed)
                except Exception:
                    log.exception("claiming failed, it goes on in a moment")
                await news(event, CLAIM_EVERY)

    def drain(self) -> None:
        """Take nothing more."""
        self._draining = True
        self._here.taking = None

    async def _claim(self) -> list[Claimed]:
        """Claim what nobody carries; also what the database says is ours and we do not know of."""
        settings, known = self._here.settings, list(self._held)
        return await self._here.db.run_patiently(
            lambda conn: leases.claim(conn, settings.worker, settings.lease, limit=CLAIMS, known=known)
        )

    def _take_up_all(self, admitted: Sequence[Admitted]) -> None:
        for run in admitted:
            self._take_up(run)

    def _take_up(self, claimed: Claimed | Admitted) -> None:
        place = Place(execution_id=claimed.execution_id, epoch=claimed.epoch, node=claimed.node)
        if self._held.get(place.execution_id) == place:
            return  # a pass of ours and the look for what is ours both found it
        self._held[place.execution_id] = place
        self._here.places.grant(place)
        if place.execution_id in self._tasks or claimed.flow_run_id in self._carried:
            return  # its flow is here already, and waits for the place or is about to
        task = asyncio.create_task(self._carry(place), name=f"run {place.execution_id}")
        self._tasks[place.execution_id] = task
        task.add_done_callback(lambda done: self._forget(place, done))

    def _forget(self, place: Place, done: "asyncio.Task[None]") -> None:
        self._tasks.pop(place.execution_id, None)
        self._let_go(place)
        if not done.cancelled() and (failed := done.exception()):
            log.error("run %s broke off and is claimed anew", place.execution_id, exc_info=failed)

    def _let_go(self, place: Place | None) -> None:
        """Forget a place, but not a later one of the same run."""
        if place is not None and self._held.get(place.execution_id) == place:
            del self._held[place.execution_id]
            self._here.places.take(place.execution_id)

    async def _carry(self, place: Place) -> None:
        """Start the flow run of an admitted execution, and stay with it."""
        from flows.test_run import test_run  # noqa: PLC0415  the flow imports the steps, which import this wiring

        row = await self._here.db.run_patiently(lambda conn: executions.find(conn, place.execution_id))
        under_way = row.status is Status.RUNNING
        flow_run = await self._showing.begin(place, TAKE_OVER_AFTER if under_way else GIVE_BACK_AFTER)
        if flow_run is not None:
            await self.flow(test_run, flow_run, {"execution_id": place.execution_id}, place.execution_id)
        elif under_way:
            await self._bare(place.execution_id)
        else:
            await self._give_back(place)

    async def _give_back(self, place: Place) -> None:
        """Let others have the place of a run that has not begun; one that was cancelled meanwhile has none."""
        log.warning("run %s gives its place back: Prefect did not answer", place.execution_id)
        await self._here.db.run_patiently(lambda conn: lifecycle.give_back(conn, place))

    def start(self, flow: Flow[..., Any], flow_run: FlowRun, parameters: dict[str, Any]) -> None:
        """Run a flow run beside the others, and keep hold of it."""
        task = asyncio.create_task(self.flow(flow, flow_run, parameters), name=f"flow run {flow_run.id}")
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def flow(
        self,
        flow: Flow[..., Any],
        flow_run: FlowRun,
        parameters: dict[str, Any],
        execution_id: ExecutionId | None = None,
        *,
        entered: Callable[[], None] | None = None,
    ) -> None:
        """Run a flow run in this loop. When it breaks off, see our run of it through without Prefect.

        `entered` is given for what Prefect handed out as due, see `doors.Carried`.
        """
        if flow_run.id in self._carried:
            return
        self._carried.add(flow_run.id)
        try:
            state = await self._engine(flow, flow_run, parameters, entered)
            known = execution_id or await self._here.db.run_patiently(lambda c: executions.by_flow_run(c, flow_run.id))
            if known is not None:
                await self._see_through(known, state)
            elif state is not None:
                await self._here.db.run_patiently(partial(_settle_suite, flow_run.id, state, self._here.now()))
        finally:
            self._carried.discard(flow_run.id)

    async def _engine(
        self,
        flow: Flow[..., Any],
        flow_run: FlowRun,
        parameters: dict[str, Any],
        entered: Callable[[], None] | None,
    ) -> State[Any] | None:
        """Run it by Prefect's engine. Returns: its state, None when it stopped without one."""
        try:
            CARRIED.set(
                Carried(
                    flow_run_id=flow_run.id,
                    deployment=await self._mirror.deployment_name(flow_run),
                    deployment_id=flow_run.deployment_id,
                    due=flow_run.expected_start_time,
                    scheduled=bool(flow_run.auto_scheduled),
                    entered=entered,
                )
            )
            return await engine.run(flow, flow_run, parameters)
        except Abort as told:
            log.info("flow run %s stopped here: %s", flow_run.id, told)
        except Exception as broken:  # noqa: BLE001  whatever broke it, our run must end with a verdict
            log.warning("flow run %s broke off: %r", flow_run.id, broken)
        return None

    async def _see_through(self, execution_id: ExecutionId, state: State[Any] | None) -> None:
        """Carry on bare while the run is ours and has no verdict; then note whether Prefect shows it."""
        place = self._held.get(execution_id)
        found = await self._here.db.run_patiently(lambda conn: lifecycle.verdict_of(conn, execution_id))
        if found is None and await self._ours(execution_id):
            await self._bare(execution_id)
        elif found is not None and agrees(state, found):
            await self._here.db.run_patiently(lambda conn: executions.settle(conn, execution_id))
        self._let_go(place)

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
        """Take one attempt. What fails here is no test: its process is ended before the attempt is called lost."""
        try:
            attempt = await steps.launch(place)
            await steps.watch(attempt)
            await steps.collect(attempt)
            await steps.record(attempt)
        except Exception as broken:
            log.exception("run %s: this worker failed", place.execution_id)
            await asyncio.sleep(FAILED_AGAIN)
            await steps.abandon(place, f"the worker failed: {broken!r}")


def _settle_suite(flow_run_id: UUID, state: State[Any], now: datetime, conn: Connection) -> None:
    """Note that Prefect shows the verdict of a suite, if this was the flow run of one: Retry makes a new one then."""
    suite_run_id = suites.by_flow_run(conn, flow_run_id)
    verdict = None if suite_run_id is None else suite_cases.close(conn, suite_run_id, now)
    if suite_run_id is not None and verdict is not None and agrees(state, verdict):
        suites.settle(conn, suite_run_id)
