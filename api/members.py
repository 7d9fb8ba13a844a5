"""Users and teams: add and list them, and put a user into a team."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from api import bodies, openapi, operations_schemas
from api.parameters import Page
from api.services import ServicesDep
from orchestrator import members

router = APIRouter(tags=["people"])
TeamPath = Annotated[str, Path(max_length=100, description="Name of the team", examples=["default"])]
UserPath = Annotated[str, Path(max_length=100, description="Name of the user", examples=["local"])]


@router.get("/teams", summary="List teams")
async def list_teams(services: ServicesDep, page: Page) -> operations_schemas.TeamList:
    """Return teams with the number of their users, in order of name."""
    found, total = await services.database.run(lambda conn: members.list_teams(conn, page.part))
    return operations_schemas.TeamList(
        teams=[operations_schemas.TeamOut.model_validate(row) for row in found],
        total=total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(total),
    )


@router.post(
    "/teams",
    summary="Add a team",
    status_code=201,
    responses=openapi.refusals(status_409="There is a team of this name"),
    openapi_extra=openapi.body("NewTeam"),
)
async def create_team(request: Request, services: ServicesDep) -> operations_schemas.TeamOut:
    """Add a team with the default quota, which `PUT /quota` changes."""
    raw = await bodies.read(request)
    new_id = services.new_id()
    made = await services.database.run(lambda conn: members.create_team(conn, raw, new_id))
    return operations_schemas.TeamOut.model_validate(made)


@router.put(
    "/teams/{team}/uses",
    summary="Say what tests of a team use",
    responses=openapi.refusals(status_404="No such team"),
    openapi_extra=openapi.body("TeamUses"),
)
async def set_uses(team: TeamPath, request: Request, services: ServicesDep) -> operations_schemas.TeamUsesOut:
    """Say what tests use that do not say it themselves. Runs that were submitted before keep what they have claimed."""
    raw = await bodies.read(request)
    uses = await services.database.run(lambda conn: members.set_uses(conn, team, raw))
    return operations_schemas.TeamUsesOut(uses=list(uses))


@router.put(
    "/teams/{team}/members/{user}",
    summary="Put a user into a team",
    responses=openapi.refusals(status_404="No such team or user"),
)
async def add_to_team(team: TeamPath, user: UserPath, services: ServicesDep) -> operations_schemas.UserOut:
    """Put a user into a team. A user is in one team at most. Runs that were submitted before stay with the old one."""
    found = await services.database.run(lambda conn: members.add_to_team(conn, team, user))
    return operations_schemas.UserOut.model_validate(found)


@router.get("/users", summary="List users", responses=openapi.refusals(status_404="No such team"))
async def list_users(
    services: ServicesDep,
    page: Page,
    team: Annotated[str | None, Query(max_length=100, description="Only users of this team")] = None,
) -> operations_schemas.UserList:
    """Return users in order of name."""
    found, total = await services.database.run(lambda conn: members.list_users(conn, team, page.part))
    return operations_schemas.UserList(
        users=[operations_schemas.UserOut.model_validate(row) for row in found],
        total=total,
        limit=page.limit,
        offset=page.offset,
        links=page.links(total),
    )


@router.post(
    "/users",
    summary="Add a user",
    status_code=201,
    responses=openapi.refusals(status_404="No such team", status_409="The name or the mail address is taken"),
    openapi_extra=openapi.body("NewUser"),
)
async def create_user(request: Request, services: ServicesDep) -> operations_schemas.UserOut:
    """Add a user with the default quota. A user has keys and no password; deployments can be bound to one."""
    raw = await bodies.read(request)
    new_id = services.new_id()
    made = await services.database.run(lambda conn: members.create_user(conn, raw, new_id))
    return operations_schemas.UserOut.model_validate(made)
