"""The steps of an experiment. Each returns the event that it leads to; `chaos.experiment_states` says what comes next.

Quiet steps, those before the first fault, may be done again after a takeover. All of them end early when something asks
for the end of the experiment.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from chaos.comparison import MOST_EARLIER
from chaos.experiment import Order
from chaos.experiment_states import Done, Event, FaultOver, Grown, Judged, Step, Stopped, WrittenDown
from chaos.journal import Journal
from chaos.judge_experiment import judge_experiment, steady_again, unhealthy_before, why_missed
from chaos.observed import Span, watches
from chaos.plan import plan
from chaos.price import burn_watches
from chaos.provider import FaultStatus
from chaos.targets import Resolution, grown, resolve
from chaos.verdict import End
from chaos.windows import Window
from cluster.fault_providers import Found, PlaceError
from db import chaos_faults, chaos_history, chaos_switch
from db.gate import queue
from flows import prefect_artifacts
from flows.experiment import companions, faults, preflight, safety, suite
from flows.experiment.findings import compared, evidence, findings, journal_of, recovering
from flows.experiment.observer import Observer, Sources
from flows.experiment.reach import Reach, reach_of
from flows.experiment.run import ExperimentRun
from flows.steps import superseded
from model.claims import covers
from model.ids import RunId
from orchestrator import experiments
from orchestrator.lifecycle import Superseded
from reports.experiment_markdown import experiment_markdown

LOOK_SECONDS = 0.5
"""Between two looks whether the system has recovered."""


async def safety_check(run: ExperimentRun) -> Event | None:
    """Ask everything that must be safe. Outside of a window of its team it waits in the gate: then it returns None."""
    standing = await safety.rules_say(run, Step.SAFETY_CHECK)
    if standing.held is not None and run.suite is not None:
        return _blocked(run, (*standing.against, standing.held.why))  # its tests have their places already (028.2)
    if standing.held is not None and not standing.against:
        await run.write_down()
        held = standing.held
        if not await run.context.db.run_patiently(lambda conn: experiments.hold(conn, run.grant, held)):
            raise superseded()
        await run.context.pass_gate()
        return None
    reasons = await safety.reasons_against(run, Step.SAFETY_CHECK, standing)
    return _blocked(run, reasons) if reasons else Done(step=Step.SAFETY_CHECK)


async def resolve_targets(run: ExperimentRun) -> Event:
    """Find the targets, and refuse what must not be done to them."""
    found = await _looked(run)
    if isinstance(found, Stopped):
        return found
    run.resolution = found
    return _blocked(run, found.problems) if found.problems else Done(step=Step.RESOLVE_TARGETS)


async def admit(run: ExperimentRun) -> Event | None:
    """Go on if the gate gave everything that the targets need. Otherwise wait there once more: then it returns None."""
    needed = experiments.claims_of(run.experiment, _resolution(run))
    if all(covers(run.claims, path) for path in needed):
        return run.asked() or Done(step=Step.ADMIT)
    await run.write_down()
    await companions.end_all(run)
    if not await run.context.db.run_patiently(lambda conn: experiments.again(conn, run.grant, needed)):
        raise superseded()
    await run.context.pass_gate()
    return None


async def baseline(run: ExperimentRun) -> Event:
    """Observe the system without a fault, right before the fault."""
    reach = await reach_of(run)
    if isinstance(reach, Stopped):
        return reach
    if (held_up := await companions.start(run)) is not None:
        return held_up
    begins = run.context.now()
    if run.observer is not None:
        await run.observer.stop()  # its companions are others now
    run.observer = _observer(run, reach)
    run.observer.start()
    limits = watches(run.experiment.hypothesis, run.experiment.halt_conditions, begins)
    run.watches = (*limits, *burn_watches(run.experiment, begins))
    asked = await suite.through_baseline(run, begins + run.experiment.baseline)
    run.spans[Window.BASELINE] = Span(begins=begins, ends=run.context.now())
    stopped = asked or await companions.look_again(run) or await suite.under_way(run)
    return stopped or Done(step=Step.BASELINE)


async def recheck(run: ExperimentRun) -> Event:
    """Look again, right before the fault: safety, targets, steady state, and that nothing preempts it from here on."""
    standing = await safety.rules_say(run, Step.RECHECK)
    reasons = await safety.reasons_against(run, Step.RECHECK, standing)
    unsteady = _unsteady(run)
    if reasons or unsteady:
        return _blocked(run, (*reasons, *unsteady))
    found = await _looked(run)
    if isinstance(found, Stopped):
        return found
    before, run.resolution = _resolution(run), found
    if found.problems:
        return _blocked(run, found.problems)
    if grown(before, found):
        return Grown()
    return await _cleared(run, found)


def _unsteady(run: ExperimentRun) -> list[str]:
    """Return what was not steady in the baseline: a limit that was reached, or a health check that failed."""
    halted = [watch.halt for watch in run.watches if watch.halt]
    if run.observer is None or (span := run.spans.get(Window.BASELINE)) is None:
        return [f"before the fault, {halt.sentence}" for halt in halted]
    seen = run.observer.seen
    said = [f"before the fault, {halt.sentence}{why_missed(halt.watched, seen)}" for halt in halted]
    watched = {halt.watched for halt in halted}
    checks = [check for check in run.experiment.hypothesis.health_checks if check.name not in watched]
    return [*said, *unhealthy_before(checks, seen, span)]


async def _cleared(run: ExperimentRun, found: Resolution) -> Event:
    """Ask who must agree at last, and let nothing preempt the experiment any more."""
    if refused := await preflight.preflight(run, found):
        return _blocked(run, refused)
    if not await run.context.db.run_patiently(partial(_guard, run, on=True)):
        return run.asked() or Stopped(end=End.INFRASTRUCTURE, reason="the gate takes its place for another run")
    return run.asked() or Done(step=Step.RECHECK)


async def write_down(run: ExperimentRun, number: int) -> WrittenDown | Stopped:
    """Write a fault down. Where a kill came before it, its targets are others now: they are looked for until ready."""
    if number == 0 and (stopped := await suite.look_again(run)) is not None:
        return stopped
    if run.experiment.follows_kill(number) and (stopped := await _targets_are_back(run)) is not None:
        return stopped
    return await faults.write_down(run, number)


async def _targets_are_back(run: ExperimentRun) -> Stopped | None:
    """Wait until as many targets are ready as before, and go on with these."""
    before, until = _resolution(run), run.context.now() + run.experiment.recovery
    while True:
        found = await _looked(run, ready=True)
        if isinstance(found, Stopped):
            return found
        if not found.problems and len(found.targets) == len(before.targets) and not grown(before, found):
            run.resolution = found
            return None
        if run.context.now() >= until:
            why = "; ".join(found.problems) or f"{len(found.targets)} of {len(before.targets)} are ready"
            return Stopped(end=End.INFRASTRUCTURE, reason=f"the targets did not come back for the next fault: {why}")
        if (asked := await run.pause(run.context.now() + timedelta(seconds=LOOK_SECONDS), until)) is not None:
            return asked


async def observe(run: ExperimentRun) -> Event:
    """Observe the system under the faults until their time is over, or until the next of a sequence is due."""
    if run.experiment.order is Order.SEQUENCE:
        number = max(run.injected_at)
        asked = await run.wait(run.injected_at[number] + _lasts(run, number))
        last = number + 1 == len(run.experiment.faults)
        return asked or (Done(step=Step.OBSERVE) if last else FaultOver(fault=number))
    ends = sorted((run.injected_at[number] + _lasts(run, number), number) for number in run.injected_at)
    for at, number in ends:
        if (asked := await run.wait(at)) is not None:
            return asked
        if at < ends[-1][0]:
            await faults.end_early(run, number)
    return Done(step=Step.OBSERVE)


async def recovery(run: ExperimentRun) -> Event:
    """Observe until everything is steady again, or the time for that is over."""
    await run.context.db.run_patiently(partial(_guard, run, on=False))
    until = run.context.now() + run.experiment.recovery
    run.go_back()
    await suite.recover(run)
    asked = run.asked()
    while asked is None and run.observer and run.context.now() < until:
        asked = await run.pause(min(until, run.context.now() + timedelta(seconds=LOOK_SECONDS)), until)
        if await asyncio.to_thread(steady_again, recovering(run)):  # an hour of answers takes seconds
            break
    recovering(run)
    if run.observer:
        await run.observer.stop()
    return asked if asked is not None and run.state.end is None else Done(step=Step.RECOVERY)


async def judge(run: ExperimentRun) -> Event:
    """Judge the hypothesis, once."""
    rows = await run.context.db.run_patiently(lambda conn: chaos_faults.of_run(conn, run.grant.execution_id))
    await companions.note_what_broke_off(run)
    run.judged = await asyncio.to_thread(judge_experiment, evidence(run, rows))
    return Judged(judgement=run.judged.judgement, reason=run.judged.reason)


async def record(run: ExperimentRun) -> Event:
    """Write everything down and end the run, in one transaction. The judgement is in the database already.

    So the tests of its suite are waited for here: what ends the wait, an abort or the loss of the worker, changes no
    verdict. Where nothing was judged, nobody is waited for.
    """
    await faults.revert_forgotten(run)
    await companions.end_all(run)
    if run.state.end in {End.JUDGED, End.HALTED} and any(run.state.faults):
        await suite.all_ended(run)
    rows = await run.context.db.run_patiently(lambda conn: chaos_faults.of_run(conn, run.grant.execution_id))
    left = [row for row in rows if row.status is FaultStatus.RESIDUAL]
    if left and run.state.end is not End.RESIDUAL:
        reason = "; ".join(f"{row.name}: {', '.join(row.remains)}" for row in left)
        run.state = replace(run.state, end=End.RESIDUAL, reason=reason)
    end, verdict = run.state.end or End.INFRASTRUCTURE, run.state.verdict
    if verdict is None:
        msg = f"run {run.grant.execution_id} is recorded without an ending"
        raise RuntimeError(msg)
    reason = run.judged.reason if end is End.JUDGED and run.judged else run.state.reason
    earlier = await run.context.db.run_patiently(
        lambda conn: chaos_history.earlier_runs(conn, RunId(run.grant.execution_id), MOST_EARLIER)
    )
    journal = compared(run, journal_of(run, rows, verdict, reason), earlier)
    found, ended = findings(run, journal), experiments.verdict_of(end, run.state.judgement, reason)
    done = await run.context.db.run_patiently(lambda conn: experiments.end(conn, run.grant, ended, found))
    if isinstance(done, Superseded):
        raise superseded()
    await run.context.pass_gate()
    await _show(run, journal)
    return Done(step=Step.RECORD)


async def _show(run: ExperimentRun, journal: Journal) -> None:
    """Leave the outcome on Prefect's page."""
    name = run.experiment.name
    key = prefect_artifacts.artifact_key("experiment", name, run.grant.execution_id)
    await prefect_artifacts.markdown(key, experiment_markdown(journal), f"{name}: {journal.verdict.word}")


STEPS: Mapping[Step, Callable[[ExperimentRun], Awaitable[Event | None]]] = {
    Step.SAFETY_CHECK: safety_check,
    Step.RESOLVE_TARGETS: resolve_targets,
    Step.ADMIT: admit,
    Step.BASELINE: baseline,
    Step.RECHECK: recheck,
    Step.OBSERVE: observe,
    Step.RECOVERY: recovery,
    Step.JUDGE: judge,
    Step.RECORD: record,
}
"""What a `Begin` of a step does. Faults are injected and reverted by commands of their own."""


async def _looked(run: ExperimentRun, *, ready: bool = False) -> Resolution | Stopped:
    """Look for the targets now, only ready ones if asked for; return them with every reason against the experiment."""
    try:
        found = await run.place.targets.find(run.experiment.target)
    except PlaceError as error:
        return Stopped(end=End.INFRASTRUCTURE, reason=str(error))
    if ready:
        found = replace(found, candidates=tuple(one for one in found.candidates if one.ready))
    cordons = await run.context.db.run_patiently(chaos_switch.cordons)
    return _checked(run, found, cordons)


def _checked(run: ExperimentRun, found: Found, cordons: list[chaos_switch.CordonedTarget]) -> Resolution:
    resolution = resolve(run.experiment, found.candidates, found.graph)
    planned = plan(run.experiment, resolution, there=found.providers)
    cordoned = [
        f"{one.path} is cordoned: {one.reason}; `assay chaos target uncordon {one.path}` when a person has looked"
        for one in cordons
        if one.path in planned.claims or one.path == run.experiment.target.claim
    ]
    return replace(resolution, problems=(*planned.problems, *cordoned))


def _observer(run: ExperimentRun, reach: Reach) -> Observer:
    namespace = run.experiment.target.namespace
    conditions = partial(run.place.condition, namespace) if namespace else None
    sources = Sources(metrics=reach.metrics, conditions=conditions, commands=run.command_looks)
    return Observer(run.experiment, run.context.now, reach.hosts, sources)


def _blocked(run: ExperimentRun, reasons: tuple[str, ...]) -> Stopped:
    asked = run.asked()
    return asked or Stopped(end=End.BLOCKED, reason="; ".join(reasons))


def _resolution(run: ExperimentRun) -> Resolution:
    if run.resolution is None:
        msg = f"run {run.grant.execution_id} has no targets yet"
        raise RuntimeError(msg)
    return run.resolution


def _lasts(run: ExperimentRun, number: int) -> timedelta:
    return timedelta(seconds=run.experiment.faults[number].duration_seconds)


def _guard(run: ExperimentRun, conn: Connection, *, on: bool) -> bool:
    return queue.guard(conn, run.grant.execution_id, run.grant.epoch, on=on)
