"""An HTTP server on loopback that answers as a test says, and notes what it was asked."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, kw_only=True)
class Asked:
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`hangs`: nothing comes until the server stops."""

    status: int = 200
    body: object = None
    text: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False


@dataclass
class ScriptedServer:
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def handler(server: ScriptedServer, script: Callable[[Asked], Answer]) -> type[http.server.BaseHTTPRequestHandler]:
    class Scripted(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            sent = self.rfile.read(int(headers.get("content-length", "0")))
            asked = Asked(path=parts.path, query=parse_qs(parts.query), headers=headers, body=sent)
            server.asked.append(asked)
            answer = script(asked)
            if answer.hangs:
                server.stopping.wait()
                return
            body = (json.dumps(answer.body) if answer.text is None else answer.text).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  the name of its base

        def log_message(self, *_args: object) -> None:
            pass

    return Scripted


@contextmanager
def serving(script: Callable[[Asked], Answer]) -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(server, script))
    server.port = listener.server_address[1]
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        listener.shutdown()
        listener.server_close()
        thread.join()
