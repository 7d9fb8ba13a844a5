"""The door before Prefect's server: who is let in, and who is refused before Prefect sees the request."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from cli.stack.origin_guard import closed

OWN = ("http://127.0.0.1:4200", "http://localhost:4200")


async def server(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer everything."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def answer(kind: str, headers: dict[str, str], method: str = "POST") -> Message:
    """Return the first thing that is sent back."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "path": "/api/flow_runs/", "headers": raw}
    asyncio.run(closed(server, OWN)(scope, receive, send))
    return sent[0]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:4200"}, 200),
        ({"host": "localhost:4200"}, 200),
        ({"host": "LOCALHOST:4200"}, 200),
        ({"host": "[::1]:4200"}, 200),
        ({"host": "127.0.0.1:4200", "origin": "http://127.0.0.1:4200"}, 200),
        ({"host": "127.0.0.1:4200", "origin": "http://localhost:4200"}, 200),
        ({"host": "localhost:5200", "origin": "http://localhost:5200"}, 200),
        ({"host": "127.0.0.1:4200", "origin": "http://evil.example"}, 403),
        ({"host": "127.0.0.1:4200", "origin": "https://127.0.0.1:4200"}, 403),
        ({"host": "127.0.0.1:4200", "origin": "http://127.0.0.1:3000"}, 403),
        ({"host": "127.0.0.1:4200", "origin": "http://127.0.0.1.evil.example:4200"}, 403),
        ({"host": "127.0.0.1:4200", "origin": "null"}, 403),
        ({"host": "evil.example:4200"}, 403),
        ({"host": "evil.example:4200", "origin": "http://evil.example:4200"}, 403),
        ({}, 403),
    ],
)
def test_only_pages_and_programs_of_this_machine_come_in(headers: dict[str, str], status: int) -> None:
    """A foreign origin, and a foreign host name (DNS rebinding), are refused."""
    assert answer("http", headers)["status"] == status


def test_a_preflight_from_elsewhere_gets_no_permission() -> None:
    headers = {"host": "127.0.0.1:4200", "origin": "http://evil.example", "access-control-request-method": "POST"}

    refusal = answer("http", headers, "OPTIONS")

    assert refusal["status"] == 403
    assert not [name for name, _ in refusal["headers"] if name.startswith(b"access-control")]


def test_a_websocket_from_elsewhere_is_closed_before_it_opens() -> None:
    """Websockets know no preflight: without this any page could read Prefect's events."""
    refusal = answer("websocket", {"host": "127.0.0.1:4200", "origin": "http://evil.example"})

    assert refusal == {"type": "websocket.close", "code": 1008}
