"""The process that keeps the services of an environment alive: `python -m cluster.services.supervisor FILE FOLDER`.

It listens on `control.sock` in FOLDER, and logs each service there. It ends on TERM, or when it is asked to; whatever
way it ends, none of its services is left.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from chaos.provider import ProxyRule
from cluster.local import proc
from cluster.local.unix_socket import reachable
from cluster.services.control import Control
from cluster.services.file import Chaos, Services, read_services
from cluster.services.processes import Hold, Process
from cluster.services.proxy import Proxy

SOCKET = "control.sock"


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """The services of one environment."""

    services: Services
    folder: Path
    processes: dict[str, Process] = field(default_factory=dict)
    proxies: dict[str, Proxy] = field(default_factory=dict)
    leased: dict[str, set[str]] = field(default_factory=dict)
    """The services that each fault acts on."""
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _work: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Keep all services alive until asked to stop, or TERM. Raises: OSError if a port is taken."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        path = self.folder / SOCKET
        path.unlink(missing_ok=True)
        with reachable(str(path)) as short:
            control = await asyncio.start_unix_server(Control(faults=self).serve, short)
            path.chmod(0o600)
            try:
                await self._start()
                await self.stopped.wait()
            finally:
                await self._end()
                control.close()
                path.unlink(missing_ok=True)

    async def _start(self) -> None:
        """Start proxies first, so that a port that is taken is told before anything runs; then each service."""
        for service in self.services.services:
            if service.port is not None:
                proxy = Proxy(name=service.name, port=service.port, random=Random(service.name))
                await proxy.start()
                self.proxies[service.name] = proxy
        starting = asyncio.create_task(self._start_services())
        self._work.add(starting)

    async def _start_services(self) -> None:
        for service in self.services.services:
            process = Process(
                service=service,
                folder=self.services.folder,
                log=self.folder / f"{service.name}.log",
                inner_port=_free_port() if service.port is not None else None,
            )
            self.processes[service.name] = process
            if service.name in self.proxies:
                self.proxies[service.name].behind = process.inner_port
            self._work.add(asyncio.create_task(process.keep_alive()))
            await self._ready(process)

    async def _ready(self, process: Process) -> None:
        """Wait until the service is ready, or its time for that is over: what depends on it is then started too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(process.service.health.start_seconds):
                await process.ready.wait()

    async def _end(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        for proxy in self.proxies.values():
            await proxy.close()

    def stop(self) -> None:
        """End the supervisor."""
        self.stopped.set()

    def status(self, service: str) -> Mapping[str, object]:
        """Return the facts of one service, or of all if it is empty. Raises: KeyError without such a service."""
        shown = {service: self.processes[service]} if service else self.processes
        return {
            "environment": self.services.name,
            "pid": os.getpid(),
            "boot": proc.boot_id(),
            "services": {name: self._facts(process) for name, process in shown.items()},
        }

    def _facts(self, process: Process) -> Mapping[str, object]:
        service, proxy = process.service, self.proxies.get(process.service.name)
        return {
            "ready": process.ready.is_set(),
            "processes": process.identities(),
            "starts": process.starts,
            "kills": process.kills,
            "port": service.port,
            "chaos": service.chaos.value,
            "dependsOn": list(service.depends_on),
            "holds": sorted(process.holds),
            "rules": sorted(proxy.rules()) if proxy else [],
            "counters": proxy.counters.copy() if proxy else {},
        }

    def _allowed(self, name: str) -> Process:
        process = self.processes[name]
        if process.service.chaos is not Chaos.ALLOWED:
            raise ValueError(f"{name} is not for experiments: its file does not say `chaos: allowed`")
        return process

    def set_rule(self, service: str, fault: str, rule: ProxyRule) -> None:
        """Activate a rule of the proxy before a service. Raises: KeyError, ValueError."""
        self._allowed(service)
        if service not in self.proxies:
            raise ValueError(f"{service} has no port, so there is no proxy before it")
        self.proxies[service].set_rule(fault, rule)

    async def hold(self, service: str, fault: str, hold: Hold) -> None:
        """Keep a service down. Raises: KeyError, ValueError."""
        process = self._allowed(service)
        task = asyncio.create_task(process.hold(fault, hold))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def lease(self, service: str, fault: str) -> None:
        """Note that a fault acts on a service, to continue it when the fault ends. Raises: KeyError, ValueError."""
        self._allowed(service)
        self.leased.setdefault(fault, set()).add(service)

    def clear(self, fault: str, service: str = "") -> None:
        """Take back all that a fault asked for, and continue its services, and `service`, if they are stopped."""
        for name in self.leased.pop(fault, set()) | ({service} & self.processes.keys()):
            if name in self.proxies:
                self.proxies[name].clear_rule(fault)
            self.processes[name].release(fault)
            self.processes[name].resume()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Run until asked to stop."""
    file, folder = map(Path, sys.argv[1:3])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    asyncio.run(Supervisor(services=read_services(file), folder=folder).run())


if __name__ == "__main__":
    main()
