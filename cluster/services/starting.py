"""Start and stop the supervisor of an environment."""

import asyncio
import os
import select
import subprocess
import sys
from pathlib import Path

from cluster.local.guarded_command import ROOT
from cluster.services.client import EnvironmentFacts, NoEnvironmentError, ask, look
from cluster.services.control import Request
from cluster.services.file import Services
from cluster.services.supervisor import SOCKET

ORPHAN = (
    "import os, sys; os.fork() and os._exit(0); os.setsid(); sys.path.insert(0, sys.argv.pop(1)); "
    "from cluster.services.supervisor import main; main()"
)
LOOK_SECONDS = 0.1
STOP_PATIENCE = 30.0


class StartError(Exception):
    """The services are not ready. The message says which, and where their logs are."""


async def start(services: Services, file: Path, folder: Path) -> EnvironmentFacts:
    """Start the services, or find them running, and wait until all are ready. Raises: StartError."""
    try:
        await look(folder)
    except NoEnvironmentError:
        alive = await asyncio.to_thread(_launch, file, folder)
        try:
            return await _ready(services, folder, alive)
        finally:
            os.close(alive)
    return await _ready(services, folder, None)


def _launch(file: Path, folder: Path) -> int:
    """Start the supervisor as an orphan. Return a descriptor that comes to its end when the supervisor does."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    alive, held = os.pipe()
    try:
        with (folder / "supervisor.log").open("ab") as log:
            subprocess.run(
                [sys.executable, "-c", ORPHAN, str(ROOT), str(file.absolute()), str(folder.absolute())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(held,),
                check=True,
            )
    finally:
        os.close(held)
    return alive


def _has_ended(alive: int) -> bool:
    return bool(select.select([alive], [], [], 0)[0])


async def _ready(services: Services, folder: Path, alive: int | None) -> EnvironmentFacts:
    patience = sum(service.health.start_seconds for service in services.services)
    facts, loop = None, asyncio.get_running_loop()
    until = loop.time() + patience
    while loop.time() < until:
        facts = await _seen(folder)
        if facts and len(facts.services) == len(services.services) and all(s.ready for s in facts.services.values()):
            return facts
        if alive is not None and _has_ended(alive):
            raise StartError(f"the supervisor ended: {_last_line(folder / 'supervisor.log')}")
        await asyncio.sleep(LOOK_SECONDS)
    ready = {name for name, service in facts.services.items() if service.ready} if facts else set()
    missing = [service.name for service in services.services if service.name not in ready]
    raise StartError(f"not ready after {patience:g} s: {', '.join(missing)}; their logs are in {folder}")


async def _seen(folder: Path) -> EnvironmentFacts | None:
    try:
        return await look(folder)
    except NoEnvironmentError:
        return None


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1] if lines else "it said nothing"


async def stop(folder: Path) -> bool:
    """End the services of `folder`. Return whether they ran."""
    try:
        await ask(folder, Request(ask="stop"))
    except NoEnvironmentError:
        return False
    loop = asyncio.get_running_loop()
    until = loop.time() + STOP_PATIENCE
    while (folder / SOCKET).exists() and loop.time() < until:  # noqa: ASYNC110  another process
        await asyncio.sleep(LOOK_SECONDS)
    return True
