"""The steps of runs that need no node and have no details of their own; their flows share them (012.3)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from flows.entry import Run
from flows.steps import PULSE, superseded
from flows.worker_context import WorkerContext, current_context
from model.execution import Status, Verdict
from model.ids import ExecutionId, RunId
from orchestrator import gate_runs, lifecycle
from orchestrator.lifecycle import Grant, Superseded

log = logging.getLogger("assay.gate_runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that is under way: when it began, and when its time is over."""

    started_at: datetime
    ends_at: datetime


Work: TypeAlias = Callable[[WorkerContext, Begun], Awaitable[Verdict]]
"""What a run does. It may be called anew after a takeover, and is cancelled if the run is."""


def enter(run_id: UUID | str) -> Run:
    """Return the run of a flow that was started for it."""
    return Run(current_context(), ExecutionId(RunId(UUID(str(run_id)))))


async def take(run: Run, grant: Grant, work: Work) -> None:
    """Let an admitted run do its work until that ends, its time is over, or its end is asked for. Raises: Abort."""
    context = run.context
    begun = await context.db.run_patiently(lambda conn: gate_runs.begin(conn, grant))
    if isinstance(begun, Superseded):
        raise superseded()
    limit = await context.db.run_patiently(lambda conn: gate_runs.limit_of(conn, grant))
    verdict = await _done(context, grant, work, Begun(started_at=begun, ends_at=begun + limit))
    ended = await context.db.run_patiently(lambda conn: gate_runs.end(conn, grant, verdict))
    if isinstance(ended, Superseded):
        raise superseded()
    await context.pass_gate()


async def abandon(context: WorkerContext, grant: Grant, why: str) -> None:
    """End a run that this worker failed. Raises: Abort."""
    ended = await context.db.run_patiently(lambda conn: gate_runs.fail(conn, grant, why))
    if isinstance(ended, Superseded):
        raise superseded()
    await context.pass_gate()


async def _done(context: WorkerContext, grant: Grant, work: Work, begun: Begun) -> Verdict:
    """Return the verdict of the work. It is cancelled if its time is over, or if its end is asked for."""
    task = asyncio.ensure_future(work(context, begun))
    try:
        while True:
            done, _ = await asyncio.wait([task], timeout=PULSE)
            if done:
                return task.result()
            if await _asked_to_stop(context, grant):
                return Verdict(status=Status.CANCELLED, detail="cancelled while it ran")
            if context.now() > begun.ends_at:
                return Verdict(status=Status.TIMEOUT, detail="its time is over")
    finally:
        task.cancel()


async def _asked_to_stop(context: WorkerContext, grant: Grant) -> bool:
    asked = await context.db.run_patiently(lambda conn: lifecycle.asked_to_stop(conn, grant))
    if isinstance(asked, Superseded):
        raise superseded()
    return asked
