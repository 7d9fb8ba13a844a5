"""/teams/{team}/chaos-rules: what experiments of a team may cost, when they may run, and who approves them."""

from fastapi import APIRouter, Request
from sqlalchemy import Connection

from api import bodies, openapi, operations_schemas
from api.members import TeamPath
from api.services import ServicesDep
from chaos.team_rules import TeamRules, check_team_rules, team_rules_to_raw
from db import chaos_rules

router = APIRouter(tags=["people"])
NO_TEAM = "No such team"


@router.get(
    "/teams/{team}/chaos-rules",
    summary="Show the rules about experiments",
    responses=openapi.refusals(status_404=NO_TEAM),
)
async def show_rules(team: TeamPath, services: ServicesDep) -> operations_schemas.TeamRulesOut:
    """Return the rules of a team, as they can be sent again."""

    def read(conn: Connection) -> TeamRules:
        return check_team_rules(dict(chaos_rules.read(conn, team)[1]))

    return _shown(team, await services.database.run(read))


@router.put(
    "/teams/{team}/chaos-rules",
    summary="Replace the rules about experiments",
    responses=openapi.refusals(status_404=NO_TEAM, status_403="Not the key of the installation"),
    openapi_extra=openapi.body("TeamChaosRules"),
)
async def set_rules(team: TeamPath, request: Request, services: ServicesDep) -> operations_schemas.TeamRulesOut:
    """Replace the rules of a team. They hold at once, also for runs that wait.

    All are asked before the first fault; windows and freezes also under every fault.
    """
    rules = check_team_rules(await bodies.read(request))
    await services.database.run(lambda conn: chaos_rules.write(conn, team, team_rules_to_raw(rules)))
    return _shown(team, rules)


def _shown(team: str, rules: TeamRules) -> operations_schemas.TeamRulesOut:
    return operations_schemas.TeamRulesOut(team=team, rules=team_rules_to_raw(rules))
