"""JSON over HTTP: what the three services share."""

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, TypeAlias
from urllib.error import HTTPError
from urllib.request import Request, urlopen

Body: TypeAlias = dict[str, Any]
Answer: TypeAlias = tuple[int, Body]
Route: TypeAlias = tuple[str, str, Callable[..., Answer]]
"""Method, pattern of the path, and what answers: it gets the groups of the pattern, and the body of a POST or PUT."""

PATIENCE = 5.0


class Refused(Exception):  # noqa: N818  an answer, not an accident
    """The request cannot be served; `status` and `reason` go back to the caller."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.answer = (status, {"error": reason})


class Handler(BaseHTTPRequestHandler):
    """Finds the route of a request and sends its answer as JSON."""

    routes: ClassVar[list[Route]] = []

    def answer(self) -> None:
        """Answer whatever was asked."""
        status, body = self.routed()
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  the names that http.server looks for

    def routed(self) -> Answer:
        """Return what the first route that fits answers, or why it refuses."""
        try:
            arguments = [self.body()] if self.command in {"POST", "PUT"} else []
            for method, pattern, function in self.routes:
                match = re.fullmatch(pattern, self.path)
                if match and method == self.command:
                    return function(*match.groups(), *arguments)
        except Refused as refused:
            return refused.answer
        return 404, {"error": f"nothing at {self.command} {self.path}"}

    def body(self) -> Body:
        """Return the body. Raises: Refused with 400 if it is no JSON object."""
        length = int(self.headers.get("Content-Length") or 0)
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            raise Refused(400, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refused(400, "the body is not an object")
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of http.server
        """Say nothing: a test's log is for the test."""


def server(routes: list[Route], port: int) -> ThreadingHTTPServer:
    """Return a server on loopback; port 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), type("Routed", (Handler,), {"routes": routes}))


def call(method: str, url: str, body: Body | None = None) -> Answer:
    """Call another service. Raises: Refused with 503 when it does not answer."""
    data = json.dumps(body).encode() if body is not None else None
    request = Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310  our own services
    try:
        with urlopen(request, timeout=PATIENCE) as response:  # noqa: S310
            return response.status, json.loads(response.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
    except OSError as error:
        raise Refused(503, f"{url} does not answer: {error}") from error


def positive(body: Body, key: str) -> int:
    """Return a whole number above 0 out of a body. Raises: Refused with 400."""
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refused(400, f"{key} must be a whole number above 0")
    return value
