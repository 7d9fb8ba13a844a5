"""The first and last steps of a flow: submit or find its run, wait for the admission, read the verdict."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, MissingContextError
from prefect.logging import get_run_logger
from prefect.states import Failed
from sqlalchemy import Connection

from db import executions, people, runs, seeds
from db.errors import NotFoundError
from db.gate import queue, queue_position
from db.runs import RunRef
from flows import shown_steps
from flows.flow_run_names import name_current
from flows.wakeups import news
from flows.worker_context import WorkerContext, current_context
from model.execution import Door, Verdict
from model.ids import BackendName, ExecutionId, RunId
from model.problems import InvalidError
from model.runs import RunKind
from orchestrator import lifecycle, retry, submit
from orchestrator.checking import check
from orchestrator.lifecycle import Grant
from orchestrator.references import with_missing_references
from orchestrator.submit import Order, OverQuota, Submitted

LOOK_AGAIN = 10.0
"""Seconds after which a waiting flow reads the database, in case that a notification was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentFlowRun:
    """The flow run that is under way: its deployment, and when it was due."""

    flow_run_id: UUID
    deployment: str
    deployment_id: UUID | None = None
    due: datetime | None = None
    scheduled: bool = False
    entered: Callable[[], None] | None = None
    """To be called once it is in our queue, or never will be. Given for flow runs that Prefect handed out as due."""

    @property
    def polled(self) -> bool:
        """True if Prefect handed it out as due: a first start, or a person pressed Retry."""
        return self.entered is not None


CURRENT_FLOW_RUN: ContextVar[CurrentFlowRun | None] = ContextVar("current flow run", default=None)


class Run:
    """The execution of this flow, with the worker context for its steps.

    It is no dataclass, because Prefect visits all fields of a dataclass, and would visit the whole context.
    """

    def __init__(self, context: WorkerContext, execution_id: ExecutionId) -> None:
        self.context = context
        self.execution_id = execution_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An execution that was submitted before this flow began."""

    execution_id: ExecutionId
    submitted_at: datetime
    door: Door


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The request has problems or is over quota. Nothing was written."""

    state: State[None]


class NotTheirsError(Exception):
    """A flow run that a person started names a run that has a flow run already: one run would have two flows."""


async def enter(test: Mapping[str, Any] | None, execution_id: UUID | str | None) -> Run | Refused:
    """Find or create the execution of this flow run. Repeated calls for a flow run return the same execution."""
    if (test is None) == (execution_id is None):
        return _refused("give exactly one of `test` and `execution_id`")
    found = await (_submitted(test) if execution_id is None else _known(str(execution_id)))
    make_room()
    running = CURRENT_FLOW_RUN.get()
    if isinstance(found, Run) and running is not None and running.polled:
        await name_current(found.context, RunRef(id=found.execution_id, kind=RunKind.TEST))
    return found


def make_room() -> None:
    """Let the worker take another flow run: this one is in our queue now, or ends. Waiting flow runs do not count."""
    running = CURRENT_FLOW_RUN.get()
    if running is not None and running.entered is not None:
        running.entered()


async def admitted(run: Run) -> Grant | None:
    """Wait until the gate admits this run. Returns: its grant, None if the run has ended meanwhile.

    Raises: Abort if it was admitted to a backend that other workers serve; one of them goes on with this flow run
    (010.5).
    """
    context = run.context
    await context.db.run_patiently(lambda conn: queue.host(conn, run.execution_id, context.settings.worker))
    with context.wakeups.listening(run.execution_id) as event:
        shown = ""
        while True:
            if (grant := context.wakeups.take(run.execution_id)) is not None:
                await shown_steps.admitted(context, run.execution_id)
                return grant
            waiting = await context.db.run_patiently(lambda conn: _standing(conn, run.execution_id, context.serves))
            if waiting is None:
                return None
            if waiting != shown:
                say(waiting)
                if not shown:  # Prefect accepts one state of a step at a time, so only the first reason is shown
                    await shown_steps.waiting(context, run.execution_id, waiting)
                shown = waiting
            await news(event, LOOK_AGAIN)


async def verdict(run: Run) -> Verdict:
    """Return the verdict of a run that has ended."""
    found = await run.context.db.run_patiently(lambda conn: lifecycle.verdict_of(conn, run.execution_id))
    if found is None:
        msg = f"run {run.execution_id} has no verdict yet"
        raise RuntimeError(msg)
    return found


def say(line: str, level: int = logging.INFO) -> None:
    """Write a line to the log of the flow run, or to that of the process if no flow run is under way."""
    try:
        get_run_logger().log(level, line)
    except MissingContextError:
        logging.getLogger("assay").log(level, line)


def warn(warnings: Iterable[str]) -> None:
    """Write the warnings of a submit to the log of the flow run."""
    for warning in warnings:
        say(warning, logging.WARNING)


def _standing(conn: Connection, execution_id: ExecutionId, serves: Collection[BackendName]) -> str | None:
    """Return why a run waits, in words for its owner; None if it has ended. Raises: Abort."""
    if runs.find(conn, execution_id).status.terminal:
        return None
    if queue.placed_elsewhere(conn, execution_id, serves):
        raise Abort("this run was admitted to another node, and goes on there")
    reason = queue_position.reason(conn, execution_id)
    return f"waiting: {reason}" if reason else "waiting"


async def _known(text: str) -> Run | Refused:
    context = current_context()
    running = CURRENT_FLOW_RUN.get()

    def find(conn: Connection) -> Known | OverQuota:
        mine = executions.by_flow_run(conn, running.flow_run_id) if running else None  # another one after a Retry
        known = mine or executions.find(conn, ExecutionId(RunId(UUID(text)))).execution_id
        if mine is None and running and running.polled:
            raise NotTheirsError
        return _shown(conn, _or_retried(conn, context, known, running))

    try:
        return _entered(context, await context.db.run_patiently(find))
    except InvalidError as wrong:  # a run is retried, and something that it needs is gone
        return _refused(*(f"{problem.path}: {problem.message}" for problem in wrong.problems))
    except (ValueError, NotFoundError):
        return _refused(f"execution_id: there is no run {text}")
    except NotTheirsError:
        return _refused(f"execution_id: run {text} has its own flow run; `assay logs -f {text}` follows it")


async def _submitted(test: Mapping[str, Any] | None) -> Run | Refused:
    context = current_context()
    running, began_at = CURRENT_FLOW_RUN.get(), context.now()
    if running and (known := await context.db.run_patiently(lambda conn: _by_flow_run(conn, context, running))):
        return _entered(context, known)
    try:
        request = check(test)
    except InvalidError as wrong:
        return _invalid(context, began_at, await all_problems(context, running, wrong, test))
    execution_id, checked_at = ExecutionId(context.new_id()), context.now()

    def order(conn: Connection) -> Submitted | OverQuota:
        return submit.submit(
            conn,
            Order(
                request=request,
                execution_id=execution_id,
                user_id=people.deployment_user(conn, running.deployment) if running else seeds.PREFECT_USER,
                door=Door.PREFECT,
                now=context.now(),
                pool=context.settings.pool,
                flow_run_id=running.flow_run_id if running else None,
                host=context.settings.worker,
            ),
            context.contents.has,
        )

    try:
        outcome = await context.db.run_patiently(order)
    except InvalidError as wrong:
        return _invalid(context, began_at, wrong)
    shown_steps.validated(began_at, checked_at)
    shown_steps.quota_checked(checked_at, context.now(), str(outcome) if isinstance(outcome, OverQuota) else "")
    if isinstance(outcome, OverQuota):
        return _refused_by_quota(outcome)
    warn(outcome.warnings)
    await context.pass_gate(freed=False)
    return Run(context, outcome.execution_id)


def _entered(context: WorkerContext, known: Known | OverQuota) -> Run | Refused:
    if isinstance(known, OverQuota):
        return _refused_by_quota(known)
    shown_steps.checked_before(known.submitted_at, known.door)
    return Run(context, known.execution_id)


async def all_problems(
    context: WorkerContext, running: CurrentFlowRun | None, wrong: InvalidError, raw: object
) -> InvalidError:
    """Return the problems of `wrong`, and one for each reference of `raw` to something that does not exist."""

    def read(conn: Connection) -> InvalidError:
        user_id = people.deployment_user(conn, running.deployment if running else "")
        return with_missing_references(conn, wrong, raw, user_id, context.contents.has)

    return await context.db.run_patiently(read)


def _invalid(context: WorkerContext, began_at: datetime, wrong: InvalidError) -> Refused:
    lines = [f"{problem.path}: {problem.message}" for problem in wrong.problems]
    shown_steps.validated(began_at, context.now(), "\n".join(lines))
    return _refused(*lines)


def _refused_by_quota(over: OverQuota) -> Refused:
    return Refused(state=Failed(name="OverQuota", message=str(over)))


def _by_flow_run(conn: Connection, context: WorkerContext, running: CurrentFlowRun) -> Known | OverQuota | None:
    known = executions.by_flow_run(conn, running.flow_run_id)
    return _shown(conn, _or_retried(conn, context, known, running)) if known else None


def _shown(conn: Connection, found: ExecutionId | OverQuota) -> Known | OverQuota:
    """Return a run that was submitted before, with the facts of its submission that are shown."""
    if isinstance(found, OverQuota):
        return found
    row = runs.find(conn, found)
    return Known(execution_id=found, submitted_at=row.submitted_at, door=row.door)


def _or_retried(
    conn: Connection, context: WorkerContext, known: ExecutionId, running: CurrentFlowRun | None
) -> ExecutionId | OverQuota:
    """Return the run itself, or a new run of its definition if a person pressed Retry on a finished one."""
    if running is None or not running.polled or not runs.is_settled(conn, known, running.flow_run_id):
        return known
    again = retry.retry(conn, known, retry.Again(now=context.now(), new_id=ExecutionId(context.new_id())))
    if isinstance(again, OverQuota):
        return again
    runs.unlink_flow_run(conn, known)
    runs.link_flow_run(conn, again.execution_id, running.flow_run_id)
    return again.execution_id


def refusal(*lines: str) -> State[None]:
    """Return the state of a refused flow run. Its message has the reasons; Prefect writes it to the log, too."""
    return Failed(name="Refused", message="\n".join(["refused, nothing was queued", *lines]))


def _refused(*lines: str) -> Refused:
    return Refused(state=refusal(*lines))
