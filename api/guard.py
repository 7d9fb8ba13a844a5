"""Refuse requests of other origins, for other host names, and with large bodies (D19)."""

from dataclasses import KW_ONLY, dataclass
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Refusal, problem

SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Guard:
    """Middleware that refuses requests which a page of another origin may have sent."""

    app: ASGIApp
    _: KW_ONLY
    allowed_hosts: frozenset[str]
    body_limit: int
    content_limit: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the application, or respond with problem details."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            await problem(400, "the address contains a NUL character")(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is not None:
            await problem(refusal[0], refusal[1])(scope, receive, send)
            return
        limit = self.content_limit if scope["path"].startswith("/api/v1/content/") else self.body_limit
        if int(_length(Headers(scope=scope))) > limit:
            await problem(413, _too_large(limit))(scope, receive, send)
            return
        await self.app(scope, _counted(receive, limit), send)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if _name(host) not in self.allowed_hosts:
            return 400, f"the host {host[:100]!r} is not served here"
        origin = headers.get("origin")
        if origin is None or origin in {f"http://{host}", f"https://{host}"} or method in SAFE_METHODS:
            return None
        return 403, f"requests from the origin {origin[:100]!r} are not allowed"


def _name(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return (name if separator and port.isdigit() else host).lower()


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes"


def _counted(receive: Receive, limit: int) -> Receive:
    """Wrap `receive` so that a body beyond the limit is refused, also if it has no Content-Length."""
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(limit))
        return message

    return counting
