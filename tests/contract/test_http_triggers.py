"""The trigger that calls a service: what it gives to the scope, what it fills in, and what it refuses."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest
from harness.scripted_http import Answer, serving

from events.brokers.memory import MemoryBroker
from events.driven_test import TriggerScope
from events.http_body import read_body
from events.triggers import HttpTrigger, TriggerError, TriggerUnfitError


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        token = {} if self.path == "/orders" else {"token": self.headers.get("x-token")}
        body = json.dumps({"id": "o-7"} | token).encode()
        self.send_response(500 if self.path == "/broken" else 202)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of its base
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_trigger_over_http_gives_its_answer_to_the_scope(service: str) -> None:
    trigger = HttpTrigger(url=f"{service}/orders", allowed_hosts=("127.0.0.1",))

    outcome = trigger.fire(MemoryBroker())

    assert TriggerScope(expression="id", source="response.id").of(outcome).value == "o-7"
    with pytest.raises(ValueError, match="has no value"):
        TriggerScope(expression="id", source="response.other").of(outcome)
    with pytest.raises(TriggerError, match="answered with 500"):
        HttpTrigger(url=f"{service}/broken", allowed_hosts=("127.0.0.1",)).fire(MemoryBroker())


def test_a_header_is_filled_from_the_environment_and_no_password_is_shown(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    address = service.replace("http://", "http://user:secret@")
    trigger = HttpTrigger(
        url=f"{address}/echo?key=secret",
        allowed_hosts=("127.0.0.1",),
        headers={"x-token": "Bearer ${env.TOKEN}"},
    )

    assert trigger.fire(MemoryBroker())["response"] == {"id": "o-7", "token": "Bearer secret"}  # type: ignore[index, call-overload]
    assert trigger.described == f"POST {service}/echo"
    monkeypatch.delenv("TOKEN")
    with pytest.raises(TriggerUnfitError, match="the variable TOKEN is not set"):
        trigger.fire(MemoryBroker())


def test_a_host_that_is_not_allowed_is_not_called() -> None:
    with pytest.raises(ValueError, match="not one of allowedHosts"):
        HttpTrigger(url="http://elsewhere.test/", allowed_hosts=("127.0.0.1",))


def test_an_answer_that_does_not_end_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.http_body.LARGEST_BODY", 1000)
    with serving(lambda _: Answer(text=" " * 5000)) as server:
        trigger = HttpTrigger(url=server.url, allowed_hosts=("127.0.0.1",))
        with pytest.raises(TriggerError, match="more than 1000 bytes"):
            trigger.fire(MemoryBroker())


def test_an_answer_that_drips_has_an_end() -> None:
    drips = httpx.Response(200, content=(b" " for _ in range(3)))

    with pytest.raises(httpx.HTTPError, match="did not end within 0 s"):
        read_body(drips, 0.0)
