"""A client of Alertmanager's API v2: sends alerts of our own, and reads what fires. It silences nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from chaos.alerts import Alert, Firing, alert_json
from cluster.observation.errors import RefusedError, UnreachableError

SECONDS = 2.0
"""For which one request may take. Nothing waits for it that matters."""
LONGEST_ANSWER = 300
SERVER_ERROR = 500
ACTIVE = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerAccess:
    """How to reach an Alertmanager: what stands before /api/v2. `token` is sent as a bearer token."""

    url: str
    token: str | None = field(default=None, repr=False)


class _Alert(BaseModel):
    fingerprint: str
    labels: dict[str, str]
    starts_at: datetime = Field(alias="startsAt")


_ALERTS = TypeAdapter(list[_Alert])


class Alertmanager:
    """A client. `seconds` is the time limit of one request."""

    def __init__(self, access: AlertmanagerAccess, *, seconds: float = SECONDS) -> None:
        self._access = access
        self._seconds = seconds
        self._name = f"the Alertmanager at {access.url}"

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Send alerts, new or again. Raises: UnreachableError, RefusedError."""
        await self._request("POST", json=[alert_json(one) for one in alerts])

    async def firing(self) -> list[Firing]:
        """Return all alerts that fire, also those that are silenced. Raises: UnreachableError, RefusedError."""
        answer = await self._request("GET", params=ACTIVE)
        try:
            found = _ALERTS.validate_json(answer.content)
        except ValidationError as error:
            raise RefusedError(self._name, "its answer is no list of alerts: is it the API v2?") from error
        return [Firing(fingerprint=one.fingerprint, labels=one.labels, starts_at=one.starts_at) for one in found]

    async def _request(self, method: str, **content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._access.token}"} if self._access.token else {}
        try:
            async with (
                asyncio.timeout(self._seconds),
                httpx.AsyncClient(headers=headers, trust_env=False, timeout=self._seconds) as client,
            ):
                answer = await client.request(method, f"{self._access.url.rstrip('/')}/api/v2/alerts", **content)
        except TimeoutError as error:
            raise UnreachableError(self._name, f"no answer within {self._seconds:g} s: see whether it is up") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreachableError(self._name, f"no answer: {type(error).__name__}: {error}") from error
        if answer.is_success:
            return answer
        said = f"HTTP {answer.status_code}: {answer.text[:LONGEST_ANSWER]}"
        raise (UnreachableError if answer.status_code >= SERVER_ERROR else RefusedError)(self._name, said)
