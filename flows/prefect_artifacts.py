"""What people see of a run in Prefect: progress while it runs, a table and a summary at its end.

When Prefect is slow or away, nothing here holds up a run or changes its verdict.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.context import get_run_context
from prefect.exceptions import MissingContextError

from cluster.backend import Usage
from flows.worker_context import WorkerContext
from model.ids import short
from model.result import Summary
from orchestrator.lifecycle import Begun, Finished, Next, counts
from reports.markdown import summary as summary_text
from reports.markdown import verdict_words

PATIENCE = 5.0
"""Seconds that one call to Prefect may take before it is given up."""
ROWS = 1000
"""Rows of the result table; Prefect's own limits are near."""

LONGEST_NAME = 60
"""Characters of a run's name in the key of an artifact."""
_NOT_IN_KEY = re.compile("[^a-z0-9]+")

log = logging.getLogger("assay.windows")


class ProgressReporter:
    """Sends the progress of a run to Prefect, not more often than every `interval` seconds."""

    def __init__(self, begun: Begun, interval: float) -> None:
        self._begun = begun
        self._interval = interval
        self._next = 0.0
        self._artifact: Any = None
        self._told: Summary | None = None

    async def tell(self, summary: Summary) -> None:
        """Send it if it is time, and if there is something new."""
        now = asyncio.get_running_loop().time()
        if self._next == 0.0:  # a run shorter than the interval never shows a bar
            self._next = now + self._interval
        if now < self._next or summary == self._told or not summary.total or not _in_flow():
            return
        self._next, self._told = now + self._interval, summary
        if self._artifact is None:
            begun = self._begun
            key = artifact_key("progress", begun.name, begun.grant.execution_id)
            note = f"Tests of {begun.name} that have ended, attempt {begun.number}"
            self._artifact = await _try(acreate_progress_artifact(summary.percent, key=key, description=note))
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


async def show(begun: Begun, finished: Finished, step: Next) -> None:
    """Leave the table of results and the summary as artifacts of the flow run."""
    if not _in_flow():
        return
    name, run = begun.name, begun.grant.execution_id
    table = [
        {"test": r.name, "outcome": str(r.outcome), "milliseconds": r.duration_ms, "message": r.message[:300]}
        for r in finished.results[:ROWS]
    ]
    if table:
        title = f"Results of {name}, attempt {finished.number}"
        await _try(acreate_table_artifact(table, key=artifact_key("results", name, run), description=title))
    text = summary_text(name, run, finished.number, finished.verdict, finished.results) + _commands(run)
    title = f"Verdict of {name}, attempt {finished.number}: {verdict_words(finished.verdict)}{_next_words(step)}"
    await _try(acreate_markdown_artifact(text, key=artifact_key("summary", name, run), description=title))


def artifact_key(kind: str, name: str, run: UUID) -> str:
    """Return the key of an artifact: its kind, the name of the run as far as a key may have it, and the short id."""
    words = _NOT_IN_KEY.sub("-", name.lower()).strip("-")[:LONGEST_NAME].strip("-")
    return "-".join(filter(None, (kind, words, short(run))))


async def markdown(key: str, text: str, description: str) -> UUID | None:
    """Leave a text as an artifact of the flow run, if one is under way. Returns: its id, None if there is none."""
    made = await _try(acreate_markdown_artifact(text, key=key, description=description)) if _in_flow() else None
    return made if isinstance(made, UUID) else None


async def update_markdown(context: WorkerContext, artifact: UUID, text: str) -> None:
    """Replace the text of an artifact."""
    await _try(context.client.update_artifact(artifact, ArtifactUpdate(data=text)))


async def cancel_asked(context: WorkerContext, flow_run_id: UUID | None) -> bool:
    """Look whether somebody has just pressed Cancel in Prefect; False where it cannot be seen.

    The reconciler sees that too, every two seconds; a test may be over sooner.
    """
    if flow_run_id is None or not _in_flow():
        return False
    flow_run = await _try(context.client.read_flow_run(flow_run_id))
    return flow_run is not None and flow_run.state is not None and flow_run.state.is_cancelling()


def _commands(run: UUID) -> str:
    """Return what to type in a shell. Links to the API would need the API key, which a browser does not send."""
    return f"\nIn a shell: `assay logs {short(run)}` · `assay results {short(run)}` · `assay explain {short(run)}`\n"


def _next_words(step: Next) -> str:
    cause = getattr(step, "cause", None)
    return f"; it is tried again: {cause}" if cause else ""


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
