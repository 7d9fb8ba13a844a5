"""/chaos/connections: the Prometheus, incident services and webhooks that experiments ask. No token passes here."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api import openapi
from api.services import ServicesDep
from chaos.hypothesis import Url
from db import chaos_connections as rows
from db.chaos_connections import ChaosConnection, ConnectionKind

router = APIRouter(prefix="/chaos", tags=["chaos"])
ConnectionName = Annotated[
    str,
    Path(
        max_length=100,
        description="The name that safety checks use. A Prometheus has that of its cluster or environment, or default",
        examples=["pagerduty"],
    ),
]
Ids = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=100, examples=[["P1ABCDE"]])]


class ConnectionIn(BaseModel):
    """How to reach a system that experiments ask."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    kind: Annotated[ConnectionKind, Field(description="What it is", examples=["incidents"])]
    url: Annotated[Url, Field(description="Its address", examples=["https://api.pagerduty.com"])]
    secret: Annotated[
        str | None,
        Field(
            max_length=1000,
            pattern="^(env:|file:/)",
            description="The reference of its token, as the worker sees it: env:NAME or file:/path",
            examples=["env:PAGERDUTY_TOKEN"],
        ),
    ] = None
    services: Annotated[Ids, Field(description="incidents: the ids of services whose incidents count; none: all")] = (
        Field(default_factory=list)
    )
    policies: Annotated[Ids, Field(description="incidents: the ids of escalation policies for onCall")] = Field(
        default_factory=list
    )
    tenant: Annotated[
        str | None, Field(max_length=200, description="prometheus: the header X-Scope-OrgID", examples=["shop"])
    ] = None

    signing_secret: Annotated[
        str | None,
        Field(
            max_length=1000,
            pattern="^(env:|file:/)",
            description="webhook: the reference of the secret by which messages are signed (Standard Webhooks)",
            examples=["env:CHANGE_GATE_SECRET"],
        ),
    ] = None

    def row(self, name: str) -> ChaosConnection:
        """Return it as a row of the table."""
        options = {
            "services": self.services,
            "policies": self.policies,
            "tenant": self.tenant,
            "signingSecret": self.signing_secret,
        }
        kept = {key: value for key, value in options.items() if value}
        return ChaosConnection(name=name, kind=self.kind, url=self.url, secret=self.secret, options=kept)


class ConnectionOut(ConnectionIn):
    """A connection."""

    name: str

    @classmethod
    def of(cls, row: ChaosConnection) -> "ConnectionOut":
        """Return a row as the API shows it."""
        return cls(name=row.name, kind=row.kind, url=row.url, secret=row.secret, **row.options)


class ConnectionList(BaseModel):
    """All connections, by name."""

    connections: list[ConnectionOut]


@router.get("/connections", summary="List the connections of experiments")
async def list_connections(services: ServicesDep) -> ConnectionList:
    """Return all connections, by name."""
    found = await services.database.run(rows.read)
    return ConnectionList(connections=[ConnectionOut.of(row) for row in found])


@router.put("/connections/{name}", summary="Add or change a connection of experiments")
async def set_connection(name: ConnectionName, connection: ConnectionIn, services: ServicesDep) -> ConnectionOut:
    """Create or change a connection. It counts from the next check on."""
    row = connection.row(name)
    await services.database.run(lambda conn: rows.put(conn, row))
    return ConnectionOut.of(row)


@router.delete(
    "/connections/{name}",
    summary="Remove a connection of experiments",
    status_code=204,
    responses=openapi.refusals(status_404="No such connection"),
)
async def remove_connection(name: ConnectionName, services: ServicesDep) -> None:
    """Remove a connection. Checks that name it block from then on."""
    await services.database.run(lambda conn: rows.remove(conn, name))
