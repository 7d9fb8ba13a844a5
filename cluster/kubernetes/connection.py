"""Requests to one API server: a time limit on each, and retries with jitter where a request may be repeated.

All of it blocks: call it from a thread. The official client brings the configuration, credentials and connections. The
bodies are bytes: `api_objects` reads them.
"""

import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import urllib3
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from pydantic import ValidationError

from cluster.backend import UnavailableError
from cluster.kubernetes.api_objects import ApiStatus
from cluster.kubernetes.kubeconfig import ClientOpener, source_of
from model.pod_policy import NOTHING_ALLOWED, PodPolicy
from model.resources import DEFAULT_GPU

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
WATCH_SECONDS = 240
"""After so long the server ends a watch, and the next one goes on where it ended."""
WATCH_SILENCE = 100.0
"""The server sends a bookmark about once a minute: a watch that is silent for longer is dead."""
TRIES = 5
FIRST_PAUSE = 0.2
PIECE = 65_536
MERGE_PATCH = "application/merge-patch+json"
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT = 400, 401, 403, 404, 409
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
ANONYMOUS = "system:anonymous"
"""Whom an API server takes a caller for that shows no credentials."""
_AGAIN = frozenset({429, 500, 502, 503, 504})
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAccess:
    """How to reach a cluster, and what to use of it.

    Without `kubeconfig` the worker runs inside the cluster and uses its own service account. `image` is what a pod runs
    in where a request names none. `gpu` is the name of the resource that a GPU is. `policy` says what pods may ask for.
    With `network_required` no test starts before the cluster was seen to enforce network policies.
    """

    name: str
    namespace: str
    image: str
    kubeconfig: Path | None = None
    context: str | None = None
    gpu: str = DEFAULT_GPU
    policy: PodPolicy = NOTHING_ALLOWED
    network_required: bool = False


class ApiError(Exception):
    """The API server refused a request, and would refuse it again. The message says what was wanted and why not."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. A path is that of the API, such as `/api/v1/nodes`."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a request goes: with the credentials of the configuration, and the certificates to trust and to show."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    tls: ssl.SSLContext
    proxy: str | None = None


class Connection:
    """Connections to one API server, made at the first request. Threads may share it. `closing` is set at its end."""

    def __init__(self, access: ClusterAccess, dice: Random | None = None) -> None:
        self.access = access
        self._dice = dice or SystemRandom()
        self._lock = threading.Lock()
        self._client: ApiClient | None = None
        self._opener = ClientOpener(access.kubeconfig, access.context)
        self.closing = threading.Event()

    def get(self, path: str, *query: tuple[str, str]) -> bytes:
        """Return an object or a list. Raises: ApiError, UnavailableError."""
        return self.send(Call(method="GET", path=path, query=query))

    def find(self, path: str) -> bytes | None:
        """Return an object, None if there is none. Raises: ApiError, UnavailableError."""
        return self._or_none(Call(method="GET", path=path))

    def create(self, path: str, body: Mapping[str, object]) -> bytes | None:
        """Create an object; return None if one of this name is there. Raises: ApiError, UnavailableError."""
        try:
            return self.send(Call(method="POST", path=path, body=body))
        except ApiError as refused:
            if refused.status == CONFLICT and refused.reason == "AlreadyExists":
                return None
            raise

    def patch(self, path: str, body: Mapping[str, object]) -> bytes | None:
        """Change an object by a merge patch; return None if there is none. Raises: ApiError, UnavailableError."""
        return self._or_none(Call(method="PATCH", path=path, body=body))

    def delete(self, path: str, *, grace: int, uid: str | None = None) -> bytes | None:
        """Delete an object, of this uid only; return None if there is none. Raises: ApiError, UnavailableError."""
        body: dict[str, object] = {"gracePeriodSeconds": grace}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        return self._or_none(Call(method="DELETE", path=path, body=body))

    def send(self, call: Call) -> bytes:
        """Send a request, again while the server is away. Raises: ApiError, UnavailableError."""
        pause = FIRST_PAUSE
        for left in reversed(range(TRIES)):
            try:
                return self._once(call)
            except UnavailableError:
                if not left or self.closing.wait(pause * self._dice.uniform(0.5, 1.5)):
                    raise
                pause *= 2
        raise UnavailableError("the connection is closed")

    def watch(self, path: str, *query: tuple[str, str]) -> Iterator[bytes]:
        """Begin a watch, and give its lines until the server ends it. Raises: ApiError, UnavailableError."""
        limits = (("watch", "1"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", str(WATCH_SECONDS)))
        return self._lines(self._open(Call(method="GET", path=path, query=(*query, *limits)), WATCH_SILENCE))

    def _lines(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        left = b""
        try:
            for piece in response.stream(PIECE):
                *lines, left = (left + piece).split(b"\n")
                yield from lines
                if self.closing.is_set():
                    return
        except (urllib3.exceptions.HTTPError, OSError) as broken:
            raise UnavailableError(f"the watch of cluster {self.access.name} broke off: {broken}") from broken
        finally:
            response.close()

    def exec_target(self, path: str, query: tuple[tuple[str, str], ...]) -> tuple[Any, str, dict[str, str]]:
        """Return what a websocket needs: the configuration, the address and the headers. Raises: UnavailableError."""
        client = self.client()
        _, url, headers, _, _ = _serialized(client, Call(method="GET", path=path, query=query))
        return client.configuration, url, {name.lower(): value for name, value in headers.items()}

    def address(self, path: str, query: tuple[tuple[str, str], ...]) -> "Address":
        """Return what another client needs to send a GET request. Raises: UnavailableError."""
        configuration, url, headers = self.exec_target(path, query)
        files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
        return Address(
            url=url, headers=headers, tls=_tls(*files, verify=configuration.verify_ssl), proxy=configuration.proxy
        )

    def client(self) -> ApiClient:
        """Return the official client. Raises: UnavailableError if its configuration cannot be used."""
        with self._lock:
            if self._client is None:
                try:
                    self._client = self._opener.client()
                except UnavailableError as failed:
                    raise UnavailableError(f"cluster {self.access.name}: {failed}") from failed
            return self._client

    def close(self) -> None:
        """Let go of the connections. Who waits for a retry gives up."""
        self.closing.set()
        if self._client is not None:
            self._client.rest_client.close()

    def _or_none(self, call: Call) -> bytes | None:
        try:
            return self.send(call)
        except ApiError as refused:
            if refused.status == NOT_FOUND and refused.reason == "NotFound":
                return None
            raise

    def _once(self, call: Call) -> bytes:
        response = self._open(call, READ_SECONDS)
        try:
            return bytes(response.data)
        except (urllib3.exceptions.HTTPError, OSError) as broken:
            raise self._away(broken) from broken
        finally:
            response.release_conn()

    def _open(self, call: Call, silence: float) -> urllib3.BaseHTTPResponse:
        client = self.client()
        method, url, headers, body, _ = _serialized(client, call)
        headers["Content-Type"] = MERGE_PATCH if call.method == "PATCH" else "application/json"
        try:
            answer = client.call_api(method, url, headers, body, (), _request_timeout=(CONNECT_SECONDS, silence))
        except (urllib3.exceptions.HTTPError, OSError, ApiException) as broken:
            raise self._away(broken) from broken
        response: urllib3.BaseHTTPResponse = answer.response
        if response.status >= BAD_REQUEST:
            raise self._refusal(call, response)
        return response

    def _refusal(self, call: Call, response: urllib3.BaseHTTPResponse) -> Exception:
        try:
            data = bytes(response.data)
        except (urllib3.exceptions.HTTPError, OSError) as broken:
            return self._away(broken)
        finally:
            response.release_conn()
        try:
            told = ApiStatus.model_validate_json(data)
        except ValidationError:
            told = ApiStatus(message=data.decode(errors="replace")[:500])
        words = told.message or f"HTTP {response.status}, and no word of an API server: see `server` in the kubeconfig"
        if response.status in _AGAIN:
            return UnavailableError(f"cluster {self.access.name}: {words}")
        if response.status == UNAUTHORIZED:
            self._client = None  # the next request reads the file again: somebody may have renewed it
            source = source_of(self.access.kubeconfig)
            words = f"it does not accept the credentials of {source}, which may have expired: {words}"
        if response.status == FORBIDDEN:
            words = f"may not {_VERBS[call.method]} {call.path}: {words}"
            words += "; the kubeconfig gives no credentials" if ANONYMOUS in words else ""
        return ApiError(response.status, told.reason, f"cluster {self.access.name}: {words}")

    def _away(self, broken: Exception) -> UnavailableError:
        words = str(broken)[:500]
        if UNTRUSTED in words:
            self._client = None
            words += "; is the certificate-authority of the kubeconfig that of this cluster?"
        return UnavailableError(f"cluster {self.access.name} cannot be reached: {words}")


@lru_cache(maxsize=16)
def _tls(authorities: str | None, certificate: str | None, key: str | None, *, verify: bool) -> ssl.SSLContext:
    """Return a context that trusts and shows what the configuration says."""
    context = ssl.create_default_context(cafile=authorities)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def _serialized(client: ApiClient, call: Call) -> tuple[str, str, dict[str, str], object, object]:
    """Return method, address, headers and body, with the credentials of the configuration."""
    serialized: tuple[str, str, dict[str, str], object, object] = client.param_serialize(
        call.method,
        call.path,
        query_params=list(call.query),
        header_params={"Accept": "application/json"},
        body=call.body,
        auth_settings=["BearerToken"],
    )
    return serialized
