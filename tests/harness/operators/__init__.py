"""Stand-ins of the operators: they act on the objects of a real API server as the operators are documented to.

They are written from the facts about the operators alone (`facts/chaos-providers.md` of the project, cited as S1.5 and
so on for its sections), and know nothing of the provider. Each object follows a script, which its name chooses.
"""

import asyncio
import json
from collections import Counter
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
    """What it took up, by UID: an object that is made again under its name is another one."""
    actors: dict[str, Any] = field(default_factory=dict)
    taken_up: Counter[str] = field(default_factory=Counter)
    """How many objects it took up, by name."""

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            for path in self.paths:
                for found in json.loads(await self.call("get", path))["items"]:
                    if found["metadata"]["uid"] not in self.seen:
                        self._begin(f"{path}/{found['metadata']['name']}", found)
            await asyncio.sleep(LOOK_SECONDS)

    def _begin(self, path: str, found: dict[str, Any]) -> None:
        name, uid = found["metadata"]["name"], found["metadata"]["uid"]
        script = next((one for one in sorted(self.scripts, key=len, reverse=True) if f"-{one}-" in f"{name}-"), None)
        assert script is not None, name
        self.actors[name] = self.make(self, path, found)
        self.taken_up[name] += 1
        self.seen[uid] = asyncio.create_task(self._play(self.scripts[script], self.actors[name]))

    async def _play(self, script: Script, actor: Any) -> None:
        try:
            await script(actor)
        except (ApiError, UnavailableError) as gone:
            actor.gone = str(gone)  # the object was deleted: nothing is left to act on

    async def release(self) -> None:
        """Let go of the objects that were left with a finalizer, so that their namespace can be removed."""
        for path in self.paths:
            for found in json.loads(await self.call("get", path))["items"]:
                await self.call("patch", f"{path}/{found['metadata']['name']}", {"metadata": {"finalizers": None}})

    async def call(self, name: str, *words: Any, **more: Any) -> Any:
        """Call the API server in a thread."""
        return await asyncio.to_thread(getattr(self.connection, name), *words, **more)
