"""Secrets by reference. The API never sees a value, and the worker reads it only at the launch."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from api import openapi, schemas
from api.services import Here
from db import secrets as rows
from orchestrator import secrets

router = APIRouter(tags=["secrets"])
SecretName = Annotated[str, Path(max_length=200, description="As in ${secrets.name}")]


class SecretIn(BaseModel):
    """Where a value is kept."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    reference: Annotated[str, Field(max_length=1000, description="env:NAME or file:/path, as the worker sees it")]
    team: Annotated[str, Field(max_length=100, description="Only for this team; empty: for all")] = ""


@router.get("/secrets", summary="All secret references")
async def list_secrets(services: Here) -> schemas.SecretList:
    """List names and references."""
    found = await services.database.run(rows.read)
    return schemas.SecretList(secrets=[schemas.SecretOut.model_validate(row) for row in found])


@router.put("/secrets/{name}", summary="Name a secret by reference")
async def set_secret(name: SecretName, secret: SecretIn, services: Here) -> schemas.SecretOut:
    """Make or change a reference."""
    await services.database.run(lambda conn: secrets.set_secret(conn, name, secret.team, secret.reference))
    return schemas.SecretOut(name=name, team=secret.team, reference=secret.reference)


@router.delete(
    "/secrets/{name}",
    summary="Forget a secret's reference",
    status_code=204,
    responses=openapi.refusals(status_404="No such secret"),
)
async def remove_secret(
    name: SecretName, services: Here, team: Annotated[str, Query(max_length=100, description="That of this team")] = ""
) -> None:
    """Remove a reference. Runs that were launched already keep what they got."""
    await services.database.run(lambda conn: rows.remove(conn, name, team))
