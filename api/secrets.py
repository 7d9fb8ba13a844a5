"""References to secrets. The API never reads a value; the worker reads it at the launch."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from api import openapi, schemas
from api.services import ServicesDep
from db import secrets as rows
from orchestrator import secrets

router = APIRouter(tags=["secrets"])
SecretName = Annotated[str, Path(max_length=200, description="The name, as in ${secrets.name}", examples=["api_key"])]


class SecretIn(BaseModel):
    """The reference of a secret: where its value is stored."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    reference: Annotated[
        str,
        Field(max_length=1000, description="env:NAME or file:/path, as the worker sees it", examples=["env:API_KEY"]),
    ]
    team: Annotated[str, Field(max_length=100, description="The team that may use the secret; empty for all teams")] = (
        ""
    )


@router.get("/secrets", summary="List the references of secrets")
async def list_secrets(services: ServicesDep) -> schemas.SecretList:
    """Return the names and references of all secrets."""
    found = await services.database.run(rows.read)
    return schemas.SecretList(secrets=[schemas.SecretOut.model_validate(row) for row in found])


@router.put(
    "/secrets/{name}",
    summary="Set the reference of a secret",
    responses=openapi.refusals(status_404="No such team"),
)
async def set_secret(name: SecretName, secret: SecretIn, services: ServicesDep) -> schemas.SecretOut:
    """Create or change a reference."""
    await services.database.run(lambda conn: secrets.set_secret(conn, name, secret.team, secret.reference))
    return schemas.SecretOut(name=name, team=secret.team, reference=secret.reference)


@router.delete(
    "/secrets/{name}",
    summary="Remove the reference of a secret",
    status_code=204,
    responses=openapi.refusals(status_404="No such secret"),
)
async def remove_secret(
    name: SecretName,
    services: ServicesDep,
    team: Annotated[str, Query(max_length=100, description="The team of the secret; empty for all teams")] = "",
) -> None:
    """Remove a reference. Runs that are launched already keep the value."""
    await services.database.run(lambda conn: rows.remove(conn, name, team))
