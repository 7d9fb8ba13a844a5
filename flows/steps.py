"""The steps of an attempt: launch, watch, collect, record. Each may be called again after a crash and goes on.

They are plain coroutines. `test_run` shows them in Prefect as tasks, and the dispatcher calls them bare when Prefect is
away, so that a running test gets its verdict all the same.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from prefect.exceptions import Abort

from cluster.backend import (
    AttemptId,
    Backend,
    CalledOffError,
    Launched,
    LaunchError,
    PlacementError,
    Spooled,
    UnavailableError,
)
from db import executions
from executors.registry import tool_for
from flows import entry, judging, launching, prefect_artifacts
from flows.cancellation_watch import CancellationWatch
from flows.entry import Run
from flows.wakeups import news
from flows.worker_context import WorkerContext
from model import fault
from model.execution import Phase, Verdict
from model.ids import NodeName
from model.mask import NOTHING_SECRET, Mask
from orchestrator import cancel, lifecycle
from orchestrator.lifecycle import Begun, Finished, Grant, Superseded
from reports.markdown import verdict_words

PULSE = 1.0
"""Seconds between two looks at a running test: its log, its progress, its sign of life."""
TURN_EVERY = 0.5
"""Seconds between two looks whether the turn of a test has come that waits for the experiment of its suite."""
TELL_EVERY = 5.0
"""Seconds between two progress updates that are sent to Prefect."""

QUICKLY_WRITTEN = 500
"""Results that are written in milliseconds."""

log = logging.getLogger("assay.steps")


class Attempt:
    """An attempt in this worker's hands. Not a dataclass: Prefect walks through those, and this one holds results."""

    def __init__(self, context: WorkerContext, begun: Begun) -> None:
        self.context = context
        self.begun = begun
        self.backend: Backend = context.backend_of(begun.grant)
        self.launched: Launched | None = None
        self.mask: Mask = NOTHING_SECRET
        self.verdict: Verdict | None = None
        self.avoid: frozenset[NodeName] = frozenset()
        self.finished: Finished | None = None

    @property
    def grant(self) -> Grant:
        """The right by which this worker runs the attempt."""
        return self.begun.grant

    @property
    def id(self) -> AttemptId:
        """What the backend calls the attempt."""
        return launching.attempt_of(self.begun)

    async def bound(self, node: NodeName) -> None:
        """Note on which of its candidates it runs, so that its capacity is counted there."""
        if node != self.grant.node:
            grant = await self.context.db.run_patiently(lambda conn: lifecycle.bound(conn, self.grant, node))
            self.begun = replace(self.begun, grant=grant)


def superseded() -> Abort:
    """Return what ends a flow here and now without a word to Prefect: another worker goes on with it."""
    return Abort("this worker does not hold the run any more")


async def launch(run: Run, grant: Grant) -> Attempt:
    """Start the test, or find it started. Not retried by Prefect: a second call adopts by itself."""
    context = run.context
    begun = await _begun(context, grant)
    entry.say(f"attempt {begun.number} of {begun.name!r} on {grant.node}")
    attempt = Attempt(context, begun)
    try:
        await _start(attempt)
    except LaunchError as failed:
        attempt.verdict = launching.verdict_of(failed)
    except PlacementError as refused:
        attempt.verdict, attempt.avoid = fault.PLACEMENT.verdict(refused.detail), refused.nodes
    except CalledOffError:
        attempt.verdict = fault.STOPPED.verdict("called off before it was started")
    except UnavailableError as failed:
        why = str(failed)
        attempt.verdict = fault.INFRASTRUCTURE.verdict(why)
        await context.db.run_patiently(lambda conn: lifecycle.tell(conn, grant, why))
    if attempt.launched is None:
        await _be_its_holder(context, grant)
        await attempt.backend.end(attempt.id)
    commit = attempt.launched.commit if attempt.launched else None
    if not await context.db.run_patiently(lambda conn: lifecycle.enter(conn, grant, Phase.RUNNING, commit)):
        raise superseded()
    return attempt


async def _begun(context: WorkerContext, grant: Grant) -> Begun:
    """Return the attempt that may be launched, when its turn in its suite has come. Raises: Abort."""
    with context.wakeups.listening(grant.execution_id) as event:
        while True:
            begun = await context.db.run_patiently(lambda conn: lifecycle.begin(conn, grant))
            if isinstance(begun, Superseded):
                raise superseded()
            if isinstance(begun, Begun):
                return begun
            await news(event, TURN_EVERY)


async def _start(attempt: Attempt) -> None:
    """Adopt what was started before, or launch it.

    Raises: LaunchError, PlacementError, CalledOffError, UnavailableError.
    """
    context, begun, backend = attempt.context, attempt.begun, attempt.backend
    for number in begun.lost_here:
        await backend.end(AttemptId(execution_id=begun.grant.execution_id, number=number))
    attempt.launched = await backend.adopt(attempt.id, launching.secret_names(begun.request))
    if attempt.launched is None:
        async with CancellationWatch(context, attempt.grant) as watch_for_cancel:
            attempt.launched = await backend.launch(
                await launching.order(context, begun, watch_for_cancel, attempt.bound)
            )
    if attempt.launched.node is not None:
        await attempt.bound(attempt.launched.node)
    attempt.mask = await launching.mask_of(context, begun, attempt.launched)


async def _be_its_holder(context: WorkerContext, grant: Grant) -> None:
    """Go no further where somebody took the run over meanwhile: what runs for it now may be theirs."""
    asked = await context.db.run_patiently(lambda conn: lifecycle.asked_to_stop(conn, grant))
    if isinstance(asked, Superseded):
        raise superseded()


async def abandon(context: WorkerContext, grant: Grant, why: str) -> None:
    """End an attempt that this worker could not carry. Its process is gone before another one may start.

    Raises: EndError when it cannot be ended; then the run keeps its grant, and this is tried again by whoever holds it.
    """
    backend = context.backend_of(grant)
    number = await context.db.run_patiently(lambda conn: lifecycle.open_number(conn, grant.execution_id))
    attempt = None if number is None else AttemptId(execution_id=grant.execution_id, number=number)
    if attempt is not None:
        await backend.end(attempt)
    lost = fault.INFRASTRUCTURE.verdict(why)
    step = await context.db.run_patiently(lambda conn: lifecycle.abandon(conn, grant, lost))
    if isinstance(step, Superseded):
        raise superseded()
    if attempt is not None:
        await backend.forget(attempt)


async def watch(attempt: Attempt) -> Attempt:
    """Wait until the test has ended; meanwhile carry its log and progress on, and stop it when asked to."""
    if attempt.launched is None:
        return attempt
    reporter = prefect_artifacts.ProgressReporter(attempt.begun, TELL_EVERY)
    with attempt.context.wakeups.listening(attempt.grant.execution_id) as event:
        async with _end_of(attempt, event) as ended:
            while not ended.done():
                await _look(attempt, reporter)
                await news(event, PULSE)
            await ended
    return attempt


@asynccontextmanager
async def _end_of(attempt: Attempt, event: asyncio.Event) -> AsyncIterator["asyncio.Task[None]"]:
    """Give the task that waits for the end of the attempt; it sets `event` then."""
    ended = asyncio.create_task(_wait_patiently(attempt), name=f"end of {attempt.id}")
    ended.add_done_callback(lambda _: event.set())
    try:
        yield ended
    finally:
        ended.cancel()


async def _wait_patiently(attempt: Attempt) -> None:
    """Wait for the end of the attempt, also while its backend cannot be reached."""
    while True:
        try:
            await attempt.backend.wait(attempt.id)
        except UnavailableError as failed:
            log.warning("run %s: waiting for its end failed: %s", attempt.grant.execution_id, failed)
            await asyncio.sleep(PULSE)
        else:
            return


async def collect(attempt: Attempt) -> Attempt:
    """Read what the test left, and judge it."""
    context = attempt.context
    if not await context.db.run_patiently(lambda conn: lifecycle.enter(conn, attempt.grant, Phase.COLLECTING)):
        raise superseded()
    if attempt.launched is None:
        verdict = attempt.verdict or fault.INFRASTRUCTURE.verdict("it was never started")
        attempt.finished = Finished(number=attempt.begun.number, verdict=verdict, avoid=attempt.avoid)
        return attempt
    ending = await attempt.backend.ending(attempt.id)
    if ending is None:
        msg = "an attempt is watched to its end before it is collected"
        raise RuntimeError(msg)
    spooled = await attempt.backend.spool(attempt.id)
    await _append_log(attempt, spooled, final=True)
    attempt.finished = await context.in_thread(
        judging.judged, attempt.begun, ending, spooled, attempt.mask, context.artifacts
    )
    return attempt


async def record(attempt: Attempt) -> Attempt:
    """Write the results and end the run, or send it back to wait; then show it in Prefect."""
    context, finished = attempt.context, attempt.finished
    if finished is None:
        msg = "an attempt is collected before it is recorded"
        raise RuntimeError(msg)
    if await prefect_artifacts.cancel_asked(context, attempt.begun.flow_run_id):
        execution_id, now = attempt.grant.execution_id, context.now()
        await context.db.run_patiently(lambda conn: cancel.cancel(conn, execution_id, by="prefect", now=now))
    step = await _finish(context, attempt.grant, finished)
    if isinstance(step, Superseded):
        raise superseded()
    entry.say(f"attempt {finished.number}: {verdict_words(finished.verdict)} {finished.verdict.detail}".rstrip())
    await attempt.backend.forget(attempt.id)
    await prefect_artifacts.show(attempt.begun, finished, step)
    return attempt


async def _finish(context: WorkerContext, grant: Grant, finished: Finished) -> lifecycle.Next | Superseded:
    """Write the end of an attempt, and give its place on. What takes long to write holds up nobody else's end."""
    if len(finished.results) <= QUICKLY_WRITTEN:
        return await context.change(lambda conn, releases: lifecycle.finish_among(conn, grant, finished, releases))
    step = await context.db.run_patiently(lambda conn: lifecycle.finish(conn, grant, finished))
    await context.pass_gate()
    return step


async def _look(attempt: Attempt, reporter: prefect_artifacts.ProgressReporter) -> None:
    """Stop the test if that was asked for, and report on it. What fails now is done at the next look."""
    try:
        await _stop_if_asked(attempt)
        await _report(attempt, reporter)
    except UnavailableError as failed:
        log.warning("run %s: its backend does not answer: %s", attempt.grant.execution_id, failed)


async def _stop_if_asked(attempt: Attempt) -> None:
    asked = await attempt.context.db.run_patiently(lambda conn: lifecycle.asked_to_stop(conn, attempt.grant))
    if isinstance(asked, Superseded):
        raise superseded()
    if asked:
        await attempt.backend.stop(attempt.id)


async def _report(attempt: Attempt, reporter: prefect_artifacts.ProgressReporter) -> None:
    """Append the new part of the log, and note the progress."""
    context = attempt.context
    spooled = await attempt.backend.spool(attempt.id)
    usage = await attempt.backend.usage(attempt.id)
    await _append_log(attempt, spooled)
    summary = await context.in_thread(tool_for(attempt.begun.request.type).progress, spooled.results)
    note = prefect_artifacts.progress(summary, usage)
    mine = lifecycle.fence(attempt.grant)
    await context.db.run_patiently(lambda conn: executions.set_progress(conn, mine, note))
    await reporter.tell(summary)


async def _append_log(attempt: Attempt, spooled: Spooled, *, final: bool = False) -> None:
    """Carry the log on. What cannot be written now is written the next time: nothing is lost by a disk that is full."""
    context, execution_id, number = attempt.context, attempt.grant.execution_id, attempt.begun.number
    try:
        await context.in_thread(
            context.logs.append_from, spooled.output, execution_id, number, attempt.mask, final=final
        )
    except OSError as failed:
        log.warning("run %s: its log could not be carried on: %s", execution_id, failed)
