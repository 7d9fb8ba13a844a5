"""The proxy before the port of a service: it delays, stalls, cuts or answers errors, and counts what it did.

It carries TCP. Only to answer errors it reads the head of each HTTP/1 request of a connection; then it serves one
request a connection, so that the next one is decided anew. A loss of packets cannot be made above TCP: a share of the
connections stalls instead, as a connection does whose packets are lost.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from random import Random

from chaos.provider import ProxyRule

PIECE = 65_536
LONGEST_HEAD = 65_536
HEAD_SECONDS = 10.0
SEAT = 128


@dataclass(slots=True, kw_only=True)
class Counters:
    """What the proxy did since it was started. They only grow."""

    connections: int = 0
    delayed: int = 0
    stalled: int = 0
    cut: int = 0
    errors: int = 0
    refused: int = 0

    def copy(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)


@dataclass(slots=True)
class Proxy:
    """A proxy from `port` of loopback to whatever port the service has now."""

    name: str
    port: int
    random: Random
    behind: int | None = None
    counters: Counters = field(default_factory=Counters)
    _rules: dict[str, ProxyRule] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Listen. Raises: OSError if the port is taken."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=SEAT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and end all connections."""
        if self._server:
            self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def rules(self) -> Mapping[str, ProxyRule]:
        """Return the active rules by fault."""
        return dict(self._rules)

    def set_rule(self, fault: str, rule: ProxyRule) -> None:
        """Activate the rule of a fault. It also affects the connections that are open."""
        self._rules[fault] = rule
        self._wake()

    def clear_rule(self, fault: str) -> None:
        """Take a rule back. Stalled connections go on."""
        if self._rules.pop(fault, None):
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._open.add(task)
        self.counters.connections += 1
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self.counters.refused += 1
        finally:
            if task:
                self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if any(self._hit(rule.stall_percent) for rule in self._rules.values()):
            self.counters.stalled += 1
            await self._until(lambda rule: rule.stall_percent > 0)
        if any(rule.partition for rule in self._rules.values()):
            self.counters.cut += 1
            await self._until(lambda rule: rule.partition)
        head = b""
        if any(rule.error_percent for rule in self._rules.values()):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
            if answer := self._error(head):
                self.counters.errors += 1
                writer.write(answer)
                await writer.drain()
                return
            head = _closing(head)
        if self.behind is None:
            self.counters.refused += 1
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.behind)
        inner_writer.write(head)
        back = asyncio.create_task(self._carry(inner_reader, writer))
        try:
            await self._carry(reader, inner_writer)
            await back
        finally:
            back.cancel()
            inner_writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction to its end, with what the rules do to each piece."""
        while piece := await reader.read(PIECE):
            await self._delay()
            if any(rule.partition for rule in self._rules.values()):
                self.counters.cut += 1
                await self._until(lambda rule: rule.partition)
            writer.write(piece)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def _delay(self) -> None:
        rules = [rule for rule in self._rules.values() if rule.latency_ms]
        if not rules:
            return
        self.counters.delayed += 1
        for rule in rules:
            milliseconds = rule.latency_ms + self.random.uniform(-rule.jitter_ms, rule.jitter_ms)
            await self._rest(milliseconds / 1000)

    async def _rest(self, seconds: float) -> None:
        """Wait so long, or until a rule is taken back."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _until(self, held: Callable[[ProxyRule], bool]) -> None:
        """Wait until no rule holds the connection any more."""
        while any(held(rule) for rule in self._rules.values()):
            await self._changed.wait()

    def _hit(self, percent: float) -> bool:
        return percent > 0 and self.random.uniform(0, 100) < percent

    def _error(self, head: bytes) -> bytes | None:
        """Return the error that a request gets instead of an answer, None if it is carried on."""
        words = head.split(b"\r\n", 1)[0].split(b" ")
        path = words[1].decode("latin-1") if len(words) > 1 else ""
        for rule in self._rules.values():
            if rule.error_percent and path.startswith(rule.path_prefix) and self._hit(rule.error_percent):
                body = b'{"error": "injected by an experiment"}'
                status = f"HTTP/1.1 {rule.error_status} Injected\r\nContent-Type: application/json\r\n"
                return f"{status}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        return None


def _closing(head: bytes) -> bytes:
    """Return the head of a request with `Connection: close`, so that the next request is a new connection."""
    lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])
