"""Refuses requests of other origins and for other host names, in front of Prefect's server (D19).

Prefect's own CORS setting only keeps answers from other pages. A page of another origin may still send a request that
needs no preflight (a body without a content type is read as JSON), open a websocket, or reach the server by DNS
rebinding. A client that can start a flow run can run programs here, so all of these are refused before Prefect sees
them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
POLICY_VIOLATION = 1008


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginGuard:
    """Passes on requests of this machine's own pages and programs, and refuses all others."""

    app: ASGIApp
    origins: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan" or self._allowed(Headers(scope=scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            refusal = PlainTextResponse("This server answers only its own pages and programs on this machine.\n", 403)
            await refusal(scope, receive, send)

    def _allowed(self, headers: Headers) -> bool:
        host = headers.get("host", "")
        if _name(host) not in LOOPBACK_NAMES:
            return False
        origin = headers.get("origin")
        return origin is None or origin in self.origins or origin == f"http://{host}"


def _name(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return (name if separator and port.isdigit() else host).lower()


def closed(app: ASGIApp, origins: Iterable[str]) -> OriginGuard:
    """Put the guard in front of `app`."""
    return OriginGuard(app=app, origins=frozenset(origins))
