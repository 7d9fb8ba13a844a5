"""Ask the supervisor of a local environment, by its socket."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from chaos.graph import ServiceGraph, from_depends_on
from chaos.targets import Candidate, Target
from cluster.local.unix_socket import reachable
from cluster.services.control import REQUEST, Request
from cluster.services.supervisor import SOCKET

PATIENCE = 5.0


class NoEnvironmentError(OSError):
    """No supervisor answers: start it with `assay services up FILE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """What a supervisor says about a service. `processes` are pid and start time, the main process first."""

    ready: bool
    processes: tuple[tuple[int, int], ...]
    starts: int
    kills: int
    port: int | None
    chaos: str
    dependsOn: tuple[str, ...]  # noqa: N815  as in the file
    holds: tuple[str, ...]
    rules: tuple[str, ...]
    counters: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFacts:
    """What a supervisor says about its environment."""

    environment: str
    pid: int
    boot: str
    services: dict[str, ServiceFacts]

    def graph(self) -> ServiceGraph:
        """Return who depends on whom."""
        return from_depends_on({name: facts.dependsOn for name, facts in self.services.items()})

    def candidates(self) -> list[Candidate]:
        """Return each service that runs, as a possible target. Its main process is what it is known by."""
        return [
            Candidate(
                target=Target(
                    place=self.environment, service=name, name=name, identity=identity(self.boot, *facts.processes[0])
                ),
                opted_in=facts.chaos == "allowed",
                ready=facts.ready,
            )
            for name, facts in sorted(self.services.items())
            if facts.processes
        ]


FACTS = TypeAdapter(EnvironmentFacts)


def identity(boot: str, pid: int, start_time: int) -> str:
    """Return what tells a process from any other of any boot."""
    return f"{boot}:{pid}:{start_time}"


async def ask(folder: Path, request: Request) -> EnvironmentFacts:
    """Return the answer of the supervisor of `folder`. Raises: NoEnvironmentError; ValueError with what it refused."""
    line = REQUEST.dump_json(request) + b"\n"
    try:
        async with asyncio.timeout(PATIENCE):
            with reachable(str(folder / SOCKET)) as path:
                reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(line)
                await writer.drain()
                answer = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise NoEnvironmentError(
            f"no supervisor answers in {folder.name}; `assay services up FILE` starts one"
        ) from error
    return read_facts(answer)


def read_facts(answer: bytes) -> EnvironmentFacts:
    """Return the facts of an answer. Raises: ValueError with what was refused."""
    said = json.loads(answer or b'{"error": "the supervisor said nothing"}')
    if "error" in said:
        raise ValueError(str(said["error"]))
    return FACTS.validate_python(said)


async def look(folder: Path, service: str = "") -> EnvironmentFacts:
    """Return the facts of the environment in `folder`, of one service or of all.

    Raises: NoEnvironmentError; ValueError without such a service.
    """
    return await ask(folder, Request(ask="status", service=service))
