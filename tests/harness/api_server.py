"""A small HTTP server that answers as a test has told it: what an API server does when it is away or forgets."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cluster.kubernetes.connection import ClusterAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer. `lines` are sent as a stream, in chunks; the connection is cut afterwards where `cut` is set."""

    status: int = 200
    body: object = None
    lines: tuple[object, ...] = ()
    cut: bool = False


@dataclass
class Server:
    """What it has been asked, and what it answers next; the last answer is given again and again."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    url: str = ""

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serving() -> Iterator[Server]:
    told = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(told))
    told.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def access(server: Server, file: Path) -> ClusterAccess:
    """Write a kubeconfig for the server, and return how to use it."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [{"name": "u", "user": {"token": "t0ken"}}],
    }
    file.write_text(json.dumps(config))
    return ClusterAccess(name="lab", namespace="tests", image="python:3", kubeconfig=file)


def _handler(told: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            told.bodies.append(json.loads(self.rfile.read(length)) if length else None)
            told.asked.append(f"{self.command} {self.path}")
            told.tokens.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
            answer = told.next()
            if answer.status == 0:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            if answer.lines:
                self._stream(answer)
                return
            body = json.dumps(answer.body).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, answer: Answer) -> None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in answer.lines:
                piece = json.dumps(line).encode() + b"\n"
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            if answer.cut:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815  the names of the base class

        def log_message(self, *_: Any) -> None:
            """Say nothing: a test looks at what was asked."""

    return Handler
