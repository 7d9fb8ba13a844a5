"""Starts the companions of an experiment, waits until they run, and ends them (`orchestrator.companions`)."""

from datetime import datetime, timedelta
from functools import partial

from chaos.experiment_states import Step, Stopped
from chaos.journal import EventKind
from chaos.verdict import End
from chaos.windows import Window
from cluster.fault_providers import near
from cluster.observation.command_looks import CommandLooks
from flows.experiment.run import ExperimentRun
from model.problems import InvalidError
from orchestrator import companions
from orchestrator.companions import Idle, Leader
from orchestrator.experiments import claims_of
from orchestrator.submit import OverQuota

LOOK = timedelta(seconds=0.5)
NOT_BEGUN = (
    f"did not begin within {companions.LONGEST_START.total_seconds():.0f} s: `assay explain` with its id tells what it "
    "waited for; make room for it in the pool, and run the experiment again"
)


async def start(run: ExperimentRun) -> Stopped | None:
    """Start the companions, and wait until all of them run. Return why the experiment must not go on, if so."""
    if not companions.has_any(run.experiment):
        return None
    context, leader = run.context, leader_of(run)
    try:
        started = await context.db.run_patiently(
            lambda conn: companions.start(conn, leader, context.now(), context.contents.has)
        )
    except InvalidError as wrong:
        return Stopped(end=End.BLOCKED, reason="; ".join(f"{one.path}: {one.message}" for one in wrong.problems))
    if isinstance(started, OverQuota):
        return Stopped(end=End.BLOCKED, reason=str(started))
    run.companions = started
    await context.pass_gate()
    return await _all_run(run)


async def _all_run(run: ExperimentRun) -> Stopped | None:
    until = run.context.now() + companions.LONGEST_START
    while waiting := await idle(run):
        if any(one.ended for one in waiting) or run.context.now() >= until:
            return _given_up(waiting, NOT_BEGUN)
        if (asked := await run.pause(min(until, run.context.now() + LOOK), until)) is not None:
            return asked
    for one in run.companions:
        run.note(EventKind.STEP, f"{one.title}, runs")
    return await _all_looked(run, until)


async def _all_looked(run: ExperimentRun, until: datetime) -> Stopped | None:
    """Wait until each health check of type command has looked once: what is missing later is a miss."""
    run.command_looks = command_looks_of(run)
    while run.command_looks is not None:
        await run.command_looks.read_on()
        if run.command_looks.all_began:
            return None
        if waiting := await idle(run):
            return _given_up(waiting, "did not look")
        if run.context.now() >= until:
            return Stopped(end=End.INFRASTRUCTURE, reason="the log of the health checks does not reach this worker")
        if (asked := await run.pause(min(until, run.context.now() + LOOK), until)) is not None:
            return asked
    return None


def command_looks_of(run: ExperimentRun) -> CommandLooks | None:
    """Return what reads the looks of the health checks of type command, None if there are none."""
    made_by = [one.run_id for one in run.companions if one.purpose == companions.HEALTH_CHECKS]
    names = [check.name for check in run.experiment.hypothesis.commands]
    return CommandLooks(names, partial(run.context.logs.read, made_by[0])) if made_by else None


async def idle(run: ExperimentRun) -> tuple[Idle, ...]:
    """Return the companions that do not run."""
    if not run.companions:
        return ()
    return await run.context.db.run_patiently(lambda conn: companions.idle(conn, run.companions))


async def look_again(run: ExperimentRun) -> Stopped | None:
    """Return why no fault may be injected: a companion ended in the baseline."""
    waiting = await idle(run)
    return _given_up(waiting, "did not run on through the baseline") if waiting else None


def _given_up(waiting: tuple[Idle, ...], why: str) -> Stopped:
    said = (one.sentence if one.ended else f"{one.sentence}: it {why}" for one in waiting)
    return Stopped(end=End.INFRASTRUCTURE, reason=f"before the fault, {'; '.join(said)}")


async def note_what_broke_off(run: ExperimentRun) -> None:
    """Note which companions did not run until the faults were over. What they did not do cannot be judged."""
    span = run.spans.get(Window.FAULT)
    if run.companions and span is not None:
        run.broke_off = await run.context.db.run_patiently(
            lambda conn: companions.broke_off(conn, run.companions, span.ends)
        )


async def end_all(run: ExperimentRun) -> None:
    """Ask for the end of everything that the experiment has started, by whichever worker."""
    leader, now = leader_of(run), run.context.now()
    await run.context.db.run_patiently(lambda conn: companions.end_all(conn, leader, now))


def leader_of(run: ExperimentRun) -> Leader:
    """Return the run as what starts companions."""
    baselines = sum(phase.name == Step.BASELINE for phase in run.phases)
    paths = claims_of(run.experiment, run.resolution) if run.resolution else ()
    paths = paths if run.suite is None else (run.experiment.target.place,)
    return Leader(
        run_id=run.grant.execution_id,
        experiment=run.experiment,
        claims=paths,
        number=baselines,
        near=near(run.experiment.target),
    )
