"""JSON over HTTP: what the three services share."""

import json
import re
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, TypeAlias
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from shop.metrics import CONTENT_TYPE, Metrics

Body: TypeAlias = dict[str, Any]
Answer: TypeAlias = tuple[int, Body]
Route: TypeAlias = tuple[str, str, Callable[..., Answer]]
"""Method, pattern of the path, and what answers: it gets the groups of the pattern, and the body of a POST or PUT."""

PATIENCE = 5.0
PAUSE = 0.1
SERVER_ERROR = 500


class Refused(Exception):  # noqa: N818  an answer, not an accident
    """The request cannot be served; `status` and `reason` go back to the caller."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.answer = (status, {"error": reason})


class Handler(BaseHTTPRequestHandler):
    """Finds the route of a request and sends its answer as JSON."""

    routes: ClassVar[list[Route]] = []
    metrics: ClassVar[Metrics]

    def answer(self) -> None:
        """Answer whatever was asked, and count it."""
        if (self.command, self.path) == ("GET", "/metrics"):
            self.send(200, CONTENT_TYPE, self.metrics.text().encode())
            return
        began = time.monotonic()
        status, body = self.routed()
        self.metrics.count(self.command, status, time.monotonic() - began)
        self.send(status, "application/json", json.dumps(body).encode())

    def send(self, status: int, content_type: str, text: bytes) -> None:
        """Send an answer."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
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


def server(routes: list[Route], port: int, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """Return a server, on loopback if no other host is named; port 0 takes a free one."""
    return ThreadingHTTPServer((host, port), type("Routed", (Handler,), {"routes": routes, "metrics": Metrics()}))


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


def call_again(method: str, url: str, body: Body, seconds: float) -> Answer:
    """Call another service, and again for so long while it is away or fails. Raises: Refused with 503.

    The other service must bear to be asked twice.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            answer = call(method, url, body)
        except Refused:
            if time.monotonic() >= until:
                raise
        else:
            if answer[0] < SERVER_ERROR or time.monotonic() >= until:
                return answer
        time.sleep(PAUSE)


def positive(body: Body, key: str) -> int:
    """Return a whole number above 0 out of a body. Raises: Refused with 400."""
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refused(400, f"{key} must be a whole number above 0")
    return value
