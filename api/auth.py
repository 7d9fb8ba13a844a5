"""Authenticate requests: by the key of the installation, which belongs to the local user, or by the key of a person.

Who has the installation's key administers it. Who has a key of his own does all but that.
"""

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.guard import SAFE_METHODS
from api.problems import Refusal
from api.services import ServicesDep
from db.seeds import LOCAL_USER
from model.ids import UserId
from orchestrator import user_keys

_bearer = HTTPBearer(auto_error=False, description="The API key: in `<state>/api-key`, or printed by `assay env`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The user whose quota a request counts for. Records contain `name`. `administrator`: by the installation's key."""

    user_id: UserId
    name: str
    administrator: bool = False


def authenticate(
    services: ServicesDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Actor:
    """Return the user of the API key. Raises: Refusal (401) for a missing or a wrong key."""
    given = credentials.credentials if credentials else ""
    if same_key(given, services.settings.api_key):
        return Actor(user_id=LOCAL_USER, name="local", administrator=True)
    holder = services.database.call(lambda conn: user_keys.holder_of(conn, given)) if given else None
    if holder is None:
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "send the API key as `Authorization: Bearer <key>`; `assay env` prints it",
            {"WWW-Authenticate": 'Bearer realm="assay"'},
        )
    return Actor(user_id=holder.user_id, name=holder.name)


def same_key(given: str, known: str) -> bool:
    """Compare two keys in constant time. An empty known key matches nothing."""
    return bool(known) and hmac.compare_digest(given.encode(), known.encode())


def administers(request: Request, caller: Annotated[Actor, Depends(authenticate)]) -> None:
    """Let everybody read, and only the administrator change something. Raises: Refusal (403)."""
    if request.method not in SAFE_METHODS and not caller.administrator:
        detail = "only the key of the installation may do this (`assay env` prints it), not that of a person"
        raise Refusal(HTTPStatus.FORBIDDEN, detail)


Caller = Annotated[Actor, Depends(authenticate)]
