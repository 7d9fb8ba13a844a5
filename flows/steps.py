"""The steps of an attempt: launch, watch, collect, record. Each may be called again after a crash and goes on.

They are plain coroutines; `test_run` shows them in Prefect as tasks, and the carrier calls them bare when Prefect is
away, so that a running test gets its verdict all the same.
"""

import asyncio
import logging
import os
from dataclasses import replace
from pathlib import Path

from prefect.exceptions import Abort

from cluster.local import cleanup, masking, processes
from cluster.local.guarded_command import StoppedError
from db import executions
from executors.last_words import last_words
from executors.registry import tool_for
from flows import entry, launching, prefect_artifacts
from flows.cancellation_watch import CancellationWatch
from flows.wakeups import news
from flows.worker_context import WorkerContext, current_context
from model.execution import Phase, Reason, Status, Verdict
from model.mask import Mask
from model.result import Artifact, Result
from model.verdict import Ending, How, has_report, judge, whole_result
from orchestrator import cancel, lifecycle
from orchestrator.lifecycle import Begun, Finished, Grant, Superseded
from reports.markdown import verdict_words

PULSE = 1.0
"""Seconds between two looks at a running test: its log, its progress, its sign of life."""
TELL_EVERY = 5.0
"""Seconds between two progress updates that Prefect is sent."""

QUICKLY_WRITTEN = 500
"""Results that are written in milliseconds."""

log = logging.getLogger("assay.steps")


class Attempt:
    """An attempt in this worker's hands. Not a dataclass: Prefect walks through those, and this one holds results."""

    def __init__(self, begun: Begun, folder: Path) -> None:
        self.begun = begun
        self.folder = folder
        self.started: launching.Started | None = None
        self.verdict: Verdict | None = None
        self.finished: Finished | None = None

    @property
    def grant(self) -> Grant:
        """The place that this attempt holds."""
        return self.begun.grant


def superseded() -> Abort:
    """Return what ends a flow here and now without a word to Prefect: another worker goes on with it."""
    return Abort("this worker does not hold the run any more")


async def launch(grant: Grant) -> Attempt:
    """Start the test's process, or find it started. Not retried by Prefect: a second call adopts by itself."""
    context = current_context()
    begun = await context.db.run_patiently(lambda conn: lifecycle.begin(conn, grant))
    if isinstance(begun, Superseded):
        raise superseded()
    entry.say(f"attempt {begun.number} of {begun.name!r} on {grant.node}")
    attempt = Attempt(begun, context.folder(grant.execution_id, begun.number))
    try:
        attempt.started = await _started(context, attempt)
    except launching.LaunchError as failed:
        attempt.verdict = failed.verdict
    except OSError as failed:
        attempt.verdict = lifecycle.refused_start(f"this machine could not start it: {failed}", Reason.INFRASTRUCTURE)
    if attempt.started is None:
        await _be_its_holder(context, grant)
        await _make_sure_it_is_gone(context, grant, begun.number)
    if not await context.db.run_patiently(lambda conn: lifecycle.enter(conn, grant, Phase.RUNNING)):
        raise superseded()
    return attempt


async def _started(context: WorkerContext, attempt: Attempt) -> launching.Started | None:
    """Adopt what runs, or prepare and start it; None when it was called off before it was started."""
    begun, folder = attempt.begun, attempt.folder
    if (running := await context.in_thread(launching.adopt, context, begun, folder)) is not None:
        return running
    try:
        async with CancellationWatch(context, attempt.grant) as watch_for_cancel:
            order = launching.Launch(begun=begun, folder=folder, stopped=watch_for_cancel.called_off)
            requirements = await watch_for_cancel.run(context.launchers, launching.prepare_content, context, order)
            ready = await context.in_thread(launching.environment_ready, context, begun, requirements)
            await watch_for_cancel.look_again()
            return await watch_for_cancel.run(
                context.launchers if ready else context.builders, launching.start, context, order, requirements
            )
    except StoppedError:
        attempt.verdict = Verdict(status=Status.CANCELLED, detail="called off before it was started")
        return None


async def _be_its_holder(context: WorkerContext, grant: Grant) -> None:
    """Go no further where somebody took the run over meanwhile: what is in its folder now may be theirs."""
    asked = await context.db.run_patiently(lambda conn: lifecycle.asked_to_stop(conn, grant))
    if isinstance(asked, Superseded):
        raise superseded()


async def abandon(grant: Grant, why: str) -> None:
    """End an attempt that this worker could not carry. Its process is gone before another one may start.

    Raises: SweepError when it cannot be ended; then the place is kept, and this is tried again by whoever holds it.
    """
    context = current_context()
    number = await context.db.run_patiently(lambda conn: lifecycle.open_number(conn, grant.execution_id))
    if number is not None:
        await _make_sure_it_is_gone(context, grant, number)
    lost = lifecycle.refused_start(why, Reason.INFRASTRUCTURE)
    step = await context.db.run_patiently(lambda conn: lifecycle.abandon(conn, grant, lost))
    if isinstance(step, Superseded):
        raise superseded()
    if number is not None:
        await context.in_thread(masking.discard, context.folder(grant.execution_id, number))


async def _make_sure_it_is_gone(context: WorkerContext, grant: Grant, number: int) -> None:
    folder = context.folder(grant.execution_id, number)
    await context.in_thread(processes.end, folder, grant.execution_id, number)


async def watch(attempt: Attempt) -> Attempt:
    """Wait until the test's process has ended; meanwhile carry its log and progress, and stop it when asked to."""
    started = attempt.started
    if started is None:
        return attempt
    context = current_context()
    reporter = prefect_artifacts.ProgressReporter(TELL_EVERY)
    with context.wakeups.listening(attempt.grant.execution_id) as event, _exit_of(started.handle, event):
        while await context.in_thread(processes.alive, started.handle):
            await _stop_if_asked(context, attempt.grant, started)
            await _report(context, attempt, started, reporter)
            await news(event, PULSE)
    return attempt


async def collect(attempt: Attempt) -> Attempt:
    """Read what the test left, and judge it."""
    context = current_context()
    if not await context.db.run_patiently(lambda conn: lifecycle.enter(conn, attempt.grant, Phase.COLLECTING)):
        raise superseded()
    if attempt.started is not None:
        await _append_log(context, attempt, attempt.started, final=True)
    attempt.finished = await context.in_thread(_judged, context, attempt)
    return attempt


async def record(attempt: Attempt) -> Attempt:
    """Write the results and end the run, or send it back to wait; then show it in Prefect."""
    context = current_context()
    finished = attempt.finished
    if finished is None:
        msg = "an attempt is collected before it is recorded"
        raise RuntimeError(msg)
    if await prefect_artifacts.cancel_asked(attempt.begun.flow_run_id):
        execution_id, now = attempt.grant.execution_id, context.now()
        await context.db.run_patiently(lambda conn: cancel.cancel(conn, execution_id, by="prefect", now=now))
    step = await _finish(context, attempt.grant, finished)
    if isinstance(step, Superseded):
        raise superseded()
    entry.say(f"attempt {finished.number}: {verdict_words(finished.verdict)} {finished.verdict.detail}".rstrip())
    await context.in_thread(cleanup.forget, attempt.folder)
    await prefect_artifacts.show(attempt.begun, finished, step)
    return attempt


async def _finish(context: WorkerContext, grant: Grant, finished: Finished) -> lifecycle.Next | Superseded:
    """Write the end of an attempt, and give its place on. What takes long to write holds up nobody else's end."""
    if len(finished.results) <= QUICKLY_WRITTEN:
        return await context.change(lambda conn, releases: lifecycle.finish_among(conn, grant, finished, releases))
    step = await context.db.run_patiently(lambda conn: lifecycle.finish(conn, grant, finished))
    await context.pass_gate()
    return step


def _judged(context: WorkerContext, attempt: Attempt) -> Finished:
    """Read and judge, in a thread: everything here is files."""
    grant, begun, started = attempt.grant, attempt.begun, attempt.started
    if started is None:
        verdict = attempt.verdict or lifecycle.refused_start("it was never started")
        return Finished(number=begun.number, verdict=verdict)
    ended = processes.exit_record(attempt.folder)
    if ended is None:  # the shim itself was killed: what it left running has to go before anything is tried again
        processes.sweep(grant.execution_id, begun.number, attempt.folder)
    ending = ending_of(ended)
    report = tool_for(begun.request.type).read(begun.request, started.folders)
    verdict = _masked_verdict(judge(begun.request.type, report, _with_last_words(attempt, ending)), started.mask)
    results = report.results if has_report(report) else (_whole(begun, verdict, ended),)
    return Finished(
        number=begun.number,
        verdict=verdict,
        exit_code=ending.exit_code,
        results=tuple(_masked(result, started.mask) for result in results),
        artifacts=_kept(context, attempt, started),
        metrics=figures(ended),
    )


def _with_last_words(attempt: Attempt, ending: Ending) -> Ending:
    """Add what a tool that gave up said last."""
    if ending.how is not How.EXITED or not ending.exit_code:
        return ending
    return replace(ending, detail=last_words(attempt.folder / "output.log"))


def _masked_verdict(verdict: Verdict, mask: Mask) -> Verdict:
    return replace(verdict, detail=mask.text(verdict.detail)) if mask else verdict


def ending_of(ended: processes.ExitRecord | None) -> Ending:
    """Return how a process ended; without a record it was lost."""
    if ended is None:
        return Ending(how=How.LOST, detail="its process was killed from outside, and nobody saw its end")
    return Ending(exit_code=ended.exit_code, signal=ended.signal, how=How(ended.reason))


def figures(ended: processes.ExitRecord | None) -> tuple[tuple[str, float], ...]:
    """Return what a process used, by name."""
    if ended is None:
        return ()
    return (
        ("cpu_seconds", ended.cpu_seconds),
        ("duration_seconds", ended.ended_at - ended.started_at),
        ("peak_cpu_milli", ended.peak_cpu_milli),
        ("peak_memory_bytes", ended.peak_memory_bytes),
    )


def _masked(result: Result, mask: Mask) -> Result:
    """Hide secrets in what a report says too."""
    if not mask:
        return result
    return replace(
        result, name=mask.text(result.name), message=mask.text(result.message), trace=mask.text(result.trace)
    )


def _kept(context: WorkerContext, attempt: Attempt, started: launching.Started) -> tuple[Artifact, ...]:
    """Keep what the run left; a disk that is full costs the artifacts, not the verdict."""
    grant, number = attempt.grant, attempt.begun.number
    try:
        return tuple(context.artifacts.keep(grant.execution_id, number, started.folders.results, started.mask))
    except OSError as failed:
        log.warning("run %s: its artifacts could not be kept: %s", grant.execution_id, failed)
        return ()


def _whole(begun: Begun, verdict: Verdict, ended: processes.ExitRecord | None) -> Result:
    seconds = ended.ended_at - ended.started_at if ended else 0.0
    return whole_result(begun.name, verdict, round(1000 * seconds))


async def _stop_if_asked(context: WorkerContext, grant: Grant, started: launching.Started) -> None:
    asked = await context.db.run_patiently(lambda conn: lifecycle.asked_to_stop(conn, grant))
    if isinstance(asked, Superseded):
        raise superseded()
    if asked:
        await context.in_thread(processes.stop, started.handle)


async def _report(
    context: WorkerContext, attempt: Attempt, started: launching.Started, reporter: prefect_artifacts.ProgressReporter
) -> None:
    """Append the new part of the log, and note the progress."""
    await _append_log(context, attempt, started)
    summary = await context.in_thread(tool_for(attempt.begun.request.type).progress, started.folders)
    usage = await context.in_thread(processes.usage, attempt.folder)
    note = prefect_artifacts.progress(summary, usage)
    mine = lifecycle.fence(attempt.grant)
    await context.db.run_patiently(lambda conn: executions.set_progress(conn, mine, note))
    await reporter.tell(summary)


async def _append_log(
    context: WorkerContext, attempt: Attempt, started: launching.Started, *, final: bool = False
) -> None:
    """Carry the log on. What cannot be written now is written the next time: nothing is lost by a disk that is full."""
    source, number = attempt.folder / "output.log", attempt.begun.number
    execution_id = attempt.grant.execution_id
    try:
        await context.in_thread(context.logs.append_from, source, execution_id, number, started.mask, final=final)
    except OSError as failed:
        log.warning("run %s: its log could not be carried on: %s", execution_id, failed)


class _exit_of:  # noqa: N801  reads as a phrase at its one use
    """Set `event` at the moment the process ends, where the kernel offers that; the pulse covers the rest."""

    def __init__(self, handle: processes.Handle, event: asyncio.Event) -> None:
        self._handle, self._event, self._fd = handle, event, -1

    def __enter__(self) -> None:
        try:
            self._fd = os.pidfd_open(self._handle.pid)
        except OSError:  # it is gone already, or the kernel is older than 5.3
            self._event.set()
            return
        asyncio.get_running_loop().add_reader(self._fd, self._ended)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        self._event.set()

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
