"""A stand-in of the Litmus operator, with scripts of documented lifecycles. S = facts/chaos-providers.md."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from harness.operators import LOOK_SECONDS, Script, StandIn

GROUP = "/apis/litmuschaos.io/v1alpha1"
FINALIZER = "chaosengine.litmuschaos.io/finalizer"  # S1.5 abort: the finalizer that is removed
ABORT_SECONDS = 1.5


@dataclass(slots=True)
class EngineActor:
    """What the operator does with one engine."""

    operator: StandIn
    path: str
    uid: str
    name: str
    namespace: str
    experiment: str
    pod: str
    stopped: bool = False
    gone: str = ""

    async def status(self, engine_status: str, experiment: str | None = None, verdict: str = "Awaited") -> None:
        """S1.5: engineStatus is "", initialized, completed or stopped; experiments[] have a status of their own."""
        status: dict[str, Any] = {"engineStatus": engine_status}
        if experiment is not None:
            entry = {
                "name": self.experiment,
                "runner": f"{self.name}-runner",
                "experimentPod": f"{self.experiment}-x",
                "status": experiment,
                "verdict": verdict,
                "lastUpdateTime": "2026-11-30T00:00:00Z",
            }
            status["experiments"] = [entry]  # S1.5: {name, runner, experimentPod, status, verdict, lastUpdateTime}
        # S1.1: no status subresource, status and spec are one object
        await self.operator.call("patch", self.path, {"status": status})

    async def initialize(self) -> None:
        """S1.5: the operator takes it up, with its finalizer."""
        await self.operator.call("patch", self.path, {"metadata": {"finalizers": [FINALIZER]}})
        await self.status("initialized", "Waiting for Job Creation")

    async def running(self) -> None:
        """S1.5: there is no engineStatus running; running is the status of the experiment."""
        await self.status("initialized", "Running")

    async def result(self, phase: str, verdict: str, target: str = "", **more: Any) -> None:
        """S1.4: name <engine>-<experiment>, label chaosUID, experimentStatus, history.targets."""
        targets = [{"name": self.pod, "kind": "pod", "chaosStatus": target}] if target else []
        success = {"Pass": "100", "Awaited": "Awaited"}.get(verdict, "0")  # S1.4: a STRING
        status = {
            "experimentStatus": {"phase": phase, "verdict": verdict, "probeSuccessPercentage": success, **more},
            "history": {"passedRuns": 0, "failedRuns": 0, "stoppedRuns": 0, "targets": targets},
        }
        meta = {"name": f"{self.name}-{self.experiment}", "labels": {"chaosUID": self.uid}}
        spec = {"engine": self.name, "experiment": self.experiment}
        body = {"apiVersion": "litmuschaos.io/v1alpha1", "kind": "ChaosResult", "metadata": meta, "spec": spec}
        place = f"{GROUP}/namespaces/{self.namespace}/chaosresults"
        if await self.operator.call("create", place, {**body, "status": status}) is None:
            await self.operator.call("patch", f"{place}/{meta['name']}", {"status": status})

    async def injected(self) -> None:
        """Bring it to an injected target by the documented way."""
        await self.initialize()
        await self.running()
        await self.result("Running", "Awaited", "targeted")
        await self.result("Running", "Awaited", "injected")

    async def complete(self, verdict: str = "Pass", target: str = "reverted") -> None:
        """S1.5: on completion the OPERATOR sets engineState=stop and engineStatus=completed."""
        if target:
            await self.result("Completed", verdict, target)
        await self.operator.call("patch", self.path, {"spec": {"engineState": "stop"}})
        await self.status("completed", "Completed", verdict)
        await self._release()

    async def until_stop(self) -> None:
        """S1.5: abort is engineState=stop while initialized; deleting the object is the same path."""
        while True:
            found = json.loads(await self.operator.call("get", self.path))
            if found["spec"].get("engineState") == "stop" or "deletionTimestamp" in found["metadata"]:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def abort(self, target: str = "reverted", *, result: bool = True) -> None:
        """S1.5: targets updated, finalizer removed, engineStatus=stopped, experiment Forcefully Aborted/Stopped."""
        if result:
            await self.result("Stopped", "Stopped", target)
        await self.status("stopped", "Forcefully Aborted", "Stopped")
        self.stopped = True
        await self._release()

    async def warning(self, reason: str, message: str) -> None:
        """S1.5: what is wrong is told by Warning events about the engine alone."""
        body = {
            "metadata": {"generateName": "litmus-", "namespace": self.namespace},
            "involvedObject": {
                "apiVersion": "litmuschaos.io/v1alpha1",
                "kind": "ChaosEngine",
                "name": self.name,
                "namespace": self.namespace,
                "uid": self.uid,
            },
            "type": "Warning",
            "reason": reason,
            "message": message,
        }
        await self.operator.call("create", f"/api/v1/namespaces/{self.namespace}/events", body)

    async def helper(self) -> str:
        """S1: stress and network faults run in an injector pod; S1.5: pods are found by the label chaosUID."""
        name = f"{self.name[-30:].strip('-')}-helper"
        container = {"name": "helper", "image": "none.invalid/none"}
        body = {
            "metadata": {"name": name, "labels": {"chaosUID": self.uid}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        }
        await self.operator.call("create", f"/api/v1/namespaces/{self.namespace}/pods", body)
        return name

    async def _release(self) -> None:
        await self.operator.call("patch", self.path, {"metadata": {"finalizers": None}})


def engine_actor(operator: StandIn, path: str, found: dict[str, Any]) -> EngineActor:
    meta, spec = found["metadata"], found["spec"]
    return EngineActor(
        operator=operator,
        path=path,
        uid=meta["uid"],
        name=meta["name"],
        namespace=meta["namespace"],
        experiment=spec["experiments"][0]["name"],
        pod=spec["selectors"]["pods"][0]["names"],
    )


async def aborted(engine: EngineActor) -> None:
    """S1.5: the plain way: initialized, running, injected, stopped by the user, reverted."""
    await engine.injected()
    await engine.until_stop()
    await engine.abort()


async def completes(engine: EngineActor) -> None:
    """S1.5: it runs to its end by itself."""
    await engine.injected()
    await asyncio.sleep(1)
    await engine.complete()


async def passes_unreverted(engine: EngineActor) -> None:
    """S1.5: completed is not success, and S6.10: an orphaned rule may be left although the verdict is Pass."""
    await engine.injected()
    await asyncio.sleep(1)
    await engine.complete(target="injected")


async def stops_unreverted(engine: EngineActor) -> None:
    """S1.5: `stopped` is not reverted: the history says which target is."""
    await engine.injected()
    await engine.until_stop()
    await engine.abort(target="injected")


async def away(_engine: EngineActor) -> None:
    """S1.5: no operator: engineStatus stays empty for ever."""


async def late(engine: EngineActor) -> None:
    """S1.5: stop before engineStatus is set: nothing ever runs."""
    await engine.until_stop()


async def wrong_account(engine: EngineActor) -> None:
    """S1.5: a bad service account: initialized for ever, with a Warning event."""
    await engine.operator.call("patch", engine.path, {"metadata": {"finalizers": [FINALIZER]}})
    await engine.status("initialized")
    await engine.warning("ChaosResourcesOperationFailed", "(chaos start) Unable to get chaos resources")
    await engine.until_stop()
    await engine.abort(result=False)


async def not_found(engine: EngineActor) -> None:
    """S1.5: experiments[].status "ChaosExperiment Not Found"."""
    await engine.initialize()
    await engine.status("initialized", "ChaosExperiment Not Found")
    await engine.until_stop()
    await engine.abort(result=False)


async def flips(engine: EngineActor) -> None:
    """S1.5: bad appinfo: the operator flips engineState to stop itself, and ends stopped with NO result."""
    await engine.operator.call("patch", engine.path, {"spec": {"engineState": "stop"}})
    await engine.operator.call("patch", engine.path, {"status": {"engineStatus": "stopped"}})
    engine.stopped = True


async def skipped(engine: EngineActor) -> None:
    """S1.5: the runner exits 0 although the experiment was Skipped: completed is not success."""
    await engine.initialize()
    await engine.operator.call("patch", engine.path, {"spec": {"engineState": "stop"}})
    await engine.status("completed", "Skipped")
    await engine._release()


async def no_result(engine: EngineActor) -> None:
    """S1.5: completed without a result: require a verdict."""
    await engine.initialize()
    await engine.running()
    await engine.complete(target="")


async def errs(engine: EngineActor) -> None:
    """S1.4: phase Error, verdict Error, errorOutput{errorCode, reason}."""
    await engine.initialize()
    await engine.running()
    reason = {"errorCode": "TARGET_SELECTION_ERROR", "reason": "no pod has the name that was given"}
    await engine.result("Error", "Error", errorOutput=reason)
    await engine.operator.call("patch", engine.path, {"spec": {"engineState": "stop"}})
    await engine.status("completed", "Completed", "Error")
    await engine._release()


async def fails(engine: EngineActor) -> None:
    """S1.4: verdict Fail before anything was injected."""
    await engine.initialize()
    await engine.running()
    await engine.result("Completed", "Fail")
    await engine.until_stop()
    await engine.abort(result=False)


async def slow(engine: EngineActor) -> None:
    """S1.5: image pulls and jobs take their time between the states."""
    await asyncio.sleep(0.7)
    await engine.initialize()
    await asyncio.sleep(0.7)
    await engine.running()
    await asyncio.sleep(0.7)
    await engine.result("Running", "Awaited", "injected")
    await engine.until_stop()
    await engine.abort()


async def stuck(engine: EngineActor) -> None:
    """S1.5 and S6.12: nothing removes the finalizer, and it stays initialized after the stop."""
    await engine.injected()


async def takes_long(engine: EngineActor) -> None:
    """S1.5: engineState is stop at once, engineStatus follows after grace and up to 180 s."""
    await engine.injected()
    await engine.until_stop()
    await asyncio.sleep(ABORT_SECONDS)
    await engine.abort()


async def evicted(engine: EngineActor) -> None:
    """S1.9: an injector pod outlives the abort."""
    await engine.injected()
    await engine.helper()
    await engine.until_stop()
    await engine.abort()


async def deleted(engine: EngineActor) -> None:
    """S1.5: deleting the CR is the same path as the abort: somebody does it in the middle."""
    await engine.injected()
    await asyncio.sleep(1)
    await engine.operator.call("delete", engine.path, grace=0)
    await engine.until_stop()
    await engine.abort()


async def kills(engine: EngineActor) -> None:
    """S1.7: pod-delete is done before anybody looks; its targets stay injected, since nothing is reverted."""
    await engine.injected()
    await engine.complete(target="injected")


LITMUS_SCRIPTS: dict[str, Script] = {
    "aborted": aborted,
    "completes": completes,
    "passes-unreverted": passes_unreverted,
    "stops-unreverted": stops_unreverted,
    "away": away,
    "late": late,
    "wrong-account": wrong_account,
    "not-found": not_found,
    "flips": flips,
    "skipped": skipped,
    "no-result": no_result,
    "errs": errs,
    "fails": fails,
    "slow": slow,
    "stuck": stuck,
    "takes-long": takes_long,
    "evicted": evicted,
    "deleted": deleted,
    "kills": kills,
}
