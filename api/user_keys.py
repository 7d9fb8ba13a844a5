"""/users/{user}/keys: keys by which persons are told apart. A key is shown once, when it is made."""

from typing import Annotated

from fastapi import APIRouter, Path

from api import openapi, operations_schemas
from api.members import UserPath
from api.services import Services, ServicesDep
from orchestrator import user_keys

router = APIRouter(tags=["people"])
KeyPath = Annotated[str, Path(alias="keyId", max_length=16, description="The id of the key", examples=["3f9a01c2"])]
ID_BITS, SECRET_BITS = 32, 256


@router.get(
    "/users/{user}/keys", summary="List the keys of a user", responses=openapi.refusals(status_404="No such user")
)
async def list_keys(user: UserPath, services: ServicesDep) -> operations_schemas.KeyList:
    """Return the keys of a user, without their secrets."""
    found = await services.database.run(lambda conn: user_keys.listed(conn, user))
    return operations_schemas.KeyList(keys=[operations_schemas.KeyOut.model_validate(row) for row in found])


@router.post(
    "/users/{user}/keys",
    summary="Make a key for a user",
    status_code=201,
    responses=openapi.refusals(status_404="No such user", status_403="Not the key of the installation"),
)
async def create_key(user: UserPath, services: ServicesDep) -> operations_schemas.NewKeyOut:
    """Make a key. Only its digest is kept, so it is shown this once."""
    key_id, secret = _random(services, ID_BITS), _random(services, SECRET_BITS)
    made = await services.database.run(lambda conn: user_keys.create(conn, user, key_id, secret))
    return operations_schemas.NewKeyOut.model_validate(made)


@router.delete(
    "/users/{user}/keys/{keyId}",  # noqa: FAST003  bound by alias
    summary="Revoke a key",
    status_code=204,
    responses=openapi.refusals(status_404="No such user or key", status_403="Not the key of the installation"),
)
async def revoke_key(user: UserPath, key_id: KeyPath, services: ServicesDep) -> None:
    """Refuse a key from now on. Again changes nothing."""
    await services.database.run(lambda conn: user_keys.revoke(conn, user, key_id))


def _random(services: Services, bits: int) -> str:
    return f"{services.random.getrandbits(bits):0{bits // 4}x}"
