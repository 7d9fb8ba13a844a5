"""The table of a suite's tests on Prefect's page of the suite run, with a link to the page of each test."""

import asyncio
from uuid import UUID

from prefect.utilities.urls import url_for

from flows import prefect_artifacts
from flows.worker_context import WorkerContext
from model.ids import ExecutionId, SuiteRunId
from orchestrator import suites
from orchestrator.shown_suite import ShownSuite
from reports.markdown import suite_summary

UPDATE_EVERY = 5.0
"""Seconds between two updates of the page at least."""


class SuitePage:
    """One artifact of a suite run. It is made once and then updated."""

    def __init__(self, context: WorkerContext, suite_run_id: SuiteRunId) -> None:
        self._context = context
        self._suite_run_id = suite_run_id
        self._artifact: UUID | None = None
        self._next = 0.0
        self._text = ""

    async def show(self, *, now: bool = False) -> None:
        """Show how the tests stand: `now`, or if the last update is long ago. A table that has not changed stays."""
        clock = asyncio.get_running_loop().time()
        if clock < self._next and not now:
            return
        self._next = clock + UPDATE_EVERY
        standing = await self._context.db.run_patiently(lambda conn: suites.standing(conn, self._suite_run_id))
        text = suite_summary(standing, _links(standing))
        if text == self._text:
            return
        self._text = text
        if self._artifact is not None:
            await prefect_artifacts.update_markdown(self._context, self._artifact, text)
            return
        name = standing.run.name
        key = prefect_artifacts.artifact_key("suite", name, self._suite_run_id)
        self._artifact = await prefect_artifacts.markdown(key, text, f"Tests of the suite {name}, with their pages")


def _links(standing: ShownSuite) -> dict[ExecutionId, str]:
    """Return the address of the page of each test that Prefect shows."""
    found = {test.execution.execution_id: test.execution.flow_run_id for test in standing.tests}
    pages = {run: url_for("flow-run", flow_run) for run, flow_run in found.items() if flow_run is not None}
    return {run: page for run, page in pages.items() if page is not None}
