"""What people see of a run in Prefect: progress while it runs, a table and a summary at its end.

A window, never a load-bearing wall: when Prefect is slow or away, nothing here holds up a run or changes its verdict.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.context import get_run_context
from prefect.exceptions import MissingContextError

from cluster.backend import Usage
from flows.worker_context import WorkerContext
from model.ids import short
from model.result import Summary
from orchestrator.lifecycle import Begun, Finished, Next, counts
from reports.markdown import summary as summary_text

PATIENCE = 5.0
"""Seconds that one call to Prefect may take before it is given up."""
ROWS = 1000
"""Rows of the result table; Prefect's own limits are near."""

log = logging.getLogger("assay.windows")


class ProgressReporter:
    """Sends a run's progress to Prefect, not more often than every `interval` seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = 0.0
        self._artifact: Any = None
        self._told: Summary | None = None

    async def tell(self, summary: Summary) -> None:
        """Tell it if it is time, and there is something new."""
        now = asyncio.get_running_loop().time()
        if self._next == 0.0:  # a run shorter than the interval never shows a bar
            self._next = now + self._interval
        if now < self._next or summary == self._told or not summary.total or not _in_flow():
            return
        self._next, self._told = now + self._interval, summary
        if self._artifact is None:
            note = f"{summary.completed} of {summary.total} tests"
            self._artifact = await _try(acreate_progress_artifact(summary.percent, key="progress", description=note))
        else:
            await _try(aupdate_progress_artifact(self._artifact, summary.percent))


def progress(summary: Summary, usage: Usage | None) -> dict[str, Any]:
    """Return the progress as the database keeps it and the API shows it."""
    if usage is None:
        return {**counts(summary)}
    return {
        **counts(summary),
        "cpuMilli": usage.cpu_milli,
        "cpuSeconds": usage.cpu_seconds,
        "memoryBytes": usage.memory_bytes,
        "peakCpuMilli": usage.peak_cpu_milli,
        "peakMemoryBytes": usage.peak_memory_bytes,
    }


async def show(context: WorkerContext, begun: Begun, finished: Finished, step: Next) -> None:
    """Leave the table of results and the summary with links, as artifacts of the flow run."""
    if not _in_flow():
        return
    suffix = short(begun.grant.execution_id)
    table = [
        {"test": r.name, "outcome": str(r.outcome), "milliseconds": r.duration_ms, "message": r.message[:300]}
        for r in finished.results[:ROWS]
    ]
    if table:
        await _try(acreate_table_artifact(table, key=f"results-{suffix}", description=f"attempt {finished.number}"))
    text = summary_text(begun.name, begun.grant.execution_id, finished.number, finished.verdict, finished.results)
    text += _links(context.settings.api_url, begun)
    await _try(acreate_markdown_artifact(text, key=f"summary-{suffix}", description=_next_words(step)))


async def markdown(key: str, text: str, description: str) -> None:
    """Leave a text as an artifact of the flow run, if one is under way."""
    if _in_flow():
        await _try(acreate_markdown_artifact(text, key=key, description=description))


async def cancel_asked(context: WorkerContext, flow_run_id: UUID | None) -> bool:
    """Look whether somebody has just pressed Cancel in Prefect; False where it cannot be seen.

    The reconciler sees that too, every two seconds; a test may be over sooner.
    """
    if flow_run_id is None or not _in_flow():
        return False
    flow_run = await _try(context.client.read_flow_run(flow_run_id))
    return flow_run is not None and flow_run.state is not None and flow_run.state.is_cancelling()


def _links(base: str, begun: Begun) -> str:
    if not base:
        return ""
    run = f"{base}/api/v1/tests/{begun.grant.execution_id}"
    known = short(begun.grant.execution_id)
    return (
        f"\n[log]({run}/logs) · [results]({run}/results) · [JUnit]({run}/results?format=junit): with the API key, as a "
        f"browser does not send it. In a shell: `assay logs {known}`, `assay results {known}`\n"
    )


def _next_words(step: Next) -> str:
    cause = getattr(step, "cause", None)
    return f"tried again: {cause}" if cause else "final"


def _in_flow() -> bool:
    try:
        get_run_context()
    except MissingContextError:
        return False
    return True


async def _try(call: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(PATIENCE):
            return await call
    except Exception as failed:  # noqa: BLE001  whatever Prefect's client raises, the run goes on
        log.warning("Prefect did not answer in time: %r", failed)
        return None
