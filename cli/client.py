"""A client of the REST API: JSON in, JSON out, problems as exceptions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from cli.failure import RefusedError, UnreachableError
from cli.server_discovery import Server
from model.problems import Problem

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
QUIET = 60.0
"""Seconds without a byte after which a stream counts as lost. The server sends a heartbeat every 15."""


class Client:
    """One connection to one server."""

    def __init__(self, server: Server, seconds: float | None = None) -> None:
        self._url = server.url
        self._http = httpx.Client(
            base_url=f"{server.url}/api/v1",
            headers={"Authorization": f"Bearer {server.key}", "User-Agent": "assay-cli"},
            timeout=TIMEOUT if seconds is None else httpx.Timeout(seconds),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON at `path`. Parameters that are None are left out."""
        return self._json("GET", path, params={k: v for k, v in (query or {}).items() if v is not None})

    def post(self, path: str, body: object = None) -> Any:
        """Send `body` by POST, and return the answer."""
        return self._json("POST", path, **({} if body is None else {"json": body}))

    def put(self, path: str, body: object) -> Any:
        """Replace what is at `path`."""
        return self._json("PUT", path, json=body)

    def delete(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Remove what is at `path`, and return the answer, if there is one."""
        return self._json("DELETE", path, params=query)

    def text(self, path: str, query: Mapping[str, Any] | None = None) -> bytes:
        """Return the raw bytes at `path`."""
        return self._send("GET", path, params=query).content

    def upload(self, path: str, file: Path) -> Any:
        """Send the raw bytes of a file by PUT, and return the answer."""
        with file.open("rb") as stream:
            return self._json("PUT", path, content=stream, timeout=300.0)

    def download(self, path: str, target: Path) -> int:
        """Write the bytes at `path` to `target`, and return their number."""
        with self._stream("GET", path) as response, target.open("wb") as out:
            return sum(out.write(chunk) for chunk in response.iter_bytes())

    @contextmanager
    def lines(self, path: str, headers: Mapping[str, str]) -> Iterator[Iterator[str]]:
        """Open a stream of server-sent events, and give its lines."""
        timeout = httpx.Timeout(QUIET, connect=5.0)
        with self._stream("GET", path, headers=headers, timeout=timeout) as response:
            yield response.iter_lines()

    def _json(self, method: str, path: str, **rest: Any) -> Any:
        response = self._send(method, path, **rest)
        return response.json() if response.content else None

    def _send(self, method: str, path: str, **rest: Any) -> httpx.Response:
        with self._named_errors():
            response = self._http.request(method, path, **rest)
        if response.is_success:
            return response
        raise _refusal(response)

    @contextmanager
    def _stream(self, method: str, path: str, **rest: Any) -> Iterator[httpx.Response]:
        with self._named_errors(), self._http.stream(method, path, **rest) as response:
            if not response.is_success:
                response.read()
                raise _refusal(response)
            yield response

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            what = str(error) or type(error).__name__
            raise UnreachableError(
                f"no answer from {self._url} ({what}): check with `assay status` whether it runs"
            ) from error


def _refusal(response: httpx.Response) -> RefusedError:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return RefusedError(response.status_code, f"HTTP {response.status_code} from {response.url.host}")
    problems = [Problem(path=str(p["path"]), message=str(p["message"])) for p in body.get("problems", [])]
    return RefusedError(response.status_code, str(body.get("detail") or body.get("title") or "refused"), problems)
