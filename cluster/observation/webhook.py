"""Webhooks that are asked before a fault: they get what is to be done, and answer with 2xx if it may be.

A webhook with a signing secret gets signed messages (`signing`). Redirects are not followed.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from cluster.observation.errors import RefusedError, UnreachableError
from cluster.observation.signing import SigningError, signature_headers, signing_keys

SECONDS = 5.0
LONGEST_ANSWER = 300
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAccess:
    """How to reach a webhook; `token` is sent as a bearer token, by `signing` messages are signed."""

    url: str
    token: str | None = field(default=None, repr=False)
    signing: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether this experiment may disturb these services, at this step."""

    experiment: str
    execution: str
    step: str
    services: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a webhook is told. The same id is sent again only for the same thing."""

    id: str
    at: datetime
    body: Mapping[str, object]


class Webhook:
    """A client. `seconds` is the time limit of one question."""

    def __init__(self, access: WebhookAccess, *, seconds: float = SECONDS) -> None:
        self._access = access
        self._seconds = seconds
        self._name = f"the webhook at {access.url}"

    async def ask(self, question: Question, at: datetime) -> str | None:
        """Return None if it agrees, else why not. Each question has an id of its own: no answer to another one counts.

        Raises: ObservationError if there is no usable answer.
        """
        body = {
            "experiment": question.experiment,
            "executionId": question.execution,
            "step": question.step,
            "services": list(question.services),
        }
        asked_once = f"{question.execution}.{question.step}.{int(at.timestamp() * 1000)}"
        return await self._sent(Message(id=asked_once, at=at, body=body))

    async def ask_signed(self, message: Message) -> str | None:
        """Send a signed message. Return None if it agrees, else why not.

        Raises: ObservationError if there is no usable answer, or no secret to sign with.
        """
        if self._access.signing is None:
            raise RefusedError(self._name, "has no signing secret: `assay chaos connect ... --signing-secret env:NAME`")
        return await self._sent(message)

    async def _sent(self, message: Message) -> str | None:
        content = json.dumps(message.body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **self._signed(message, content)}
        if self._access.token:
            headers["Authorization"] = f"Bearer {self._access.token}"
        try:
            async with (
                asyncio.timeout(self._seconds),
                httpx.AsyncClient(trust_env=False, timeout=self._seconds, follow_redirects=False) as client,
            ):
                answer = await client.post(self._access.url, content=content, headers=headers)
        except TimeoutError as error:
            raise UnreachableError(self._name, f"no answer within {self._seconds:g} s: see whether it is up") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreachableError(self._name, f"no answer: {type(error).__name__}: {error}") from error
        return self._said(answer)

    def _signed(self, message: Message, content: bytes) -> dict[str, str]:
        if self._access.signing is None:
            return {}
        try:
            return signature_headers(signing_keys(self._access.signing), message.id, message.at, content)
        except SigningError as error:
            raise RefusedError(self._name, str(error)) from error

    def _said(self, answer: httpx.Response) -> str | None:
        if answer.is_success:
            return None
        said = f"HTTP {answer.status_code}: {answer.text[:LONGEST_ANSWER]}"
        if answer.status_code >= SERVER_ERROR or answer.is_redirect:
            raise UnreachableError(self._name, said)
        return f"{self._name} refuses: {said}"
