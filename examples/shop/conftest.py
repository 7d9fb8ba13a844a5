"""Starts the services that a test asks for, as processes on free ports, and ends them with the last test."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shop.service import Answer, call

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Client:
    """Speaks to one service."""

    address: str

    def get(self, path: str) -> Answer:
        return call("GET", self.address + path)

    def post(self, path: str, **body: Any) -> Answer:
        return call("POST", self.address + path, body)

    def put(self, path: str, **body: Any) -> Answer:
        return call("PUT", self.address + path, body)

    def delete(self, path: str) -> Answer:
        return call("DELETE", self.address + path)


@contextmanager
def running(service: str, *options: str) -> Iterator[Client]:
    """Run one service; its first line tells where it is."""
    command = [sys.executable, "-m", "shop.serve", service, *options]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Client(process.stdout.readline().strip())
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def inventory() -> Iterator[Client]:
    with running("inventory") as client:
        yield client


@pytest.fixture(scope="session")
def payments() -> Iterator[Client]:
    with running("payments") as client:
        yield client


@pytest.fixture(scope="session")
def orders(inventory: Client, payments: Client) -> Iterator[Client]:
    with running("orders", "--inventory", inventory.address, "--payments", payments.address) as client:
        yield client


@pytest.fixture
def start() -> Iterator[Callable[..., Client]]:
    """Start a service for one test only."""
    with ExitStack() as stack:
        yield lambda *command: stack.enter_context(running(*command))


@pytest.fixture
def item(request: pytest.FixtureRequest) -> str:
    """An item of this test's own, so that tests do not take each other's stock."""
    return re.sub(r"\W", "-", request.node.name)
