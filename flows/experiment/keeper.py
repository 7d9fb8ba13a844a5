"""Keeps an experiment while it runs: signs of life for its faults, and what asks for its end.

It asks for the end when a person aborted it, when a limit is reached, when nothing can be observed any more, and when
the database was away for too long. Signs of life stop with the database: then the guards revert, whatever happens here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

from chaos.experiment_states import Step
from chaos.journal import EventKind
from chaos.observed import advance
from chaos.verdict import End
from db import runs
from db.errors import UnavailableError
from db.runs import Run
from flows.experiment import faults, safety
from flows.experiment.alerts import Announcer
from flows.experiment.run import ExperimentRun
from flows.wakeups import news
from model.execution import Status

LOOK_SECONDS = 2.0
"""Between two looks at the database, which are also the signs of life. A notice of an abort leads to a look at once."""
LIMIT_SECONDS = 0.5
SAFETY_SECONDS = 10.0
DATABASE_PATIENCE = 10.0
"""Seconds for which the database may be away while a fault is active."""
GUARDED = frozenset({Step.INJECT, Step.OBSERVE})

log = logging.getLogger("assay.experiments")


@asynccontextmanager
async def keeping(run: ExperimentRun) -> AsyncIterator[None]:
    """Keep an experiment as long as this context is open. On the way out nothing of it stays in the world."""
    announcer = Announcer(run)
    work = (_look_for_wishes, _look_at_limits, _ask_again, _end_with_window)
    tasks = [asyncio.create_task(one(run)) for one in work]
    tasks.append(asyncio.create_task(announcer.keep_telling()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.shield(_leave(run, announcer))


async def _leave(run: ExperimentRun, announcer: Announcer) -> None:
    if run.observer is not None:
        await run.observer.stop()
    await faults.revert_all(run)
    await announcer.close()


async def _look_for_wishes(run: ExperimentRun) -> None:
    """Read what the database wants of the run, and give the signs of life of its faults."""
    loop = asyncio.get_running_loop()
    answered = loop.time()
    with run.context.wakeups.listening(run.grant.execution_id) as event:
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    row = await run.context.db.run(lambda conn: runs.find(conn, run.grant.execution_id))
                _obey(run, row)
                answered = loop.time()
                await faults.beat(run)
                await run.show()
            except (UnavailableError, TimeoutError) as away:
                log.warning("run %s: the database does not answer: %r", run.grant.execution_id, away)
                if loop.time() - answered > DATABASE_PATIENCE and run.active:
                    run.stop(End.INFRASTRUCTURE, "the database was away while a fault was active")
            except Exception:  # then no sign of life was given: the guards revert if that goes on
                log.exception("run %s: looking for its end failed", run.grant.execution_id)
            await news(event, LOOK_SECONDS)


def _obey(run: ExperimentRun, row: Run) -> None:
    """Look whether the run is still ours, and whether somebody asked for its end."""
    if row.status is not Status.RUNNING or row.epoch != run.grant.epoch:
        run.lose()
    elif row.cancel_requested:
        by = f"{row.cancelled_by or 'somebody'} aborted it"
        run.stop(End.ABORTED, by, EventKind.PERSON, row.cancel_requested_at)


async def _ask_again(run: ExperimentRun) -> None:
    """Ask the safety checks again while a fault is active. What cannot be asked blocks, as before the fault."""
    if all(check.none is not None for check in run.experiment.safety_checks):
        return
    while True:
        await asyncio.sleep(SAFETY_SECONDS)
        if run.state.step is not Step.OBSERVE:
            continue
        if reasons := await fail_closed("the safety checks", safety.reasons_to_stop(run)):
            run.stop(End.BLOCKED, "; ".join(reasons), EventKind.LIMIT)


async def _end_with_window(run: ExperimentRun) -> None:
    """Ask for the end when the time is over in which the team allows experiments, as it is now."""
    loop = asyncio.get_running_loop()
    asked = loop.time()
    while True:
        await asyncio.sleep(LIMIT_SECONDS)
        if run.state.step not in GUARDED:
            continue
        closes = run.window_closes
        if closes is not None and run.context.now() >= closes:
            reason = f"the window in which its team allows experiments ended at {closes:%Y-%m-%d %H:%M:%S} UTC"
            run.stop(End.BLOCKED, reason, EventKind.LIMIT)
        if loop.time() - asked < SAFETY_SECONDS:
            continue
        asked = loop.time()
        if reasons := await fail_closed("the rules of its team", safety.closed_now(run)):
            run.stop(End.BLOCKED, "; ".join(reasons), EventKind.LIMIT)


async def fail_closed(asked: str, answer: Awaitable[Sequence[str]]) -> Sequence[str]:
    """Return the reasons to stop. Who cannot be asked is one, but for the database, which has a patience of its own."""
    try:
        return await answer
    except UnavailableError as away:
        log.warning("%s cannot be asked while the database is away: %s", asked, away)
        return ()
    except Exception as error:
        log.exception("%s cannot be asked under a fault", asked)
        return (f"{asked} cannot be asked ({type(error).__name__}: {error}): see the log of the worker",)


async def _look_at_limits(run: ExperimentRun) -> None:
    while True:
        await asyncio.sleep(LIMIT_SECONDS)
        observer = run.observer
        if observer is None or not observer.running:
            continue
        if observer.broken is not None and run.state.step in {*GUARDED, Step.BASELINE}:
            run.stop(End.INFRASTRUCTURE, f"nothing can be observed: {observer.broken}")
        now, hypothesis = run.context.now(), run.experiment.hypothesis
        run.watches = tuple(advance(watch, hypothesis, observer.seen, now) for watch in run.watches)
        halted = next((watch.halt for watch in run.watches if watch.halt), None)
        if halted is not None and run.state.step in GUARDED:
            run.stop(End.HALTED, halted.sentence, EventKind.LIMIT)
