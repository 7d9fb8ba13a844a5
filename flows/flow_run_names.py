"""Names a flow run that a person or a schedule started after its run, and tags it like one that came by REST."""

import asyncio
import logging
import re

from prefect.context import FlowRunContext
from sqlalchemy import Connection

from db.runs import RunRef
from flows.worker_context import WorkerContext
from orchestrator import kinds
from orchestrator.tags import tags_of

PATIENCE = 5.0
"""Seconds that Prefect may take before the name is left as it is."""
_MADE_UP = re.compile(r"[a-z]+-[a-z]+|.* [0-9a-f]{8}")
"""A name that Prefect made up, or one that we gave to an earlier run of a flow run that is retried."""

log = logging.getLogger("assay.flow_run_names")


async def name_current(context: WorkerContext, run: RunRef) -> None:
    """Give the current flow run the name and the tags of its run. A name that a person chose stays.

    Never raises for Prefect: a run does not depend on its name.
    """
    current = FlowRunContext.get()
    if current is None or current.flow_run is None:
        return
    title, tags = await context.db.run_patiently(lambda conn: _shown(conn, run))
    flow_run = current.flow_run
    name = title if _MADE_UP.fullmatch(flow_run.name) else flow_run.name
    wanted = sorted({*flow_run.tags, *tags})
    if (name, wanted) == (flow_run.name, sorted(flow_run.tags)):
        return
    try:
        async with asyncio.timeout(PATIENCE):
            await context.client.update_flow_run(flow_run.id, name=name, tags=wanted)
    except Exception as failed:  # noqa: BLE001  the client raises many kinds
        log.warning("Prefect did not take the name of flow run %s: %r", flow_run.id, failed)


def _shown(conn: Connection, run: RunRef) -> tuple[str, list[str]]:
    return kinds.of(run).title(conn, run.id), tags_of(conn, run)
