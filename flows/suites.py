"""How the flow of a suite comes in, waits for its tests and shows them; and who goes on when a worker is gone."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact
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
from prefect.exceptions import ObjectNotFound
from prefect.states import Failed, Pending
from sqlalchemy import Connection

from db import gate, people, suites
from db.errors import NotFoundError
from flows.carrier import Carrier
from flows.doors import CARRIED, LOOK_AGAIN, Carried, make_room, say, warn
from flows.house import House, house
from flows.places import news
from flows.schedules import BY_SCHEDULE
from flows.states import skipped
from model.execution import Door, Verdict
from model.ids import SuiteRunId, short
from model.problems import InvalidError
from model.suite import check_suite
from orchestrator import suites as cases
from orchestrator.submit import OverQuota
from orchestrator.suites import SuiteAgain, SuiteOrder, SuiteSkipped, SuiteSubmitted
from reports.markdown import suite_summary

Outcome: TypeAlias = SuiteSubmitted | SuiteSkipped | OverQuota

LOOK_APART = 0.5
"""Seconds at least between two looks: every test that ends anywhere wakes every suite that waits."""

log = logging.getLogger("assay.suites")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRun:
    """A suite run that this flow stands for."""

    suite_run_id: SuiteRunId


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """Refused, or skipped with a note: no test was submitted."""

    state: State[None]


async def enter(suite: Mapping[str, Any] | None, suite_run_id: UUID | str | None) -> SuiteRun | NotRun:
    """Find or make the suite run of this flow run. The same flow run comes to the same suite run, however often."""
    if (suite is None) == (suite_run_id is None):
        return _refused("give exactly one of `suite` and `suite_run_id`")
    here, carried = house(), CARRIED.get()
    try:
        outcome = await _found(here, carried, suite_run_id)
        if outcome is None:
            outcome = await _submitted(here, carried, suite)
    except InvalidError as wrong:
        return _refused(*(f"{problem.path}: {problem.message}" for problem in wrong.problems))
    except NotFoundError as missing:
        return _refused(f"suite_run_id: {missing}")
    make_room()
    if isinstance(outcome, OverQuota):
        return NotRun(state=Failed(name="OverQuota", message=str(outcome)))
    if isinstance(outcome, SuiteSkipped):
        return _skipped(outcome.note)
    warn(outcome.warnings)
    await here.db.run_patiently(lambda conn: gate.run_pass(conn, here.settings.pool))
    return SuiteRun(suite_run_id=outcome.suite_run_id)


async def all_ended(run: SuiteRun) -> None:
    """Wait until every test of the suite has its verdict; its row in the database is then closed too."""
    here = house()
    await here.db.run_patiently(lambda conn: suites.host(conn, run.suite_run_id, here.settings.worker))
    with here.places.listening(str(run.suite_run_id), "ended") as event:
        while await here.db.run_patiently(lambda conn: cases.close(conn, run.suite_run_id, here.now())) is None:
            await asyncio.sleep(LOOK_APART)
            await news(event, LOOK_AGAIN)


async def worst(run: SuiteRun) -> Verdict:
    """Return the worst verdict of the suite's tests."""
    found = await house().db.run_patiently(lambda conn: cases.close(conn, run.suite_run_id, house().now()))
    if found is None:
        msg = f"suite run {run.suite_run_id} has no verdict yet"
        raise RuntimeError(msg)
    return found


async def show(run: SuiteRun) -> None:
    """Leave the table of the suite's tests as an artifact of the flow run."""
    standing = await house().db.run_patiently(lambda conn: cases.standing(conn, run.suite_run_id))
    try:
        await acreate_markdown_artifact(suite_summary(standing), key=f"suite-{short(run.suite_run_id)}")
    except Exception as failed:  # noqa: BLE001  a window, never a load-bearing wall
        log.warning("Prefect did not take an artifact: %s", failed)


async def _found(here: House, carried: Carried | None, named: UUID | str | None) -> Outcome | None:
    """Return what came of this flow run before; a new suite run when a person pressed Retry on an ended one."""
    wanted = None if named is None else _id(str(named))
    again = carried is not None and carried.polled and _has_run_before()
    new_id = SuiteRunId(here.new_id())

    def find(conn: Connection) -> Outcome | None:
        mine = suites.by_flow_run(conn, carried.flow_run_id) if carried else None  # after a Retry it is another one
        known = mine or wanted
        if known is None:
            return None
        if again and carried and suites.is_settled(conn, known, carried.flow_run_id):
            order = SuiteAgain(now=here.now(), new_id=new_id, flow_run_id=carried.flow_run_id, pool=here.settings.pool)
            return _hosted(conn, here, cases.retry_suite(conn, known, order, here.has_content))
        return cases.outcome_of(conn, known)

    return await here.db.run_patiently(find)


async def _submitted(here: House, carried: Carried | None, suite: Mapping[str, Any] | None) -> Outcome:
    order = SuiteOrder(
        suite=await here.in_thread(check_suite, suite),
        suite_run_id=SuiteRunId(here.new_id()),
        user_id=await here.db.run_patiently(
            lambda conn: people.deployment_user(conn, carried.deployment if carried else "")
        ),
        door=Door.PREFECT,
        now=here.now(),
        pool=here.settings.pool,
        flow_run_id=carried.flow_run_id if carried else None,
        scheduled=carried is not None and carried.scheduled and not _has_run_before(),
    )
    if order.scheduled and carried and (note := await _later_one_is_due(here, carried)):
        return await here.db.run_patiently(lambda conn: cases.skip(conn, order, note))
    return await here.db.run_patiently(
        lambda conn: _hosted(conn, here, cases.submit_suite(conn, order, here.has_content))
    )


def _id(text: str) -> SuiteRunId:
    try:
        return SuiteRunId(UUID(text))
    except ValueError:
        raise NotFoundError("suite run", text) from None


def _hosted(conn: Connection, here: House, outcome: Outcome) -> Outcome:
    """Note that the flow waits here, in the transaction that makes it wait: so it is never nobody's."""
    if isinstance(outcome, SuiteSubmitted):
        suites.host(conn, outcome.suite_run_id, here.settings.worker)
    return outcome


def _has_run_before() -> bool:
    """Return whether this flow run was started before: by a person who pressed Retry, or by a worker that is gone."""
    context = FlowRunContext.get()
    return context is not None and context.flow_run is not None and context.flow_run.run_count > 1


async def _later_one_is_due(here: House, carried: Carried) -> str | None:
    """After a downtime only the latest of the missed scheduled runs is run. Where Prefect cannot tell, it is run."""
    if carried.due is None or carried.deployment_id is None:
        return None
    later = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[carried.deployment_id]),
        tags=FlowRunFilterTags(all_=[BY_SCHEDULE]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=[StateType.CANCELLED])),
        expected_start_time=FlowRunFilterExpectedStartTime(
            after_=carried.due + timedelta(microseconds=1), before_=here.now()
        ),
    )
    try:
        found = await here.client.read_flow_runs(flow_run_filter=later, limit=1)
    except Exception as failed:  # noqa: BLE001  the client raises many kinds; one run too many harms less than none
        log.warning("Prefect did not tell whether a later run is due: %r", failed)
        return None
    when = f"{carried.due:%Y-%m-%d %H:%M:%S} UTC"
    return f"skipped: missed at {when}, and a later run of the schedule is due" if found else None


def _skipped(note: str) -> NotRun:
    say(note)
    return NotRun(state=skipped(note))


def _refused(*lines: str) -> NotRun:
    return NotRun(state=Failed(name="Refused", message="\n".join(["refused, nothing was queued", *lines])))


class Orphans:
    """Suite flows whose worker is gone: Prefect says that they run, and nobody carries them."""

    def __init__(self, here: House, carrier: Carrier) -> None:
        self._here = here
        self._carrier = carrier

    async def take_up(self) -> None:
        """Go on with what no live worker carries."""
        worker, carried = self._here.settings.worker, self._carrier.carried
        ttl = self._here.settings.lease
        orphans = await self._here.db.run(lambda conn: suites.take_orphans(conn, worker, ttl, carried))
        for suite_run_id, flow_run_id in orphans:
            await self._go_on(suite_run_id, flow_run_id)

    async def _go_on(self, suite_run_id: SuiteRunId, flow_run_id: UUID) -> None:
        """Run the flow from its top. Where a person pressed Cancel, the reconciler ends the suite, and the flow run."""
        from flows.suite_run import suite_run  # noqa: PLC0415  the flow imports this module

        client = self._here.client
        try:
            flow_run = await client.read_flow_run(flow_run_id)
        except ObjectNotFound:
            log.info("flow run %s is gone from Prefect; suite run %s ends without it", flow_run_id, suite_run_id)
            return
        if flow_run.state is not None and (flow_run.state.is_cancelling() or flow_run.state.is_cancelled()):
            return
        await client.set_flow_run_state(flow_run_id, Pending(), force=True)
        self._carrier.start(suite_run, await client.read_flow_run(flow_run_id), {"suite_run_id": str(suite_run_id)})
