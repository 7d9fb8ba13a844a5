"""Metrics from Prometheus, or from what speaks its interface: Thanos, Mimir, VictoriaMetrics.

The client library blocks, so each call runs in a thread. By default it waits for ever, tries again by itself, and drops
the warnings of an answer. Here each call has a time limit, nothing is tried again, and an answer with warnings is no
answer: Thanos warns when it has only a part of the data.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from pydantic import BaseModel, TypeAdapter, ValidationError
from requests import RequestException, Response, Session
from urllib3.util import Retry

from cluster.observation.errors import RefusedError, UnreachableError
from cluster.observation.metrics import QueryWindow, Sample, at_seconds

SECONDS = 5.0
"""A reading must be over by then, connection included."""
LONGEST_ANSWER = 300
OK, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, UNPROCESSABLE = 200, 400, 401, 403, 404, 422
_REMEDIES = {
    BAD_REQUEST: "the query is wrong: mend it",
    UNAUTHORIZED: "the credentials are wrong: renew them",
    FORBIDDEN: "the credentials do not allow queries: an administrator must",
    NOT_FOUND: "there is no query interface at this address: name the one before /api/v1",
    UNPROCESSABLE: "the query cannot be computed: mend it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusAccess:
    """How to reach a Prometheus. `url` is what stands before `/api/v1`; `token` is sent as a bearer token."""

    url: str
    token: str | None = field(default=None, repr=False)
    tenant: str | None = None
    """The value of the header `X-Scope-OrgID`, which Mimir and Thanos' receivers ask for."""
    verify: bool = True
    """Whether the certificate of an https address is checked."""

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of each request."""
        found = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return found | ({"X-Scope-OrgID": self.tenant} if self.tenant else {})


class _Answer(BaseModel):
    """What of an answer the client library drops."""

    warnings: list[str] = []


class _Series(BaseModel):
    metric: dict[str, str] = {}
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] = []


_SERIES = TypeAdapter(list[_Series])
_SCALAR = TypeAdapter(tuple[float, str])


class PrometheusSource:
    """The port `MetricsSource`."""

    def __init__(self, access: PrometheusAccess, *, seconds: float = SECONDS) -> None:
        self._access = access
        self._seconds = seconds
        self._name = f"Prometheus at {access.url}"

    async def value(self, query: str) -> Sample | None:
        """Return the newest value of a query, None without data. Raises: UnreachableError, RefusedError."""
        found = await self._ask(lambda client: client.custom_query(query, params=self._limits()))
        samples = self._one_series(found)
        return samples[-1] if samples else None

    async def series(self, query: str, window: QueryWindow) -> tuple[Sample, ...]:
        """Return the samples of a window in order of time. Raises: UnreachableError, RefusedError."""
        step = f"{int(window.step.total_seconds())}s"
        found = await self._ask(
            lambda client: client.custom_query_range(query, window.start, window.end, step, params=self._limits())
        )
        return self._one_series(found)

    def _limits(self) -> dict[str, str]:
        """Return the server's own time limit: without it, it goes on computing what nobody waits for."""
        return {"timeout": f"{max(self._seconds - 1, 1):g}s"}

    async def _ask(self, call: Callable[[PrometheusConnect], Any]) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.to_thread(self._call, call)
        except TimeoutError as error:
            raise UnreachableError(self._name, f"no answer within {self._seconds:g} s: see whether it is up") from error

    def _call(self, call: Callable[[PrometheusConnect], Any]) -> Any:
        """Make one call. The answer is checked before the library reads it, so that a refusal keeps its reason."""
        with Session() as connections:
            connections.verify = self._access.verify
            connections.trust_env = False  # a proxy or a netrc of this machine is not part of the request
            connections.hooks["response"].append(self._checked)
            client = PrometheusConnect(
                url=self._access.url.rstrip("/"), headers=self._access.headers, retry=Retry(0), session=connections,
                timeout=self._seconds,
            )  # fmt: skip
            try:
                return call(client)
            except RequestException as error:
                raise UnreachableError(self._name, f"no answer: {_short(error)}") from error
            except (PrometheusApiClientException, KeyError, TypeError, ValueError) as error:
                raise UnreachableError(self._name, f"the answer is not one of Prometheus: {_short(error)}") from error

    def _checked(self, answer: Response, **_options: object) -> None:
        """Refuse an answer that has no result, or has warnings. Raises: UnreachableError, RefusedError."""
        if answer.status_code != OK:
            said = f"HTTP {answer.status_code}: {answer.text[:LONGEST_ANSWER]}"
            remedy = _REMEDIES.get(answer.status_code)
            if remedy is None:
                raise UnreachableError(self._name, said)
            raise RefusedError(self._name, f"{remedy} ({said})")
        try:
            warnings = _Answer.model_validate_json(answer.content).warnings
        except ValidationError as error:
            raise UnreachableError(self._name, "the answer is not one of Prometheus") from error
        if warnings:
            raise UnreachableError(self._name, f"the answer may be incomplete: {'; '.join(warnings)[:LONGEST_ANSWER]}")

    def _one_series(self, result: Any) -> tuple[Sample, ...]:
        """Return the samples of an answer that holds one series or none. Raises: UnreachableError, RefusedError."""
        try:
            if _is_scalar(result):
                return _samples([_SCALAR.validate_python(result)])
            found = _SERIES.validate_python(result)
        except (ValidationError, ValueError) as error:
            raise UnreachableError(self._name, "the answer is not one of Prometheus") from error
        if len(found) > 1:
            labels = ", ".join(_labels(one.metric) for one in found[:3])
            message = f"the query has {len(found)} series ({labels} ...): make it one, for example by sum(...)"
            raise RefusedError(self._name, message)
        return _samples(found[0].values or [found[0].value]) if found else ()


def _is_scalar(result: Any) -> bool:
    """Tell a pair of a time and a text from a list of series."""
    return isinstance(result, list) and len(result) == 2 and not isinstance(result[0], dict)  # noqa: PLR2004


def _samples(pairs: list[tuple[float, str]] | list[tuple[float, str] | None]) -> tuple[Sample, ...]:
    """Return what is a number. Prometheus writes NaN where there is none, as for 0/0."""
    found = [Sample(at=at_seconds(pair[0]), value=float(pair[1])) for pair in pairs if pair is not None]
    return tuple(sorted((one for one in found if not math.isnan(one.value)), key=lambda one: one.at))


def _labels(metric: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(metric.items())) + "}"


def _short(error: Exception) -> str:
    """Return the type and the words of an error: those of `requests` hold the whole address."""
    return f"{type(error).__name__}: {error}"[:LONGEST_ANSWER]
