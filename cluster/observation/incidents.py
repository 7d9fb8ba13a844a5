"""The incident service of an organisation: which incidents are open, and who is on call.

Speaks version 2 of PagerDuty's REST interface. Both questions are asked for safety, so a part of an answer is none: all
pages are read within one time limit.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from cluster.observation.errors import RefusedError, UnreachableError

SECONDS = 5.0
"""All pages of an answer must have come by then."""
PAGE = 100
MOST_PAGES = 50
LONGEST_ANSWER = 300
OK, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY = 200, 400, 401, 403, 404, 429
_REMEDIES = {
    BAD_REQUEST: "the request is wrong: look at the ids of services and escalation policies",
    UNAUTHORIZED: "the token is wrong or revoked: renew it",
    FORBIDDEN: "the token may not read this: an administrator must allow it",
    NOT_FOUND: "there is no such interface at this address: mend the address",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAccess:
    """How to reach the incident service."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident that is not resolved. `status` is triggered or acknowledged."""

    id: str
    title: str
    status: str
    service: str
    opened_at: datetime
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCall:
    """Somebody who is on call now. Level 1 is called first."""

    person: str
    level: int
    policy: str


class _Reference(BaseModel):
    id: str
    summary: str | None = None

    @property
    def shown(self) -> str:
        """Return the name, the id without one."""
        return self.summary or self.id


class _Incident(BaseModel):
    id: str
    title: str = ""
    status: str
    created_at: datetime
    html_url: str | None = None
    service: _Reference


class _OnCall(BaseModel):
    user: _Reference
    escalation_level: int
    escalation_policy: _Reference


class _Page(BaseModel):
    more: bool = False


class _IncidentPage(_Page):
    incidents: list[_Incident]


class _OnCallPage(_Page):
    oncalls: list[_OnCall]


AnyPage = TypeVar("AnyPage", bound=_Page)
Query = tuple[tuple[str, str], ...]


class IncidentService:
    """A client. `seconds` is the time limit of one question."""

    def __init__(self, access: IncidentAccess, *, seconds: float = SECONDS) -> None:
        self._access = access
        self._seconds = seconds
        self._name = f"the incident service at {access.url}"

    async def open_incidents(self, services: Sequence[str] = ()) -> tuple[Incident, ...]:
        """Return the open incidents of these services, of all without any; the oldest first.

        Raises: UnreachableError, RefusedError.
        """
        query = (
            ("statuses[]", "triggered"),
            ("statuses[]", "acknowledged"),
            *(("service_ids[]", one) for one in services),
        )
        pages = await self._pages("/incidents", query, _IncidentPage)
        found = {
            one.id: Incident(
                id=one.id, title=one.title, status=one.status, service=one.service.shown, opened_at=one.created_at,
                link=one.html_url or "",
            )
            for page in pages
            for one in page.incidents
        }  # fmt: skip
        return tuple(sorted(found.values(), key=lambda one: (one.opened_at, one.id)))

    async def on_call(self, policies: Sequence[str]) -> tuple[OnCall, ...]:
        """Return who is on call now by these escalation policies, level 1 first.

        Raises: UnreachableError, RefusedError.
        """
        query = tuple(("escalation_policy_ids[]", one) for one in policies)
        pages = await self._pages("/oncalls", query, _OnCallPage)
        found = {
            OnCall(person=one.user.shown, level=one.escalation_level, policy=one.escalation_policy.id)
            for page in pages
            for one in page.oncalls
        }
        return tuple(sorted(found, key=lambda one: (one.level, one.policy, one.person)))

    async def _pages(self, path: str, query: Query, kind: type[AnyPage]) -> list[AnyPage]:
        """Return all pages of a list, which the service counts by `offset` and `limit`."""
        headers = {
            "Authorization": f"Token token={self._access.token}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        }
        connections = httpx.AsyncClient(
            base_url=self._access.url, headers=headers, trust_env=False, timeout=self._seconds
        )
        try:
            async with asyncio.timeout(self._seconds), connections as client:
                return await self._read(client, path, query, kind)
        except TimeoutError as error:
            message = f"no whole answer within {self._seconds:g} s: see whether it is up"
            raise UnreachableError(self._name, message) from error
        except httpx.HTTPError as error:
            raise UnreachableError(self._name, f"no answer: {type(error).__name__}: {error}") from error

    async def _read(self, client: httpx.AsyncClient, path: str, query: Query, kind: type[AnyPage]) -> list[AnyPage]:
        found: list[AnyPage] = []
        for number in range(MOST_PAGES):
            limits = (("limit", str(PAGE)), ("offset", str(number * PAGE)))
            answer = await client.get(path, params=[*query, *limits])
            found.append(self._page(answer, kind))
            if not found[-1].more:
                return found
        raise RefusedError(self._name, f"more than {MOST_PAGES * PAGE:,} entries: name the services that matter")

    def _page(self, answer: httpx.Response, kind: type[AnyPage]) -> AnyPage:
        """Return one page. Raises: UnreachableError, RefusedError."""
        if answer.status_code != OK:
            said = f"HTTP {answer.status_code}: {answer.text[:LONGEST_ANSWER]}"
            if answer.status_code == TOO_MANY:
                said = f"too many requests; it asks to wait {answer.headers.get('Retry-After', 'some')} s"
            remedy = _REMEDIES.get(answer.status_code)
            if remedy is None:
                raise UnreachableError(self._name, said)
            raise RefusedError(self._name, f"{remedy} ({said})")
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise UnreachableError(self._name, "the answer is not a list of this kind: see the address") from error
