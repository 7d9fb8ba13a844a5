"""Who asks. Until there are users with keys of their own: one key, and it is the laptop's owner."""

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Refusal
from api.services import Here
from db.seeds import LOCAL_USER
from model.ids import UserId

_bearer = HTTPBearer(auto_error=False, description="The key in `<state>/api-key`, or of `assay env`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The user that a request counts for. `name` is what records say about them."""

    user_id: UserId
    name: str


def authenticate(
    services: Here, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Actor:
    """Return who asks, known by the key. Raises: Refusal (401) for no key or another one."""
    given = credentials.credentials if credentials else ""
    if not same_key(given, services.settings.api_key):
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "send the API key as `Authorization: Bearer <key>`; `assay env` prints it",
            {"WWW-Authenticate": 'Bearer realm="assay"'},
        )
    return Actor(user_id=LOCAL_USER, name="local")


def same_key(given: str, known: str) -> bool:
    """Compare in a time that tells nothing. An empty key is nobody's."""
    return bool(known) and hmac.compare_digest(given.encode(), known.encode())


Caller = Annotated[Actor, Depends(authenticate)]
