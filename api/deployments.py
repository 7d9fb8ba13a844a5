"""Bind a Prefect deployment to a user, and check a request without running it."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from api import bodies, openapi, schemas
from api.examples import EXAMPLES
from api.services import ServicesDep
from db import people
from model.lenient import mapping
from orchestrator.checking import check, check_suite

router = APIRouter()


class UserIn(BaseModel):
    """The name of a user."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    user: Annotated[str, Field(min_length=1, max_length=100, examples=["prefect"])]


@router.put(
    "/deployments/{name:path}/user",
    summary="Bind a deployment to a user",
    tags=["deployments"],
    responses=openapi.refusals(status_404="No such user"),
)
async def bind(
    name: Annotated[
        str, Path(max_length=300, description="flow/deployment, as in Prefect", examples=["suite-run/nightly"])
    ],
    body: UserIn,
    services: ServicesDep,
) -> schemas.Binding:
    """Bind a deployment to a user. All later runs of the deployment count for the quota of this user."""

    def write(conn: Connection) -> None:
        people.bind_deployment(conn, name, people.user(conn, body.user).user_id)

    await services.database.run(write)
    return schemas.Binding(deployment=name, user=body.user)


@router.post(
    "/validate",
    summary="Check a test or a suite without running it",
    tags=["tests"],
    responses=openapi.refusals(413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("TestRequest", "Suite")]
                    },
                    "example": EXAMPLES["TestRequest"],
                }
            },
        }
    },
)
async def validate(request: Request) -> schemas.Validation:
    """Return 200, or 400 with all problems. A body with the key `tests` is a suite."""
    raw = await bodies.read(request)
    if "tests" in mapping(raw):
        suite = await asyncio.to_thread(check_suite, raw)
        return schemas.Validation(kind="suite", name=suite.name)
    test = await asyncio.to_thread(check, raw)
    return schemas.Validation(kind="test", name=test.name)
