"""Quotas and pools: what may run at once, and in which order. A change stops nothing that runs."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection

from api import bodies, openapi, operations_schemas, shapes
from api.auth import Caller
from api.quota_answers import next_midnight
from api.services import Here, Services
from db.people import Team, Usage, User
from db.pools import Pool
from model.ids import PoolName
from model.problems import InvalidError, Problem
from orchestrator import pools, quota

router = APIRouter(tags=["limits"])
PoolPath = Annotated[str, Path(max_length=100, description="The pool; its name may have a /")]
NO_POOL = "No such pool"


@router.get("/quota", summary="A quota", responses=openapi.refusals(status_404="No such user or team"))
async def show_quota(
    services: Here,
    caller: Caller,
    user: Annotated[str | None, Query(max_length=100, description="Of this user; else the caller")] = None,
    team: Annotated[str | None, Query(max_length=100, description="Of this team alone")] = None,
) -> operations_schemas.Quota:
    """Say what a user and the user's team may use, and what they use now."""
    if user is not None and team is not None:
        raise InvalidError([Problem(path="query.team", message="stands beside user: name one of both")])

    def read(conn: Connection) -> tuple[Usage | None, Usage | None]:
        if team is not None:
            return None, quota.show_team(conn, team, services.now())
        return quota.show(conn, user if user is not None else caller.user_id, services.now())

    return _quota(services, *await services.database.run(read))


@router.put(
    "/quota",
    summary="Change a quota",
    responses=openapi.refusals(status_404="No such user or team"),
    openapi_extra=openapi.body("QuotaChange"),
)
@router.patch(
    "/quota",
    summary="Change a quota, as PUT does",
    responses=openapi.refusals(status_404="No such user or team"),
    openapi_extra=openapi.body("QuotaChange"),
)
async def set_quota(request: Request, services: Here, caller: Caller) -> operations_schemas.Quota:
    """Change limits of a user or team, and return them. What is not given stays; null takes a limit away."""
    raw = await bodies.read(request)

    def write(conn: Connection) -> tuple[tuple[Usage | None, Usage | None], list[Pool]]:
        changed = quota.change(conn, caller.user_id, raw)
        return _shown(conn, services, changed), pools.every(conn)

    shown, known = await services.database.run(write)
    for pool in known:
        services.passes.want(pool.name)
    return _quota(services, *shown)


def _shown(conn: Connection, services: Services, changed: User | Team) -> tuple[Usage | None, Usage | None]:
    if isinstance(changed, Team):
        return None, quota.show_team(conn, changed.team_name, services.now())
    return quota.show(conn, changed.user_id, services.now())


def _quota(services: Services, user: Usage | None, team: Usage | None) -> operations_schemas.Quota:
    return operations_schemas.Quota(
        user=None if user is None else shapes.quota_use(user),
        team=None if team is None else shapes.quota_use(team),
        resets_at=next_midnight(services.now()),
    )


@router.get("/pools", summary="All pools")
async def list_pools(services: Here) -> operations_schemas.PoolList:
    """List the pools with their settings, by name."""
    found = await services.database.run(pools.every)
    return operations_schemas.PoolList(pools=[shapes.pool(pool) for pool in found])


@router.post(
    "/pools",
    summary="Add a pool",
    status_code=201,
    responses=openapi.refusals(409),
    openapi_extra=openapi.body("NewPool"),
)
async def create_pool(request: Request, response: Response, services: Here) -> operations_schemas.PoolOut:
    """Add a pool. Nothing runs in it before a worker serves it and there are nodes in it."""
    raw = await bodies.read(request)
    made = shapes.pool(await services.database.run(lambda conn: pools.create(conn, raw)))
    response.headers["Location"] = f"/api/v1/pools/{made.name}"
    return made


@router.get("/pools/{name:path}", summary="The settings of a pool", responses=openapi.refusals(status_404=NO_POOL))
async def show_pool(name: PoolPath, services: Here) -> operations_schemas.PoolOut:
    """Return how a pool is scheduled."""
    return shapes.pool(await services.database.run(lambda conn: pools.show(conn, PoolName(name))))


@router.put(
    "/pools/{name:path}",
    summary="Change a pool",
    responses=openapi.refusals(status_404=NO_POOL),
    openapi_extra=openapi.body("PoolChange"),
)
@router.patch(
    "/pools/{name:path}",
    summary="Change a pool, as PUT does",
    responses=openapi.refusals(status_404=NO_POOL),
    openapi_extra=openapi.body("PoolChange"),
)
async def set_pool(name: PoolPath, request: Request, services: Here) -> operations_schemas.PoolOut:
    """Change how a pool is scheduled, from its next pass on. What is not given stays; null takes a limit away."""
    raw = await bodies.read(request)
    changed = await services.database.run(lambda conn: pools.change(conn, PoolName(name), raw))
    services.passes.want(PoolName(name))
    return shapes.pool(changed)
