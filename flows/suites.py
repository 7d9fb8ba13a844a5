"""The steps of the flow of a suite: submit or find the suite run, wait for its tests, show them."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.states import Failed
from sqlalchemy import Connection

from db import people, runs, suites
from db.errors import ConflictError, NotFoundError
from db.runs import RunRef
from flows.entry import CURRENT_FLOW_RUN, LOOK_AGAIN, CurrentFlowRun, all_problems, make_room, refusal, say, warn
from flows.flow_run_names import name_current
from flows.schedules import BY_SCHEDULE
from flows.states import skipped
from flows.suite_page import SuitePage
from flows.wakeups import news
from flows.worker_context import WorkerContext, current_context
from model.execution import Door, Verdict
from model.ids import RunId, SuiteRunId
from model.notices import Ended
from model.problems import InvalidError
from model.runs import RunKind
from model.suite import Suite
from orchestrator import admission
from orchestrator import suites as cases
from orchestrator.checking import check_suite
from orchestrator.submit import OverQuota
from orchestrator.suites import SuiteAgain, SuiteOrder, SuiteSkipped, SuiteSubmitted

Outcome: TypeAlias = SuiteSubmitted | SuiteSkipped | OverQuota

LOOK_APART = 0.5
"""Seconds between two looks at least, since every test that ends anywhere wakes every suite that waits."""

log = logging.getLogger("assay.suites")


class SuiteRun:
    """The suite run of this flow, with the worker context. It is no dataclass, for the reason given at `entry.Run`."""

    def __init__(self, context: WorkerContext, suite_run_id: SuiteRunId) -> None:
        self.context = context
        self.suite_run_id = suite_run_id
        self.page = SuitePage(context, suite_run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """The suite was refused or skipped. No test was submitted."""

    state: State[None]


async def enter(suite: Mapping[str, Any] | None, suite_run_id: UUID | str | None) -> SuiteRun | NotRun:
    """Find or create the suite run of this flow run. Repeated calls for a flow run return the same suite run."""
    if (suite is None) == (suite_run_id is None):
        return _refused("give exactly one of `suite` and `suite_run_id`")
    context, running = current_context(), CURRENT_FLOW_RUN.get()
    try:
        outcome = await _found(context, running, suite_run_id)
        if outcome is None:
            outcome = await _submitted(context, running, suite)
    except (InvalidError, NotFoundError, ConflictError) as wrong:
        return _refused(*_reasons(wrong))
    make_room()
    if isinstance(outcome, OverQuota):
        return NotRun(state=Failed(name="OverQuota", message=str(outcome)))
    if isinstance(outcome, SuiteSkipped):
        return _skipped(outcome.note)
    warn(outcome.warnings)
    await context.db.run_patiently(lambda conn: admission.request(conn, context.settings.pool))
    if running is not None and running.polled:
        await name_current(context, RunRef(id=outcome.suite_run_id, kind=RunKind.SUITE))
    return SuiteRun(context, outcome.suite_run_id)


async def all_ended(run: SuiteRun) -> None:
    """Wait until every test of the suite has its verdict. Then the row of the suite run is closed, too."""
    context = run.context
    await context.db.run_patiently(lambda conn: suites.host(conn, run.suite_run_id, context.settings.worker))
    with context.wakeups.listening(run.suite_run_id, Ended) as event:
        while await context.db.run_patiently(lambda conn: cases.close(conn, run.suite_run_id)) is None:
            await run.page.show()
            await asyncio.sleep(LOOK_APART)
            await news(event, LOOK_AGAIN)


async def worst(run: SuiteRun) -> Verdict:
    """Return the worst verdict of the suite's tests."""
    found = await run.context.db.run_patiently(lambda conn: cases.close(conn, run.suite_run_id))
    if found is None:
        msg = f"suite run {run.suite_run_id} has no verdict yet"
        raise RuntimeError(msg)
    return found


async def show(run: SuiteRun) -> None:
    """Leave the final table of the suite's tests as an artifact of the flow run."""
    await run.page.show(now=True)


async def _found(context: WorkerContext, running: CurrentFlowRun | None, named: UUID | str | None) -> Outcome | None:
    """Return the earlier outcome of this flow run, or a new suite run if a person pressed Retry on an ended one."""
    wanted = None if named is None else _id(str(named))
    again = running is not None and running.polled and _has_run_before()
    new_id = SuiteRunId(context.new_id())

    def find(conn: Connection) -> Outcome | None:
        mine = suites.by_flow_run(conn, running.flow_run_id) if running else None  # another one after a Retry
        known = mine or wanted
        if known is None:
            return None
        if again and running and runs.is_settled(conn, known, running.flow_run_id):
            order = SuiteAgain(now=context.now(), new_id=new_id, flow_run_id=running.flow_run_id)
            return _hosted(conn, context, cases.retry_suite(conn, known, order, context.contents.has))
        return cases.outcome_of(conn, known)

    return await context.db.run_patiently(find)


async def _submitted(
    context: WorkerContext, running: CurrentFlowRun | None, suite: Mapping[str, Any] | None
) -> Outcome:
    order = SuiteOrder(
        suite=await _checked(context, running, suite),
        suite_run_id=SuiteRunId(context.new_id()),
        user_id=await context.db.run_patiently(
            lambda conn: people.deployment_user(conn, running.deployment if running else "")
        ),
        door=Door.PREFECT,
        now=context.now(),
        pool=context.settings.pool,
        flow_run_id=running.flow_run_id if running else None,
        scheduled=running is not None and running.scheduled and not _has_run_before(),
    )
    if order.scheduled and running and (note := _too_late(order, running) or await _later_one_is_due(context, running)):
        return await context.db.run_patiently(lambda conn: cases.skip(conn, order, note))
    return await context.db.run_patiently(
        lambda conn: _hosted(conn, context, cases.submit_suite(conn, order, context.contents.has))
    )


async def _checked(context: WorkerContext, running: CurrentFlowRun | None, suite: Mapping[str, Any] | None) -> Suite:
    try:
        return await context.in_thread(check_suite, suite)
    except InvalidError as wrong:
        raise await all_problems(context, running, wrong, suite) from wrong


def _id(text: str) -> SuiteRunId:
    try:
        return SuiteRunId(RunId(UUID(text)))
    except ValueError:
        raise NotFoundError("suite run", text) from None


def _hosted(conn: Connection, context: WorkerContext, outcome: Outcome) -> Outcome:
    """Note that the flow waits in this worker. Done in the transaction of the submit, so a suite always has one."""
    if isinstance(outcome, SuiteSubmitted):
        suites.host(conn, outcome.suite_run_id, context.settings.worker)
    return outcome


def _has_run_before() -> bool:
    """Return whether this flow run was started before: a person pressed Retry, or its worker is gone."""
    context = FlowRunContext.get()
    return context is not None and context.flow_run is not None and context.flow_run.run_count > 1


def _too_late(order: SuiteOrder, running: CurrentFlowRun) -> str | None:
    """Return the note of a scheduled run that could not start by the deadline of its suite; None if it is in time."""
    deadline = order.suite.start_deadline_seconds
    if running.due is None or deadline is None or order.now <= running.due + timedelta(seconds=deadline):
        return None
    late = int((order.now - running.due).total_seconds())
    return f"skipped: it was due at {_moment(running.due)} and could start only {late} s later, after the deadline"


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


async def _later_one_is_due(context: WorkerContext, running: CurrentFlowRun) -> str | None:
    """Return the note of a missed run if a later run of the schedule is due; None if none is, or on an error."""
    if running.due is None or running.deployment_id is None:
        return None
    later = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[running.deployment_id]),
        tags=FlowRunFilterTags(all_=[BY_SCHEDULE]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=[StateType.CANCELLED])),
        expected_start_time=FlowRunFilterExpectedStartTime(
            after_=running.due + timedelta(microseconds=1), before_=context.now()
        ),
    )
    try:
        found = await context.client.read_flow_runs(flow_run_filter=later, limit=1)
    except Exception as failed:  # noqa: BLE001  many types; one run too many harms less than none
        log.warning("Prefect did not tell whether a later run is due: %r", failed)
        return None
    return f"skipped: missed at {_moment(running.due)}, and a later run of the schedule is due" if found else None


def _skipped(note: str) -> NotRun:
    say(note)
    return NotRun(state=skipped(note))


def _reasons(wrong: InvalidError | NotFoundError | ConflictError) -> list[str]:
    """Return what to say to who started a flow run. A conflict is one with what has been said about experiments."""
    if isinstance(wrong, InvalidError):
        return [f"{problem.path}: {problem.message}" for problem in wrong.problems]
    return [f"suite_run_id: {wrong}" if isinstance(wrong, NotFoundError) else str(wrong)]


def _refused(*lines: str) -> NotRun:
    return NotRun(state=refusal(*lines))
