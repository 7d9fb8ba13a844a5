"""Quotas and pools: limits, strategy and settings. A change does not stop any run."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection

from api import bodies, openapi, operations_schemas, responses
from api.auth import Caller
from api.quota_refusal import next_midnight
from api.services import Services, ServicesDep
from db.people import Team, Usage, User
from db.pools import Pool
from model.ids import PoolName
from model.problems import InvalidError, Problem
from orchestrator import pools, quota

router = APIRouter(tags=["limits"])
PoolPath = Annotated[str, Path(max_length=100, description="Name of the pool; it may contain a /")]
NO_POOL = "No such pool"


@router.get("/quota", summary="Show a quota", responses=openapi.refusals(status_404="No such user or team"))
async def show_quota(
    services: ServicesDep,
    caller: Caller,
    user: Annotated[
        str | None, Query(max_length=100, description="Quota of this user; the default is the caller")
    ] = None,
    team: Annotated[str | None, Query(max_length=100, description="Quota of this team only")] = None,
) -> operations_schemas.Quota:
    """Return the limits of a user and of the team of the user, and what they use now."""
    if user is not None and team is not None:
        raise InvalidError([Problem(path="query.team", message="cannot be combined with user: give one of both")])

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
async def set_quota(request: Request, services: ServicesDep, caller: Caller) -> operations_schemas.Quota:
    """Change limits of a user or team, and return them. Omitted fields keep their value; null removes a limit."""
    raw = await bodies.read(request)

    def write(conn: Connection) -> tuple[tuple[Usage | None, Usage | None], list[Pool]]:
        changed = quota.change(conn, caller.user_id, raw)
        return _shown(conn, services, changed), pools.every(conn)

    shown, known = await services.database.run(write)
    for pool in known:
        services.gate_passes.request(pool.name)
    return _quota(services, *shown)


def _shown(conn: Connection, services: Services, changed: User | Team) -> tuple[Usage | None, Usage | None]:
    if isinstance(changed, Team):
        return None, quota.show_team(conn, changed.team_name, services.now())
    return quota.show(conn, changed.user_id, services.now())


def _quota(services: Services, user: Usage | None, team: Usage | None) -> operations_schemas.Quota:
    return operations_schemas.Quota(
        user=None if user is None else responses.quota_use(user),
        team=None if team is None else responses.quota_use(team),
        resets_at=next_midnight(services.now()),
    )


@router.get("/pools", summary="List pools")
async def list_pools(services: ServicesDep) -> operations_schemas.PoolList:
    """Return all pools with their settings, in order of name."""
    found = await services.database.run(pools.every)
    return operations_schemas.PoolList(pools=[responses.pool(pool) for pool in found])


@router.post(
    "/pools",
    summary="Add a pool",
    status_code=201,
    responses=openapi.refusals(409),
    openapi_extra=openapi.body("NewPool"),
)
async def create_pool(request: Request, response: Response, services: ServicesDep) -> operations_schemas.PoolOut:
    """Add a pool. Its runs wait until a worker serves the pool and it has nodes."""
    raw = await bodies.read(request)
    made = responses.pool(await services.database.run(lambda conn: pools.create(conn, raw)))
    response.headers["Location"] = f"/api/v1/pools/{made.name}"
    return made


@router.get("/pools/{name:path}", summary="Show the settings of a pool", responses=openapi.refusals(status_404=NO_POOL))
async def show_pool(name: PoolPath, services: ServicesDep) -> operations_schemas.PoolOut:
    """Return the settings of a pool."""
    return responses.pool(await services.database.run(lambda conn: pools.show(conn, PoolName(name))))


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
async def set_pool(name: PoolPath, request: Request, services: ServicesDep) -> operations_schemas.PoolOut:
    """Change settings of a pool, which hold from its next pass on.

    Omitted fields keep their value; null removes a limit.
    """
    raw = await bodies.read(request)
    changed = await services.database.run(lambda conn: pools.change(conn, PoolName(name), raw))
    services.gate_passes.request(PoolName(name))
    return responses.pool(changed)
