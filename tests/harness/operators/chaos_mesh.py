"""A stand-in of the controller of Chaos Mesh, with scripts of documented lifecycles. S = facts/chaos-providers.md."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from harness.operators import LOOK_SECONDS, Script, StandIn

FINALIZER = "chaos-mesh/records"  # S2: waits until all records are Not Injected
FORCED = "chaos-mesh.chaos-mesh.org/cleanFinalizer"  # S2
PLURALS = ("podchaos", "networkchaos", "stresschaos", "httpchaos")
AT = "2026-11-30T00:00:00Z"


@dataclass(slots=True)
class MeshActor:
    """What the controller does with one object."""

    operator: StandIn
    path: str
    id: str
    stopped: bool = False
    gone: str = ""

    async def status(self, phase: str | None, *, injected: bool = False, recovered: bool = False, **more: Any) -> None:
        """S2 status: conditions Selected, AllInjected, AllRecovered, Paused; containerRecords with phase and counts."""
        values = {"Selected": phase is not None, "AllInjected": injected, "AllRecovered": recovered}
        values["Paused"] = bool(more.get("paused"))
        conditions = [{"type": name, "status": str(value)} for name, value in values.items()]
        record = {
            "id": self.id,
            "selectorKey": ".",
            "phase": phase,
            "injectedCount": int(injected or recovered),
            "recoveredCount": int(recovered),
            "events": list(more.get("events", [])),
        }
        experiment = {"desiredPhase": more.get("desired", "Run"), "containerRecords": [record] if phase else []}
        # S2: chaos kinds have no status subresource
        await self.operator.call("patch", self.path, {"status": {"conditions": conditions, "experiment": experiment}})

    async def take_up(self) -> None:
        """S2: its finalizer is set before anything is injected."""
        await self.operator.call("patch", self.path, {"metadata": {"finalizers": [FINALIZER]}})

    async def inject(self) -> None:
        """Bring it to AllInjected."""
        await self.take_up()
        await self.status("Not Injected")
        await self.status("Injected", injected=True)

    async def until_deleted(self) -> None:
        while True:
            found = json.loads(await self.operator.call("get", self.path))
            if "deletionTimestamp" in found["metadata"]:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def recover(self) -> None:
        """S2: records become Not Injected, and the finalizer goes."""
        await self.status("Not Injected", recovered=True, desired="Stop")
        await self.release()

    async def release(self) -> None:
        self.stopped = True
        await self.operator.call("patch", self.path, {"metadata": {"finalizers": None}})


def mesh_actor(operator: StandIn, path: str, found: dict[str, Any]) -> MeshActor:
    [(namespace, [pod])] = found["spec"]["selector"]["pods"].items()
    return MeshActor(operator=operator, path=path, id=f"{namespace}/{pod}")  # S2: id "ns/pod[/container]"


async def deleted(mesh: MeshActor) -> None:
    """S2: the plain way: selected, injected, deleted, recovered, gone."""
    await mesh.inject()
    await mesh.until_deleted()
    await mesh.recover()


async def one_shot(mesh: MeshActor) -> None:
    """S2: pod-kill: desiredPhase always Run, AllInjected stays True, AllRecovered is False for ever."""
    await mesh.inject()
    await mesh.until_deleted()
    await mesh.release()


async def no_target(mesh: MeshActor) -> None:
    """S2: Selected=False means that there is no target."""
    await mesh.take_up()
    await mesh.status(None)
    await mesh.until_deleted()
    await mesh.release()


async def away(_mesh: MeshActor) -> None:
    """S2: the controller-manager is down: nothing happens at all."""


async def daemon_fails(mesh: MeshActor) -> None:
    """S2: events[{type, operation, message}] say why a target was not injected."""
    await mesh.take_up()
    event = {"type": "Failed", "operation": "Apply", "timestamp": AT, "message": "unable to set tcs: sch_netem"}
    await mesh.status("Not Injected", events=[event])
    await mesh.until_deleted()
    await mesh.release()


async def expires(mesh: MeshActor) -> None:
    """S2: the duration has passed: desiredPhase Stop, AllRecovered."""
    await mesh.inject()
    await asyncio.sleep(1)
    await mesh.status("Not Injected", recovered=True, desired="Stop")
    await mesh.until_deleted()
    await mesh.release()


async def never_recovers(mesh: MeshActor) -> None:
    """S2 issues: the object cannot be deleted when the pod changed; the finalizer waits for its record."""
    await mesh.inject()
    await mesh.until_deleted()
    event = {"type": "Failed", "operation": "Recover", "timestamp": AT, "message": "container not found"}
    await mesh.status("Injected", injected=True, events=[event], desired="Stop")


async def forced(mesh: MeshActor) -> None:
    """S2: cleanFinalizer=forced drops the finalizer WITHOUT recovery."""
    await mesh.inject()
    await mesh.until_deleted()
    await mesh.operator.call("patch", mesh.path, {"metadata": {"annotations": {FORCED: "forced"}}})
    await asyncio.sleep(2)
    await mesh.release()


async def paused(mesh: MeshActor) -> None:
    """S2: pause recovers at once; here somebody pauses before the injection."""
    await mesh.take_up()
    await mesh.status("Not Injected", paused=True)
    await mesh.until_deleted()
    await mesh.release()


async def takes_long(mesh: MeshActor) -> None:
    """S2: the finalizer waits until all records are Not Injected."""
    await mesh.inject()
    await mesh.until_deleted()
    await asyncio.sleep(1.5)
    await mesh.recover()


async def removed(mesh: MeshActor) -> None:
    """S2: remove = delete the CR; somebody else does it in the middle."""
    await mesh.inject()
    await asyncio.sleep(1)
    await mesh.operator.call("delete", mesh.path, grace=0)
    await mesh.recover()


MESH_SCRIPTS: dict[str, Script] = {
    "deleted": deleted,
    "one-shot": one_shot,
    "no-target": no_target,
    "away": away,
    "daemon-fails": daemon_fails,
    "expires": expires,
    "never-recovers": never_recovers,
    "forced": forced,
    "paused": paused,
    "takes-long": takes_long,
    "removed": removed,
}
