"""A local environment of services for tests: the shop's payments behind a real supervisor of its own process."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from chaos.targets import Target
from cluster.services.client import EnvironmentFacts, NoEnvironmentError, look

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A running environment. `port` is the proxy's before payments."""

    folder: Path
    port: int
    supervisor: "subprocess.Popen[bytes]"

    async def facts(self) -> EnvironmentFacts:
        return await look(self.folder)

    async def target(self, service: str = "payments") -> Target:
        seen = [one.target for one in (await self.facts()).candidates() if one.target.service == service]
        return seen[0]

    async def is_ready(self) -> bool:
        try:
            services = (await self.facts()).services
        except NoEnvironmentError:
            return False
        return len(services) == 2 and all(service.ready for service in services.values())

    async def until_ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await self.is_ready():
                assert self.supervisor.poll() is None, "the supervisor ended"
                await asyncio.sleep(0.05)


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def services_file(folder: Path, port: int) -> Path:
    """Write the file: payments, which experiments may aim at, and a sleeper, which they may not."""
    file = folder / "services.yaml"
    payments = {
        "name": "payments",
        "command": [sys.executable, "-m", "shop.serve", "payments", "--port", "${port}"],
        "port": port,
        "env": {"PYTHONPATH": str(SHOP)},
        "health": {"path": "/health"},
        "chaos": "allowed",
    }
    sleeper = {"name": "sleeper", "command": ["sleep", "600"], "dependsOn": ["payments"]}
    file.write_text(yaml.safe_dump({"name": "test", "services": [sleeper, payments]}))
    return file


@asynccontextmanager
async def environment(folder: Path) -> AsyncIterator[Environment]:
    """Run an environment named `test` in `folder`."""
    [port] = free_ports(1)
    file, home = services_file(folder, port), folder / "test"
    words = [sys.executable, "-m", "cluster.services.supervisor", str(file), str(home)]
    supervisor = await asyncio.to_thread(subprocess.Popen, words, cwd=ROOT)
    running = Environment(folder=home, port=port, supervisor=supervisor)
    try:
        await running.until_ready()
        yield running
    finally:
        supervisor.terminate()
        await asyncio.to_thread(supervisor.wait, PATIENCE)
