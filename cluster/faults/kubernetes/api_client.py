"""Requests of a guard to the API server, from inside a pod, by the standard library of Python alone.

It has the token and the certificate of its service account. Each request has a time limit. A program in a container is
run over a websocket (RFC 6455) with the protocol v4.channel.k8s.io: the first byte of a frame is the channel.
"""
# ruff: noqa: PTH123
# as in cluster.local.shim: this is read by an interpreter that imports as little as possible

import base64
import http.client
import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SECONDS = 5.0
STDIN, STDOUT, STDERR, ERROR = 0, 1, 2, 3
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NOT_FOUND, CONFLICT = 404, 409
SWITCHING = 101
ERRORS = 400
SHORT, MIDDLE = 126, 65_536
Body = dict[str, Any]


class AwayError(Exception):
    """The API server did not answer. The request may be sent again."""


class RefusedError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """The API server, as the service account of this pod."""

    def __init__(self, host: str | None = None, port: int | None = None, account: str = ACCOUNT) -> None:
        self._host = host or os.environ["KUBERNETES_SERVICE_HOST"]
        self._port = port or int(os.environ["KUBERNETES_SERVICE_PORT"])
        self._account = account
        self._tls = ssl.create_default_context(cafile=f"{account}/ca.crt")

    def get(self, path: str, **query: str) -> Body:
        """Return an object. Raises: AwayError, RefusedError."""
        return self.send("GET", path + (f"?{urlencode(query)}" if query else ""))

    def find(self, path: str) -> Body | None:
        """Return an object, None if there is none. Raises: AwayError, RefusedError."""
        return self.send_if_there("GET", path)

    def patch(self, path: str, body: Body) -> Body | None:
        """Change an object by a merge patch; None if there is none. Raises: AwayError, RefusedError."""
        return self.send_if_there("PATCH", path, body)

    def send_if_there(self, method: str, path: str, body: Body | None = None) -> Body | None:
        """Send a request about an object; None if there is none. Raises: AwayError, RefusedError."""
        try:
            return self.send(method, path, body)
        except RefusedError as refused:
            if refused.status == NOT_FOUND:
                return None
            raise

    def send(self, method: str, path: str, body: Body | None = None) -> Body:
        """Send a request and return the answer. Raises: AwayError, RefusedError."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {**self._credentials(), "Content-Type": kind, "Accept": "application/json"}
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=SECONDS, context=self._tls)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as broken:
            raise AwayError(str(broken)) from broken
        finally:
            connection.close()
        return _read(method, path, answer.status, data)

    def exec(self, pod: str, container: str, command: Sequence[str]) -> "Exec":
        """Start a program in a container. Raises: AwayError, RefusedError."""
        words = [("command", word) for word in command]
        words += [("container", container), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
        try:
            raw = socket.create_connection((self._host, self._port), SECONDS)
            stream = self._tls.wrap_socket(raw, server_hostname=self._host)
            stream.sendall(self._upgrade(f"{pod}/exec?{urlencode(words, quote_via=quote)}"))
            return Exec(stream)
        except OSError as broken:
            raise AwayError(str(broken)) from broken

    def run(self, pod: str, container: str, command: Sequence[str], seconds: float = 10.0) -> tuple[int, str]:
        """Run a program to its end; return its exit code and output. Raises: AwayError, RefusedError."""
        program = self.exec(pod, container, command)
        program.ended.wait(seconds)
        program.close()
        if program.exit_code is None:
            raise AwayError(f"{command[0]} did not end in {seconds:g} s")
        return program.exit_code, program.output()

    def _credentials(self) -> dict[str, str]:
        with open(f"{self._account}/token", encoding="ascii") as file:  # it is renewed now and then
            return {"Authorization": f"Bearer {file.read().strip()}"}

    def _upgrade(self, path: str) -> bytes:
        headers = {
            "Host": f"{self._host}:{self._port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "v4.channel.k8s.io",
            **self._credentials(),
        }
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode()


def _read(method: str, path: str, status: int, data: bytes) -> Body:
    try:
        read = json.loads(data or b"{}")
    except ValueError:
        read = {"message": data.decode(errors="replace")[:300]}
    if status in {429, 500, 502, 503, 504}:
        raise AwayError(f"{method} {path}: HTTP {status}: {read.get('message', '')}")
    if status >= ERRORS:
        raise RefusedError(status, f"{method} {path}: {read.get('message') or f'HTTP {status}'}")
    answer: Body = read
    return answer


class Exec:
    """A program in a container. Its input ends when the connection does: the program must end itself by that.

    `ended` is set when the program has ended or the connection is lost. Then `exit_code` is None if it is not known.
    """

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._file = stream.makefile("rb")
        self._said = bytearray()
        self._taken = 0
        self.exit_code: int | None = None
        self.ended = threading.Event()
        self._greet()
        stream.settimeout(None)
        threading.Thread(target=self._listen, daemon=True).start()

    def output(self) -> str:
        """Return what the program has said until now."""
        return bytes(self._said).decode(errors="replace")

    def new_lines(self) -> list[str]:
        """Return the whole lines that were said since the last call."""
        text = bytes(self._said)
        end = text.rfind(b"\n") + 1
        new, self._taken = text[self._taken : end], max(self._taken, end)
        return new.decode(errors="replace").splitlines()

    def close(self) -> None:
        """Drop the connection."""
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._stream.close()

    def _greet(self) -> None:
        words = self._file.readline().split(b" ")
        if not words[1:]:
            raise OSError("the connection is lost")
        status = int(words[1])
        size = 0
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        if status != SWITCHING:
            told = self._file.read(size).decode(errors="replace")[:300]
            self.close()
            raise RefusedError(status, f"exec: HTTP {status}: {told}")

    def _listen(self) -> None:
        try:
            while not self._frame():
                pass
        except (OSError, ValueError, struct.error):
            pass
        finally:
            self.ended.set()

    def _frame(self) -> bool:
        """Read one frame. Return whether the connection is over."""
        first, second = self._exactly(2)
        size = second & 127
        if size == SHORT:
            [size] = struct.unpack(">H", self._exactly(2))
        elif size > SHORT:
            [size] = struct.unpack(">Q", self._exactly(8))
        data = self._exactly(size)
        kind = first & 15
        if kind == PING:
            self._send(PONG, data)
        elif kind in {TEXT, BINARY} and data:
            self._take(data[0], data[1:])
        return kind == CLOSE

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise OSError("the connection is lost")
        return data

    def _take(self, channel: int, data: bytes) -> None:
        if channel in {STDOUT, STDERR}:
            self._said += data
        elif channel == ERROR:
            told = json.loads(data)
            causes = (told.get("details") or {}).get("causes") or []
            codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
            self.exit_code = 0 if told.get("status") == "Success" else next(iter(codes), 1)
            if told.get("status") != "Success" and not codes:
                self._said += str(told.get("message", "")).encode()

    def _send(self, kind: int, data: bytes) -> None:
        """Send a short frame, masked as a client must."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
        self._stream.sendall(bytes([0x80 | kind, 0x80 | len(data)]) + mask + masked)
