"""Answers what a supervisor is asked, over its Unix socket: one JSON object a line, one answer a line.

What a fault asks for belongs to the connection that asked. When that connection ends, for whatever reason, all of it is
taken back: the guard of a fault that dies reverts its fault so. Each also has an expiry, which the supervisor keeps.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from chaos.provider import ProxyRule
from cluster.services.processes import Hold

LONGEST_LINE = 65_536
LONGEST_LEASE = 3900.0


class Faults(Protocol):
    """What a supervisor does for faults."""

    def status(self, service: str) -> Mapping[str, object]:
        """Return the facts of one service, or of all if it is empty. Raises: KeyError without such a service."""

    def set_rule(self, service: str, fault: str, rule: ProxyRule) -> None:
        """Activate a rule of the proxy. Raises: KeyError without such a service, ValueError if it may not."""

    async def hold(self, service: str, fault: str, hold: Hold) -> None:
        """Keep a service down. Raises: KeyError, ValueError."""

    def lease(self, service: str, fault: str) -> None:
        """Note that a fault acts on a service, to continue it when the fault ends. Raises: KeyError, ValueError."""

    def clear(self, fault: str, service: str = "") -> None:
        """Take back all that a fault asked for, and continue its services, and `service`, if they are stopped."""

    def stop(self) -> None:
        """End the supervisor and all services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: `ask` is status, rule, hold, lease, clear or stop."""

    ask: str
    service: str = ""
    fault: str = ""
    seconds: float = 0.0
    rule: ProxyRule | None = None
    hold: Hold | None = None


REQUEST = TypeAdapter(Request)


@dataclass(slots=True, kw_only=True)
class Control:
    """The socket of a supervisor."""

    faults: Faults
    leases: dict[str, asyncio.TimerHandle] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends, then take back what it asked for."""
        own: set[str] = set()
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line, own)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            return
        finally:
            for fault in own:
                self._clear(fault)
            writer.close()

    async def _answer(self, line: bytes, own: set[str]) -> Mapping[str, object]:
        try:
            request = REQUEST.validate_json(line)
            return await self._do(request, own)
        except (ValidationError, ValueError) as error:
            return {"error": str(error)}
        except KeyError as error:
            return {"error": f"there is no service {error.args[0]}"}

    async def _do(self, request: Request, own: set[str]) -> Mapping[str, object]:
        if request.ask in {"rule", "hold", "lease"}:
            if not request.fault or not 0 < request.seconds <= LONGEST_LEASE:
                raise ValueError("a fault needs an id and an expiry of at most an hour")
            self.faults.lease(request.service, request.fault)
            own.add(request.fault)
            self._lease(request.fault, request.seconds)
        match request.ask:
            case "rule" if request.rule:
                self.faults.set_rule(request.service, request.fault, request.rule)
            case "hold" if request.hold:
                await self.faults.hold(request.service, request.fault, request.hold)
            case "clear":
                self._clear(request.fault, request.service)
                own.discard(request.fault)
            case "stop":
                self.faults.stop()
            case "status" | "lease":
                pass
            case _:
                raise ValueError(f"nothing known is asked: {request.ask}")
        return self.faults.status(request.service)

    def _lease(self, fault: str, seconds: float) -> None:
        if old := self.leases.pop(fault, None):
            old.cancel()
        self.leases[fault] = asyncio.get_running_loop().call_later(seconds, self._clear, fault)

    def _clear(self, fault: str, service: str = "") -> None:
        if timer := self.leases.pop(fault, None):
            timer.cancel()
        self.faults.clear(fault, service)
