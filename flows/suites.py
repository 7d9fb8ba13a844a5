"""How the flow of a suite comes in, waits for its tests and shows them; and who goes on when a worker is gone."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed, Pending
from reports.markdown import suite_summary

from db import gate, people, suites
from db.errors import NotFoundError
from flows.carrier import Carrier
from flows.doors import CARRIED, LOOK_AGAIN, Carried, say
from flows.house import House, house
from flows.places import news
from model.execution import Door, Verdict
from model.ids import SuiteRunId, short
from model.problems import InvalidError
from model.suite import check_suite
from orchestrator import suites as cases
from orchestrator.submit import OverQuota
from orchestrator.suites import SuiteOrder, SuiteSkipped, SuiteSubmitted

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
    if suite_run_id is not None:
        return await _known(str(suite_run_id))
    carried = CARRIED.get()
    if carried and (known := await house().db.run_patiently(lambda c: suites.by_flow_run(c, carried.flow_run_id))):
        return SuiteRun(suite_run_id=known)
    return await _submitted(suite)


async def all_ended(run: SuiteRun) -> None:
    """Wait until every test of the suite has its verdict; its place in the database is then closed too."""
    here = house()
    await here.db.run_patiently(lambda conn: suites.host(conn, run.suite_run_id, here.settings.worker))
    with here.places.listening(str(run.suite_run_id), "ended") as event:
        while await here.db.run_patiently(lambda conn: cases.close(conn, run.suite_run_id, here.now())) is None:
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


async def _known(text: str) -> SuiteRun | NotRun:
    try:
        run = SuiteRun(suite_run_id=SuiteRunId(UUID(text)))
        await house().db.run_patiently(lambda conn: cases.standing(conn, run.suite_run_id))
    except (ValueError, NotFoundError):
        return _refused(f"suite_run_id: there is no suite run {text}")
    return run


async def _submitted(suite: Mapping[str, Any] | None) -> SuiteRun | NotRun:
    here = house()
    carried = CARRIED.get()
    try:
        checked = check_suite(suite)
        if carried and (note := await _later_one_is_due(here, carried)):
            return _skipped(note)
        made = SuiteRunId(here.new_id())
        outcome = await here.db.run_patiently(
            lambda conn: cases.submit_suite(
                conn,
                SuiteOrder(
                    suite=checked,
                    suite_run_id=made,
                    user_id=people.deployment_user(conn, carried.deployment if carried else ""),
                    door=Door.PREFECT,
                    now=here.now(),
                    pool=here.settings.pool,
                    flow_run_id=carried.flow_run_id if carried else None,
                    scheduled=bool(carried and carried.scheduled),
                ),
            )
        )
    except InvalidError as wrong:
        return _refused(*(f"{problem.path}: {problem.message}" for problem in wrong.problems))
    return await _entered(here, outcome)


async def _entered(here: House, outcome: SuiteSubmitted | SuiteSkipped | OverQuota) -> SuiteRun | NotRun:
    if isinstance(outcome, OverQuota):
        return NotRun(state=Failed(name="OverQuota", message=str(outcome)))
    if isinstance(outcome, SuiteSkipped):
        return _skipped(outcome.note)
    await here.db.run_patiently(lambda conn: gate.run_pass(conn, here.settings.pool))
    return SuiteRun(suite_run_id=outcome.suite_run_id)


async def _later_one_is_due(here: House, carried: Carried) -> str | None:
    """After a downtime only the latest of the missed scheduled runs is run."""
    if not carried.scheduled or carried.due is None or carried.deployment_id is None:
        return None
    later = await here.client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[carried.deployment_id]),
            expected_start_time=FlowRunFilterExpectedStartTime(after_=_just_after(carried.due), before_=here.now()),
        ),
        limit=10,
    )
    if not any(run.auto_scheduled for run in later):
        return None
    return f"missed at {carried.due:%Y-%m-%d %H:%M} and not made up for: a later run of this schedule is due"


def _just_after(moment: datetime) -> datetime:
    return moment.replace(microsecond=999_999)


def _skipped(note: str) -> NotRun:
    say(note)
    return NotRun(state=Completed(name="Skipped", message=note))


def _refused(*lines: str) -> NotRun:
    return NotRun(state=Failed(name="Refused", message="\n".join(["refused, nothing was queued", *lines])))


class Orphans:
    """Suite flows whose worker is gone: Prefect says that they run, and nobody carries them."""

    def __init__(self, here: House, carrier: Carrier) -> None:
        self._here = here
        self._carrier = carrier

    async def take_up(self) -> None:
        """Go on with what no live worker carries."""
        from flows.suite_run import suite_run  # noqa: PLC0415  the flow imports this module

        client, worker = self._here.client, self._here.settings.worker
        for suite_run_id, flow_run_id in await self._here.db.run(lambda conn: suites.take_orphans(conn, worker)):
            await client.set_flow_run_state(flow_run_id, Pending(), force=True)
            flow_run = await client.read_flow_run(flow_run_id)
            self._carrier.start(suite_run, flow_run, {"suite_run_id": str(suite_run_id)})
