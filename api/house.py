"""The house: queue, nodes, statistics."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api import house_schemas, openapi, shapes
from api.parameters import Page, PoolQuery
from api.services import Here
from db import statistics
from model.ids import PoolName
from orchestrator import listing
from orchestrator.listing import InLine

router = APIRouter(tags=["house"])


@router.get("/queue", summary="The queue of a pool", responses=openapi.refusals(status_404="No such pool"))
async def queue(services: Here, page: Page, pool: PoolQuery = "default") -> house_schemas.QueueList:
    """List the queue of a pool in the order of service, each run with its reason."""
    found, total = await services.database.run(lambda conn: listing.queue(conn, PoolName(pool), page.part))
    now = services.now()
    return house_schemas.QueueList(
        pool=pool,
        entries=[_entry(one, now) for one in found],
        total=total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(total),
    )


def _entry(one: InLine, now: datetime) -> house_schemas.QueueEntry:
    entry, owned, estimate = one.entry, one.owned, one.estimate
    return house_schemas.QueueEntry(
        execution_id=entry.execution_id,
        name=entry.name,
        user=entry.username,
        team=None if owned is None else owned.team,
        priority=entry.priority,
        position=entry.position,
        reason=entry.reason,
        enqueued_at=entry.enqueued_at,
        waited_seconds=round(max(0.0, (now - entry.enqueued_at).total_seconds()), 3),
        not_before=entry.not_before,
        share=None if owned is None else owned.share,
        estimated_start_time=None if estimate is None else estimate.p50,
        estimated_start_time_p90=None if estimate is None else estimate.p90,
    )


@router.get("/nodes", summary="The nodes of a pool", responses=openapi.refusals(status_404="No such pool"))
async def nodes(services: Here, pool: PoolQuery = "default") -> house_schemas.NodeList:
    """List the nodes, what they have, and what admitted runs hold of it."""
    found = await services.database.run(lambda conn: listing.nodes(conn, PoolName(pool)))
    return house_schemas.NodeList(pool=pool, nodes=[shapes.node(node, held) for node, held in found])


@router.get("/stats", summary="The runs of the last 24 hours")
async def stats(services: Here) -> house_schemas.Statistics:
    """Count the runs by tool."""
    now = services.now()
    found = await services.database.run(lambda conn: statistics.last_day(conn, now))
    return house_schemas.Statistics(
        since=now - timedelta(hours=24), types=[house_schemas.TypeStatistics.model_validate(row) for row in found]
    )


@router.get("/flaky", summary="Flaky tests")
async def flaky(
    services: Here, days: Annotated[int, Query(ge=1, le=90, description="How far back to look")] = 7
) -> house_schemas.FlakyList:
    """List the tests that both passed and failed on the same version of their definition."""
    found = await services.database.run(lambda conn: statistics.flaky(conn, services.now(), days))
    return house_schemas.FlakyList(days=days, tests=[house_schemas.FlakyTest.model_validate(row) for row in found])
