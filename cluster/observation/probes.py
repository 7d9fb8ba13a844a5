"""Probes of health: an HTTP request, a TCP connection, a condition of a Kubernetes object.

A probe that fails is a result, not an exception.

What a probe may reach is decided as for any other request that a user makes us send: private addresses only where the
operator allows the host. A name is resolved once, and the connection goes to an address that was checked.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import SplitResult, quote, urlsplit

import httpx
from pydantic import BaseModel, Field

from cluster import addresses
from cluster.addresses import NoAnswerError
from cluster.backend import UnavailableError
from cluster.kubernetes.connection import ApiError, Connection

LARGEST_BODY = 1_000_000
"""Bytes of a body that are looked at. A text that comes later is not found."""
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProbe:
    """A request that must be answered with a status from `lowest` to `highest`, and with `contains` in the body.

    Redirects are not followed: they could lead to a host that was not checked. A regular expression is not offered: one
    that a user writes can keep the worker busy for ever.
    """

    url: str
    seconds: float
    method: str = "GET"
    lowest: int = 200
    highest: int = 399
    contains: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpProbe:
    """A connection that must be accepted."""

    host: str
    port: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionProbe:
    """A condition in the status of a Kubernetes object, such as Available of a Deployment, that must have a value.

    `api` is the group and version, such as `apps/v1`, or `v1`; `resource` is the plural, such as `deployments`.
    """

    api: str
    resource: str
    namespace: str
    name: str
    condition: str
    seconds: float
    expected: str = "True"

    @property
    def path(self) -> str:
        """Return the path of the object in the API."""
        root = f"/apis/{self.api}" if "/" in self.api else f"/api/{self.api}"
        return f"{root}/namespaces/{quote(self.namespace, '')}/{quote(self.resource, '')}/{quote(self.name, '')}"


FULLY_AVAILABLE = "FullyAvailable"
"""A condition that the API does not write: as many replicas are available as the object asks for."""
CONDITION_KINDS: Mapping[str, tuple[str, str]] = {
    "Pod": ("v1", "pods"),
    "Deployment": ("apps/v1", "deployments"),
    "ReplicaSet": ("apps/v1", "replicasets"),
    "StatefulSet": ("apps/v1", "statefulsets"),
    "DaemonSet": ("apps/v1", "daemonsets"),
    "Job": ("batch/v1", "jobs"),
}
"""The kinds of objects that a check of conditions may name, with their group and plural."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a probe found. `detail` says what came instead of what was expected; `seconds` is how long it took."""

    healthy: bool
    detail: str
    seconds: float


class Prober:
    """Sends probes. `allowed_hosts` are the private hosts that the operator opened."""

    def __init__(self, allowed_hosts: frozenset[str] = frozenset()) -> None:
        self._allowed_hosts = allowed_hosts

    async def http(self, probe: HttpProbe) -> ProbeResult:
        """Send one request."""
        return await _timed(self._http(probe), probe.seconds)

    async def tcp(self, probe: TcpProbe) -> ProbeResult:
        """Open one connection, and close it."""
        return await _timed(self._tcp(probe), probe.seconds)

    async def condition(self, probe: ConditionProbe, cluster: Connection) -> ProbeResult:
        """Read one object of a cluster."""
        return await _timed(_condition(probe, cluster), probe.seconds)

    async def _http(self, probe: HttpProbe) -> str | None:
        parts = urlsplit(probe.url)
        if parts.scheme not in PORTS or not parts.hostname:
            return "the address is not one of http or https"
        address = await self._address(parts.hostname, parts.port or PORTS[parts.scheme])
        headers = {"Host": parts.netloc.rpartition("@")[2], **probe.headers}
        async with (
            httpx.AsyncClient(trust_env=False, verify=probe.verify, timeout=probe.seconds) as client,
            client.stream(
                probe.method, pinned(parts, address), headers=headers, extensions={"sni_hostname": parts.hostname}
            ) as answer,
        ):
            if not probe.lowest <= answer.status_code <= probe.highest:
                return f"HTTP {answer.status_code}, expected {probe.lowest} to {probe.highest}"
            if not probe.contains or probe.contains in await _beginning(answer):
                return None
            return f"the body does not contain {probe.contains!r}"

    async def _tcp(self, probe: TcpProbe) -> str | None:
        address = await self._address(probe.host, probe.port)
        _, writer = await asyncio.open_connection(address, probe.port)
        writer.close()
        return None

    async def _address(self, host: str, port: int) -> str:
        found = await asyncio.to_thread(addresses.resolve, host, port, self._allowed_hosts)
        return str(found[0])


class _Condition(BaseModel):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class _Status(BaseModel):
    conditions: list[_Condition] = []
    available: Annotated[int, Field(alias="availableReplicas")] = 0


class _Spec(BaseModel):
    replicas: int = 1


class _Object(BaseModel):
    spec: _Spec = _Spec()
    status: _Status = _Status()


async def _condition(probe: ConditionProbe, cluster: Connection) -> str | None:
    found = await asyncio.to_thread(cluster.find, probe.path)
    if found is None:
        return f"there is no {probe.path}"
    seen = _Object.model_validate_json(found)
    if probe.condition == FULLY_AVAILABLE and "replicas" in seen.spec.model_fields_set:
        missing = seen.spec.replicas - seen.status.available
        return f"{seen.status.available} of {seen.spec.replicas} replicas are available" if missing else None
    for one in seen.status.conditions:
        if one.type == probe.condition:
            if one.status == probe.expected:
                return None
            said = ": ".join(filter(None, [one.reason, one.message]))
            return f"{probe.condition} is {one.status}, expected {probe.expected} ({said or 'no reason given'})"
    return f"it has no condition {probe.condition}"


async def _timed(probe: Coroutine[None, None, str | None], seconds: float) -> ProbeResult:
    """Run a probe, which returns what is wrong or None, within its time limit."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            wrong = await probe
    except TimeoutError:
        wrong = f"no answer within {seconds:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, NoAnswerError, ApiError, UnavailableError) as error:
        wrong = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ProbeResult(healthy=wrong is None, detail=wrong or "", seconds=time.monotonic() - began)


def pinned(parts: SplitResult, address: str) -> str:
    """Return the URL with an address in place of the name, and without a user and a password."""
    host = f"[{address}]" if ":" in address else address
    return parts._replace(netloc=f"{host}:{parts.port or PORTS[parts.scheme]}", fragment="").geturl()


async def _beginning(answer: httpx.Response) -> str:
    """Return the body as text, up to a size."""
    found = b""
    async for piece in answer.aiter_bytes():
        found += piece
        if len(found) >= LARGEST_BODY:
            break
    return found[:LARGEST_BODY].decode(answer.encoding or "utf-8", errors="replace")
