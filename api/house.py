"""The house: nodes, quotas, pools, statistics."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api import house_schemas, openapi, shapes
from api.auth import Caller
from api.parameters import Page, PoolQuery
from api.quota_answers import next_midnight
from api.services import Here, Services
from db import statistics
from db.gate import Entry
from db.people import Usage
from db.pools import PoolChange
from model.ids import PoolName, UserId
from orchestrator import listing, pools, quota
from scheduler.pool import Strategy

router = APIRouter(tags=["house"])
STRICT = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)
LARGEST = 2**31 - 1


class QuotaIn(BaseModel):
    """New limits; what is not given stays. Of a team if one is named, else of a user, else of the caller."""

    model_config = STRICT

    user: Annotated[str | None, Field(max_length=100)] = None
    team: Annotated[str | None, Field(max_length=100)] = None
    max_concurrent_tests: Annotated[int | None, Field(ge=0, le=LARGEST)] = None
    max_daily_tests: Annotated[int | None, Field(ge=0, le=LARGEST)] = None


class PoolIn(BaseModel):
    """New settings of a pool; what is not given stays."""

    model_config = STRICT

    max_concurrent_tests: Annotated[int | None, Field(ge=0, le=100_000)] = None
    scheduling_interval_seconds: Annotated[float | None, Field(ge=0.1, le=3600)] = None
    default_node_selector: Annotated[dict[str, str] | None, Field(max_length=50)] = None
    enable_spot_instances: bool | None = None
    target_node_utilization: Annotated[float | None, Field(gt=0, le=1)] = None
    strategy: Annotated[Strategy | None, Field(strict=False)] = None
    ageing_limit_seconds: Annotated[float | None, Field(gt=0, le=31_536_000)] = None


PoolPath = Annotated[str, Path(max_length=100, description="The pool")]


@router.get("/queue", summary="The queue of a pool", responses=openapi.refusals(status_404="No such pool"))
async def queue(services: Here, page: Page, pool: PoolQuery = "default") -> house_schemas.QueueList:
    """List the queue of a pool in the order of service, each run with its reason."""
    entries, total = await services.database.run(lambda conn: listing.queue(conn, PoolName(pool), page.part))
    return house_schemas.QueueList(
        pool=pool,
        entries=[_entry(entry) for entry in entries],
        total=total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(total),
    )


def _entry(entry: Entry) -> house_schemas.QueueEntry:
    return house_schemas.QueueEntry(
        execution_id=entry.execution_id,
        name=entry.name,
        user=entry.username,
        priority=entry.priority,
        position=entry.position,
        reason=entry.reason,
        enqueued_at=entry.enqueued_at,
        not_before=entry.not_before,
    )


@router.get("/nodes", summary="The nodes of a pool", responses=openapi.refusals(status_404="No such pool"))
async def nodes(services: Here, pool: PoolQuery = "default") -> house_schemas.NodeList:
    """List the nodes, what they have, and what admitted runs hold of it."""
    found = await services.database.run(lambda conn: listing.nodes(conn, PoolName(pool)))
    return house_schemas.NodeList(pool=pool, nodes=[shapes.node(node, held) for node, held in found])


@router.get("/quota", summary="The caller's quota")
async def show_quota(services: Here, caller: Caller) -> house_schemas.Quota:
    """Say what the caller and the caller's team may use, and have used today."""
    return await _quota(services, caller.user_id)


@router.put("/quota", summary="Change a quota", responses=openapi.refusals(status_404="No such user or team"))
async def set_quota(change: QuotaIn, services: Here, caller: Caller) -> house_schemas.Quota:
    """Change limits of a user or team, and return the quota of that user, or of the caller."""
    wanted = quota.Change(
        user=change.user,
        team=change.team,
        max_concurrent=change.max_concurrent_tests,
        max_daily=change.max_daily_tests,
    )
    user_id = await services.database.run(lambda conn: quota.change(conn, caller.user_id, wanted))
    return await _quota(services, user_id)


async def _quota(services: Services, user_id: UserId) -> house_schemas.Quota:
    now = services.now()
    user, team = await services.database.run(lambda conn: quota.show(conn, user_id, now))
    return house_schemas.Quota(
        user=_use(user),
        team=_use(team) if team else None,
        resets_at=next_midnight(now),
    )


def _use(usage: Usage) -> house_schemas.QuotaUse:
    return house_schemas.QuotaUse(
        name=usage.name,
        max_concurrent_tests=usage.quota.max_concurrent_tests,
        max_daily_tests=usage.quota.max_daily_tests,
        concurrent=usage.concurrent,
        today=usage.today,
        remaining_today=usage.remaining_today,
    )


@router.get("/pools/{name}", summary="The settings of a pool", responses=openapi.refusals(status_404="No such pool"))
async def show_pool(name: PoolPath, services: Here) -> house_schemas.PoolOut:
    """Return how a pool is scheduled."""
    return house_schemas.PoolOut.model_validate(
        await services.database.run(lambda conn: pools.show(conn, PoolName(name)))
    )


@router.put("/pools/{name}", summary="Change a pool", responses=openapi.refusals(status_404="No such pool"))
async def set_pool(name: PoolPath, change: PoolIn, services: Here) -> house_schemas.PoolOut:
    """Change how a pool is scheduled, from its next pass on."""
    wanted = PoolChange(**change.model_dump())
    changed = await services.database.run(lambda conn: pools.change(conn, PoolName(name), wanted))
    services.passes.want(PoolName(name))
    return house_schemas.PoolOut.model_validate(changed)


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
