"""A real git server over https on loopback, with a certificate of its own."""

import http.server
import os
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cluster.local import git

GIT = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"],
}  # fmt: skip


@dataclass
class Server:
    folder: Path
    port: int
    certificate: Path
    asked: list[str] = field(default_factory=list)

    def url(self, name: str = "suite.git", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}/{name}"

    def policy(self, **more: object) -> git.Policy:
        return git.Policy(allowed_hosts=frozenset({"localhost"}), ca_file=self.certificate, **more)  # type: ignore[arg-type]


def sh(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, env=GIT, check=True, capture_output=True, text=True).stdout.strip()


def handler(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Backend(http.server.BaseHTTPRequestHandler):
        """Hand each request to git's own CGI program."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def answer(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            server.asked.append(path)
            if path.startswith("/moved.git"):
                self.send_response(302)
                self.send_header("Location", self.path.replace("moved", "suite"))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            env = GIT | {
                "GIT_PROJECT_ROOT": str(server.folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                "QUERY_STRING": query, "REQUEST_METHOD": self.command, "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }  # fmt: skip
            said = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False).stdout
            head, _, rest = said.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            return

    return Backend


@contextmanager
def git_server(folder: Path) -> Iterator[Server]:
    """Serve the bare repositories of a folder."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made = subprocess.run(
        [*command, "-keyout", str(key), "-out", str(certificate), "-days", "2", *subject],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr.decode()
    running = Server(folder, 0, certificate)
    listening = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler(running))
    listening.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    running.port = listening.server_address[1]
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield running
    listening.shutdown()
    listening.server_close()
