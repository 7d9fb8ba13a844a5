"""Keeps Prefect's states and ours equal, both ways. Level-triggered: it looks at what is, not at what happened.

from Prefect   a person pressed Cancel there: our row is told (`observe`, every 2 s)
to Prefect     a verdict that Prefect does not show: its state is set (`settle`, every 10 s)
"""

import logging
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from sqlalchemy import Connection

from db import executions, gate, suites
from flows.house import House
from flows.mirror import Mirror
from flows.settings import WORK_POOL
from flows.states import agrees, state_of
from model.execution import Verdict
from model.ids import ExecutionId, SuiteRunId
from orchestrator import cancel, lifecycle
from orchestrator import suites as suite_cases

PAGE = 200
LOOK_BACK = timedelta(minutes=10)
GRACE = timedelta(seconds=5)
"""A flow that has just ended sets its own state; only what is older is looked after."""

log = logging.getLogger("assay.reconciler")


class Reconciler:
    """Looks at both sides and closes what stands open between them."""

    def __init__(self, here: House, mirror: Mirror) -> None:
        self._here = here
        self._client = here.client
        self._mirror = mirror

    async def observe(self) -> None:
        """Carry cancellations over from Prefect."""
        for flow_run in [*await self._cancelling(), *await self._cancelled()]:
            await self._here.db.run(partial(self._cancel, flow_run))

    async def settle(self) -> None:
        """Set the state of flow runs whose verdict Prefect does not show."""
        before = self._here.now() - GRACE
        for execution_id in await self._here.db.run(lambda conn: executions.unsettled(conn, before, PAGE)):
            await self._settle(execution_id)
        for suite_run_id in await self._here.db.run(lambda conn: suites.open_with_ended_tests(conn, PAGE)):
            await self._here.db.run(partial(_close, suite_run_id, self._here.now()))
        for suite_run_id in await self._here.db.run(lambda conn: suites.unsettled(conn, before, PAGE)):
            await self._settle_suite(suite_run_id)

    async def _settle(self, execution_id: ExecutionId) -> None:
        verdict, flow_run_id = await self._here.db.run(lambda conn: _ended(conn, execution_id))
        if flow_run_id is None:
            flow_run_id = (await self._mirror.create(execution_id, state=self._mirror.queued())).id
        await self._set(flow_run_id, verdict)
        await self._here.db.run(lambda conn: executions.settle(conn, execution_id))

    async def _settle_suite(self, suite_run_id: SuiteRunId) -> None:
        run = await self._here.db.run(lambda conn: suites.find(conn, suite_run_id))
        verdict = await self._here.db.run(lambda conn: suite_cases.close(conn, suite_run_id, self._here.now()))
        if run.flow_run_id is not None and verdict is not None:
            await self._set(run.flow_run_id, verdict)
        await self._here.db.run(lambda conn: suites.settle(conn, suite_run_id))

    async def _set(self, flow_run_id: UUID, verdict: Verdict) -> None:
        """Set a flow run's state unless it shows the verdict."""
        try:
            flow_run = await self._client.read_flow_run(flow_run_id)
            if flow_run.state is None or not agrees(flow_run.state.type, verdict):
                await self._client.set_flow_run_state(flow_run_id, state_of(verdict), force=True)
        except ObjectNotFound:
            log.info("flow run %s is gone from Prefect", flow_run_id)

    def _cancel(self, flow_run: FlowRun, conn: Connection) -> None:
        execution_id = executions.by_flow_run(conn, flow_run.id)
        if execution_id is not None:
            outcome = cancel.cancel(conn, execution_id, by="prefect", now=self._here.now())
            if outcome.changed:
                gate.run_pass(conn, self._here.settings.pool)
        suite_run_id = suites.by_flow_run(conn, flow_run.id)
        if suite_run_id is not None:
            suite_cases.cancel_suite(conn, suite_run_id, by="prefect", now=self._here.now())

    async def _cancelling(self) -> list[FlowRun]:
        return await self._read(FlowRunFilter(state=_of_type(StateType.CANCELLING)))

    async def _cancelled(self) -> list[FlowRun]:
        """Prefect cancels at once what it believes not to have begun; nobody else tells us."""
        ended = FlowRunFilterEndTime(after_=self._here.now() - LOOK_BACK)
        found = await self._read(FlowRunFilter(state=_of_type(StateType.CANCELLED), end_time=ended))
        alive = await self._here.db.run(lambda conn: executions.alive_among(conn, [run.id for run in found]))
        return [run for run in found if run.id in alive]

    async def _read(self, which: FlowRunFilter) -> list[FlowRun]:
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL]))
        return await self._client.read_flow_runs(flow_run_filter=which, work_pool_filter=pool, limit=PAGE)


def _of_type(wanted: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=[wanted]))


def _ended(conn: Connection, execution_id: ExecutionId) -> tuple[Verdict, UUID | None]:
    verdict = lifecycle.verdict_of(conn, execution_id)
    if verdict is None:
        msg = f"run {execution_id} is unsettled without a verdict"
        raise RuntimeError(msg)
    return verdict, executions.flow_run_of(conn, execution_id)


def _close(suite_run_id: SuiteRunId, now: datetime, conn: Connection) -> None:
    suite_cases.close(conn, suite_run_id, now)
