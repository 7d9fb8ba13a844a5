"""Stand-ins of the operators: they act on the objects of a real API server as the operators are documented to.

They are written from the facts about the operators alone (`facts/chaos-providers.md` of the project, cited as S1.5 and
so on for its sections), and know nothing of the provider. Each object follows a script, which its name chooses.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.backend import UnavailableError
from cluster.kubernetes.connection import ApiError, Connection

LOOK_SECONDS = 0.1
Script = Callable[[Any], Awaitable[None]]


@dataclass(slots=True)
class StandIn:
    """Watches the objects of some kinds in a namespace, and lets each follow its script."""

    connection: Connection
    paths: tuple[str, ...]
    """Where its objects are."""
    scripts: Mapping[str, Script]
    make: Callable[["StandIn", str, dict[str, Any]], Any]
    """Makes what a script acts on, of a path and an object."""
    seen: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    actors: dict[str, Any] = field(default_factory=dict)

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            for path in self.paths:
                for found in json.loads(await self.call("get", path))["items"]:
                    name = found["metadata"]["name"]
                    if name not in self.seen:
                        await self._begin(f"{path}/{name}", name, found)
            await asyncio.sleep(LOOK_SECONDS)

    async def _begin(self, path: str, name: str, found: dict[str, Any]) -> None:
        script = next((one for one in sorted(self.scripts, key=len, reverse=True) if f"-{one}-" in f"{name}-"), None)
        assert script is not None, name
        self.actors[name] = self.make(self, path, found)
        self.seen[name] = asyncio.create_task(self._play(self.scripts[script], self.actors[name]))

    async def _play(self, script: Script, actor: Any) -> None:
        try:
            await script(actor)
        except (ApiError, UnavailableError) as gone:
            actor.gone = str(gone)  # the object was deleted: nothing is left to act on

    async def call(self, name: str, *words: Any, **more: Any) -> Any:
        """Call the API server in a thread."""
        return await asyncio.to_thread(getattr(self.connection, name), *words, **more)
