"""Authenticate requests. There is one API key so far, and it belongs to the local user."""

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Refusal
from api.services import ServicesDep
from db.seeds import LOCAL_USER
from model.ids import UserId

_bearer = HTTPBearer(auto_error=False, description="The API key: in `<state>/api-key`, or printed by `assay env`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The user whose quota a request counts for. Records contain `name`."""

    user_id: UserId
    name: str


def authenticate(
    services: ServicesDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Actor:
    """Return the user of the API key. Raises: Refusal (401) for a missing or a wrong key."""
    given = credentials.credentials if credentials else ""
    if not same_key(given, services.settings.api_key):
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "send the API key as `Authorization: Bearer <key>`; `assay env` prints it",
            {"WWW-Authenticate": 'Bearer realm="assay"'},
        )
    return Actor(user_id=LOCAL_USER, name="local")


def same_key(given: str, known: str) -> bool:
    """Compare two keys in constant time. An empty known key matches nothing."""
    return bool(known) and hmac.compare_digest(given.encode(), known.encode())


Caller = Annotated[Actor, Depends(authenticate)]
