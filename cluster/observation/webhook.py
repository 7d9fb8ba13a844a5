"""A webhook that is asked before a fault: it gets the targets, and answers with 2xx if they may be disturbed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from cluster.observation.errors import UnreachableError

SECONDS = 5.0
LONGEST_ANSWER = 300
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAccess:
    """How to reach a webhook; `token` is sent as a bearer token."""

    url: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether this experiment may disturb these services, at this step."""

    experiment: str
    execution: str
    step: str
    services: Sequence[str]


class Webhook:
    """A client. `seconds` is the time limit of one question."""

    def __init__(self, access: WebhookAccess, *, seconds: float = SECONDS) -> None:
        self._access = access
        self._seconds = seconds
        self._name = f"the webhook at {access.url}"

    async def ask(self, question: Question) -> str | None:
        """Return None if it agrees, else why not. Raises: UnreachableError if there is no usable answer."""
        headers = {"Authorization": f"Bearer {self._access.token}"} if self._access.token else {}
        body = {
            "experiment": question.experiment,
            "executionId": question.execution,
            "step": question.step,
            "services": list(question.services),
        }
        try:
            async with (
                asyncio.timeout(self._seconds),
                httpx.AsyncClient(headers=headers, trust_env=False, timeout=self._seconds) as client,
            ):
                answer = await client.post(self._access.url, json=body)
        except TimeoutError as error:
            raise UnreachableError(self._name, f"no answer within {self._seconds:g} s: see whether it is up") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreachableError(self._name, f"no answer: {type(error).__name__}: {error}") from error
        if answer.is_success:
            return None
        said = f"HTTP {answer.status_code}: {answer.text[:LONGEST_ANSWER]}"
        if answer.status_code >= SERVER_ERROR or answer.is_redirect:
            raise UnreachableError(self._name, said)
        return f"{self._name} refuses: {said}"
