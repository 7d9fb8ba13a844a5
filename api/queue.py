"""GET /queue: the waiting runs of a pool, each with its reason."""

from datetime import datetime

from fastapi import APIRouter

from api import openapi, operations_schemas
from api.parameters import Page, PoolQuery
from api.services import ServicesDep
from model.ids import PoolName
from orchestrator import listing
from orchestrator.listing import InLine

router = APIRouter(tags=["queue"])


@router.get("/queue", summary="List the queue of a pool", responses=openapi.refusals(status_404="No such pool"))
async def queue(services: ServicesDep, page: Page, pool: PoolQuery = "default") -> operations_schemas.QueueList:
    """Return the waiting runs of a pool in the order of admission, each with the reason why it waits."""
    found, total = await services.database.run(lambda conn: listing.queue(conn, PoolName(pool), page.part))
    now = services.now()
    return operations_schemas.QueueList(
        pool=pool,
        entries=[_entry(one, now) for one in found],
        total=total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(total),
    )


def _entry(one: InLine, now: datetime) -> operations_schemas.QueueEntry:
    entry, owned, estimate = one.entry, one.owned, one.estimate
    return operations_schemas.QueueEntry(
        execution_id=entry.execution_id,
        name=owned.name,
        user=owned.username,
        team=owned.team,
        priority=entry.priority,
        position=entry.position,
        reason=entry.reason,
        enqueued_at=entry.enqueued_at,
        waited_seconds=round(max(0.0, (now - entry.enqueued_at).total_seconds()), 3),
        not_before=entry.not_before,
        share=owned.share,
        estimated_start_time=None if estimate is None else estimate.p50,
        estimated_start_time_p90=None if estimate is None else estimate.p90,
    )
