"""Keeps the states of Prefect and of our rows equal. It is level-triggered: it compares states and needs no events.

observe   copy a cancel that a person made in Prefect to our row (every 2 s)
settle    set the state of a flow run that does not show its verdict (every 10 s)
end_tasks end a task run that still runs although its flow run has ended, since its worker was killed (every 10 s)
recover   make a flow run due again that a worker took, and died before it submitted the run (every 30 s)
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled
from sqlalchemy import Connection

from db import runs, suites
from db.runs import RunRef
from flows.kinds import FLOWS
from flows.mirror import Mirror
from flows.settings import WORK_POOL
from flows.states import shows, skipped, state_of
from flows.task_runs import end_task_runs
from flows.worker_context import WorkerContext
from model.ids import SuiteRunId
from orchestrator import kinds
from orchestrator import suites as suite_cases
from orchestrator.kinds import Ending, Wish

T = TypeVar("T")

PAGE = 200
"""Flow runs that Prefect returns at most in one call."""
PAGES = 10
GRACE = timedelta(seconds=5)
"""A flow sets its own state when it ends. Only runs that ended longer ago are settled here."""
TASK_GRACE = timedelta(seconds=30)
"""The end of a task run is an event, which may arrive after the end of its flow run."""
STRANDED_AFTER = timedelta(seconds=30)
OUR_FLOWS = [kind.flow.name for kind in FLOWS.values()]

log = logging.getLogger("assay.reconciler")


class Reconciler:
    """Compares the states of both sides, and corrects the one that is behind."""

    def __init__(self, context: WorkerContext, mirror: Mirror, running: Callable[[], frozenset[UUID]]) -> None:
        self._context = context
        self._client = context.client
        self._mirror = mirror
        self._running = running

    async def observe(self) -> None:
        """Copy cancellations from Prefect to our rows."""
        alive = await self._context.db.run(runs.alive_flow_runs)
        for start in range(0, len(alive), PAGE):
            for flow_run in await self._stopped(alive[start : start + PAGE]):
                await self._context.db.run(partial(self._cancel, flow_run.id))
                await self._context.pass_gate()

    async def settle(self) -> None:
        """Set the state of flow runs whose verdict Prefect does not show."""
        db, before = self._context.db, self._context.now() - GRACE
        await _each(await db.run(lambda conn: suites.open_with_ended_tests(conn, PAGE)), self._close_suite)
        await _each(await db.run(lambda conn: runs.unsettled(conn, before, PAGE)), self._settle)

    async def end_tasks(self) -> None:
        """End a page of the task runs that their worker left behind when it was killed."""
        await end_task_runs(self._client, OUR_FLOWS, self._context.now() - TASK_GRACE)

    async def recover(self) -> None:
        """Make flow runs due again that have no row and run nowhere: their worker died before it wrote the row."""
        for page in range(PAGES):
            found = await self._taken(page)
            for flow_run in [run for run in found if self._old(run) and run.id not in self._running()]:
                if await self._context.db.run(partial(_run_of, flow_run.id)) is None:
                    log.warning("flow run %s was taken and never submitted; it is due again", flow_run.id)
                    await self._client.set_flow_run_state(flow_run.id, Scheduled(), force=True)
            if len(found) < PAGE:
                return

    async def _settle(self, run: RunRef) -> None:
        ended, flow_run_id = await self._context.db.run(lambda conn: _ended(conn, run))
        if flow_run_id in self._running():
            return  # its flow sets the state in a moment
        if flow_run_id is None:
            flow_run_id = (await self._mirror.find_or_create(run)).id
        await self._set(flow_run_id, skipped(ended.verdict.detail) if ended.skipped else state_of(ended.verdict))
        await self._context.db.run(lambda conn: runs.settle(conn, run.id))

    async def _close_suite(self, suite_run_id: SuiteRunId) -> None:
        await self._context.db.run(lambda conn: suite_cases.close(conn, suite_run_id))

    async def _set(self, flow_run_id: UUID, wanted: State[None]) -> None:
        """Set the state of a flow run, unless it shows that state already."""
        try:
            flow_run = await self._client.read_flow_run(flow_run_id)
            if not shows(flow_run.state, wanted):
                await self._client.set_flow_run_state(flow_run_id, wanted, force=True)
        except ObjectNotFound:
            log.info("flow run %s is gone from Prefect", flow_run_id)

    def _cancel(self, flow_run_id: UUID, conn: Connection) -> None:
        run = runs.by_flow_run(conn, flow_run_id)
        if run is not None:
            kinds.of(run).cancel(conn, run.id, Wish(by="prefect", now=self._context.now()))

    async def _stopped(self, flow_run_ids: list[UUID]) -> list[FlowRun]:
        """Return those that are to be cancelled, or that Prefect has cancelled at once, as if they had not begun."""
        wanted = FlowRunFilter(
            id=FlowRunFilterId(any_=flow_run_ids), state=_of_type(StateType.CANCELLING, StateType.CANCELLED)
        )
        return await self._client.read_flow_runs(flow_run_filter=wanted, limit=PAGE)

    async def _taken(self, page: int) -> list[FlowRun]:
        """Return a page of the flow runs that are under way in Prefect."""
        return await self._client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=OUR_FLOWS)),
            flow_run_filter=FlowRunFilter(state=_of_type(StateType.PENDING, StateType.RUNNING)),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL])),
            limit=PAGE,
            offset=page * PAGE,
        )

    def _old(self, flow_run: FlowRun) -> bool:
        return flow_run.state is not None and flow_run.state.timestamp < self._context.now() - STRANDED_AFTER


async def _each(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Work on every item. An item that fails is tried again next time, and does not delay the others."""
    for item in items:
        try:
            await work(item)
        except Exception as failed:  # noqa: BLE001  whatever it is, the others must not wait for it
            log.warning("%s of %s failed, tried again: %r", getattr(work, "__name__", work), item, failed)


def _of_type(*wanted: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(wanted)))


def _ended(conn: Connection, run: RunRef) -> tuple[Ending, UUID | None]:
    ended = kinds.of(run).judge(conn, run.id)
    if ended is None:
        msg = f"run {run.id} is unsettled without a verdict"
        raise RuntimeError(msg)
    return ended, runs.flow_run_of(conn, run.id)


def _run_of(flow_run_id: UUID, conn: Connection) -> RunRef | None:
    return runs.by_flow_run(conn, flow_run_id)
