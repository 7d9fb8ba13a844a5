"""Litmus and Chaos Mesh on a real API server, with stand-ins that follow 30 documented lifecycles, the nasty ones too.

All lifecycles run at the same time. Then five wrong versions of the provider run, and each must be noticed.
"""

import asyncio
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from harness import cluster_namespaces
from harness.guards_in_process import GuardThreads, guard_api
from harness.operator_crds import installed
from harness.operators import StandIn
from harness.operators.chaos_mesh import MESH_SCRIPTS, PLURALS, mesh_actor
from harness.operators.litmus import GROUP, LITMUS_SCRIPTS, engine_actor
from harness.shop_in_cluster import LITMUS_MANIFEST, MESH_MANIFEST, apply, bind, guard_manifest
from harness.sweep import part

from chaos.experiment_reading import PARAMETER_READERS
from chaos.fault_types import Fault, FaultType, Provider
from chaos.manifests.litmus import ACCOUNT
from chaos.manifests.litmus_status import ENDED, engine_state
from chaos.manifests.operator_state import OperatorState, Seen
from chaos.provider import FaultId, FaultStatus
from chaos.targets import Target
from cluster.faults import litmus as litmus_module
from cluster.faults.chaos_mesh import ChaosMeshFaults
from cluster.faults.kubernetes import guard_actions
from cluster.faults.kubernetes.candidates import candidates
from cluster.faults.litmus import LitmusFaults
from cluster.faults.operator_faults import OperatorFaults
from cluster.faults.provider import InjectError, Injection
from cluster.kubernetes.connection import Connection

pytestmark = [pytest.mark.cluster, part(2)]

START, TRIES, REVERT = 6.0, 6, 20.0
"""How long an operator may take to begin, how often a guard takes back, and how long a revert may take: seconds."""
WHOLE = 45.0
REVERTED, RESIDUAL = FaultStatus.REVERTED, FaultStatus.RESIDUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must come of a lifecycle: a refusal by these words, or a fault, its end, and what is said to be left."""

    refused: str = ""
    end: FaultStatus = REVERTED
    left: str = ""
    unasked: bool = False
    """The fault ends before anybody reverts it."""


LITMUS: dict[str, Expected] = {
    "aborted": Expected(),
    "completes": Expected(unasked=True),
    "passes-unreverted": Expected(end=RESIDUAL, left="target is injected", unasked=True),
    "stops-unreverted": Expected(end=RESIDUAL, left="target is injected"),
    "away": Expected(refused="after 6 s: the ChaosEngine is not taken up by an operator"),
    "late": Expected(refused="not taken up by an operator"),
    "wrong-account": Expected(refused="Unable to get chaos resources"),
    "not-found": Expected(refused="ChaosExperiment Not Found"),
    "flips": Expected(refused="stopped without a result"),
    "skipped": Expected(refused="Skipped"),
    "no-result": Expected(refused="completed without a result", end=RESIDUAL, left="no ChaosResult says"),
    "errs": Expected(refused="no pod has the name that was given"),
    "fails": Expected(refused="Litmus says Fail"),
    "slow": Expected(),
    "stuck": Expected(end=RESIDUAL, left="is initialized, and has not ended"),
    "takes-long": Expected(),
    "evicted": Expected(end=RESIDUAL, left="the pod .*-helper of Litmus is still there"),
    "deleted": Expected(unasked=True),
    "kills": Expected(unasked=True),
}
MESH: dict[str, Expected] = {
    "deleted": Expected(),
    "one-shot": Expected(),
    "no-target": Expected(refused="selects no pod"),
    "away": Expected(refused="after 6 s: no controller of Chaos Mesh"),
    "daemon-fails": Expected(refused="unable to set tcs: sch_netem"),
    "expires": Expected(unasked=True),
    "never-recovers": Expected(end=RESIDUAL, left="is still injected: container not found"),
    "forced": Expected(end=RESIDUAL, left="was removed by force"),
    "paused": Expected(refused="paused"),
    "takes-long": Expected(),
    "removed": Expected(unasked=True),
}
ONE_SHOTS = {"one-shot", "kills"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a lifecycle."""

    refused: str = ""
    unasked: bool = False
    end: FaultStatus = FaultStatus.UNKNOWN
    left: tuple[str, ...] = ()
    seen: bool = False
    stopped: bool = True
    """Whether the operator had ended its part when the revert returned."""
    seconds: float = 0.0
    late: bool = False

    def wrong(self, expected: Expected) -> list[str]:
        """Return what is not as expected."""
        left = " ".join(self.left)
        checks = {
            "it did not end in time": not self.late,
            f"refused: {self.refused!r}": bool(self.refused) == bool(expected.refused),
            f"words: {self.refused!r}": re.search(expected.refused, self.refused) is not None,
            f"unasked: {self.unasked}": self.unasked == expected.unasked,
            f"end: {self.end}": self.end is expected.end,
            f"left: {left!r}": re.search(expected.left, left) is not None and bool(left) == bool(expected.left),
            f"effect: {self.seen}": self.seen != bool(expected.refused),
            "the operator was not done": self.stopped or expected.end is RESIDUAL or bool(expected.refused),
        }
        return [words for words, fine in checks.items() if not fine]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A namespace that has opted in, a pod in it, both providers, and both stand-ins."""

    litmus: LitmusFaults
    mesh: ChaosMeshFaults
    operators: dict[str, StandIn]
    target: Target

    def injection(self, script: str, seconds: float = 60) -> Injection:
        """Return a fault whose object follows this script."""
        name = FaultId(f"{script}-{secrets.token_hex(3)}")
        kind = FaultType.POD_KILL if script in ONE_SHOTS else FaultType.CPU_STRESS
        values = {"once": True} if script in ONE_SHOTS else {}
        parameters = PARAMETER_READERS[kind].read(values).required()
        fault = Fault(type=kind, parameters=parameters, duration_seconds=60, name=script)
        return Injection(id=name, fault=fault, target=self.target, expires_after=timedelta(seconds=seconds))

    async def play(self, provider: OperatorFaults, script: str, seconds: float = WHOLE) -> Outcome:
        """Inject a fault whose object follows this script, and revert it."""
        wanted = self.injection(script)
        try:
            async with asyncio.timeout(seconds):
                return await self._play(provider, wanted)
        except TimeoutError:
            return Outcome(late=True)

    async def _play(self, provider: OperatorFaults, wanted: Injection) -> Outcome:
        began, refused, unasked = time.monotonic(), "", False
        try:
            await provider.inject(wanted)
            unasked = await self._ends_unasked(provider, wanted.id)
        except InjectError as error:
            refused = str(error)
        await provider.revert(wanted.id)
        actor = self.operators[provider.provider].actors.get(f"assay-fault-{wanted.id}")
        return Outcome(
            refused=refused,
            unasked=unasked,
            stopped=actor is None or actor.stopped or bool(actor.gone) or unasked,
            end=await provider.status(wanted.id),
            left=await provider.verify(wanted.id),
            seen=(await provider.effect(wanted.id)).seen,
            seconds=time.monotonic() - began,
        )

    async def _ends_unasked(self, provider: OperatorFaults, fault: FaultId) -> bool:
        for _ in range(12):
            if await provider.status(fault) is not FaultStatus.INJECTED:
                return True
            await provider.beat(fault)
            await asyncio.sleep(0.25)
        return False


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    access, _ = cluster_namespaces.usable()
    connection = Connection(cluster_namespaces.make(access))
    namespace = f"operators-{secrets.token_hex(4)}"
    with installed(connection, "litmus", "chaos-mesh"):
        made = await asyncio.to_thread(_prepare, connection, namespace)
        api = guard_api(connection, tmp_path_factory.mktemp("guard"))
        guards = GuardThreads(connection=connection, api=api)
        engines = f"{GROUP}/namespaces/{namespace}/chaosengines"
        objects = tuple(f"/apis/chaos-mesh.org/v1alpha1/namespaces/{namespace}/{one}" for one in PLURALS)
        operators = {
            Provider.LITMUS.value: StandIn(connection, (engines,), LITMUS_SCRIPTS, engine_actor),
            Provider.CHAOS_MESH.value: StandIn(connection, objects, MESH_SCRIPTS, mesh_actor),
        }
        serving = [asyncio.create_task(one.run()) for one in operators.values()]
        limits: dict[str, Any] = {"operator_seconds": START, "revert_seconds": REVERT, "tries": TRIES}
        yield World(
            litmus=LitmusFaults(guards=guards, **limits),
            mesh=ChaosMeshFaults(guards=guards, **limits),
            operators=operators,
            target=await asyncio.to_thread(_target, connection, namespace),
        )
        for task in [*serving, *(one for operator in operators.values() for one in operator.seen.values())]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for operator in operators.values():
            await operator.release()
        for path in (*made, f"/api/v1/namespaces/{namespace}"):
            await asyncio.to_thread(connection.delete, path, grace=0)
    cluster_namespaces.remove(connection)
    connection.close()


def _prepare(connection: Connection, namespace: str) -> list[str]:
    """Make the namespace as the manifests say that it is opened. Return what is in no namespace."""
    own = connection.access.namespace
    connection.create("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": {"assay.dev/chaos": "allowed"}}})
    made = guard_manifest(connection, namespace)
    made += apply(connection, LITMUS_MANIFEST) + apply(connection, MESH_MANIFEST)
    for operator in ("litmus", "chaos-mesh"):
        bind(connection, namespace, f"assay-{operator}-guard", own)
    place = f"/api/v1/namespaces/{namespace}"
    connection.create(f"{place}/serviceaccounts", {"metadata": {"name": ACCOUNT}})
    for name in ("pod-delete", "pod-cpu-hog"):
        definition = {"metadata": {"name": name}, "spec": {"definition": {"image": "none.invalid/none"}}}
        body = {"apiVersion": "litmuschaos.io/v1alpha1", "kind": "ChaosExperiment", **definition}
        connection.create(f"{GROUP}/namespaces/{namespace}/chaosexperiments", body)
    container = {"name": "app", "image": connection.access.image, "command": ["sleep", "600"]}
    labels = {"app": "app"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    connection.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", {"metadata": {"name": "app"}, "spec": spec})
    return made


def _target(connection: Connection, namespace: str) -> Target:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for one in candidates(connection, namespace):
            if one.ready:
                return one.target
        time.sleep(0.2)
    raise AssertionError("the target does not get ready")


@pytest.fixture(scope="module")
async def outcomes(world: World) -> dict[tuple[str, str], Outcome]:
    """Play all lifecycles at the same time."""
    scripts = [(world.litmus, name) for name in LITMUS] + [(world.mesh, name) for name in MESH]
    played = await asyncio.gather(*(world.play(provider, name) for provider, name in scripts))
    return {(provider.provider.value, name): one for (provider, name), one in zip(scripts, played, strict=True)}


@pytest.mark.parametrize("script", LITMUS)
def test_a_lifecycle_of_litmus(outcomes: dict[tuple[str, str], Outcome], script: str) -> None:
    assert outcomes["litmus", script].wrong(LITMUS[script]) == []


@pytest.mark.parametrize("script", MESH)
def test_a_lifecycle_of_chaos_mesh(outcomes: dict[tuple[str, str], Outcome], script: str) -> None:
    assert outcomes["chaos-mesh", script].wrong(MESH[script]) == []


def test_every_script_is_played() -> None:
    assert set(LITMUS) == set(LITMUS_SCRIPTS)
    assert set(MESH) == set(MESH_SCRIPTS)
    assert len(LITMUS) + len(MESH) >= 25


Mutate = Callable[[pytest.MonkeyPatch, World], OperatorFaults]


def completed_is_passed(patch: pytest.MonkeyPatch, world: World) -> OperatorFaults:
    def wrong(engine: Any, result: Any, events: Any) -> OperatorState:
        if engine is not None and engine.engine_status == "completed":
            return OperatorState(seen=Seen.ACTIVE, words="completed")
        return engine_state(engine, result, events)

    patch.setattr(litmus_module, "engine_state", wrong)
    return world.litmus


def stopped_is_reverted(patch: pytest.MonkeyPatch, world: World) -> OperatorFaults:
    def wrong(_experiment: str, engine: Any, _result: Any, _pods: Any) -> tuple[str, ...]:
        return () if engine is None or engine.engine_status in ENDED else ("it runs",)

    patch.setattr(litmus_module, "engine_left", wrong)
    return world.litmus


def the_wanted_state_is_the_state(patch: pytest.MonkeyPatch, world: World) -> OperatorFaults:
    right = guard_actions.Engine.end

    def wrong(self: Any) -> list[str]:
        found = self.api.find(self.path)
        return [] if found and found["spec"].get("engineState") == "stop" else right(self)

    patch.setattr(guard_actions.Engine, "end", wrong)
    return world.litmus


def one_shots_recover(patch: pytest.MonkeyPatch, world: World) -> OperatorFaults:
    right = guard_actions.Mesh.end

    def wrong(self: Any) -> list[str]:
        found = self.api.find(self.path)
        conditions = (found or {}).get("status", {}).get("conditions", [])
        recovered = any(one["type"] == "AllRecovered" and one["status"] == "True" for one in conditions)
        return right(self) if found is None or recovered else ["it is not recovered"]

    patch.setattr(guard_actions.Mesh, "end", wrong)
    return world.mesh


def no_time_out(_patch: pytest.MonkeyPatch, world: World) -> OperatorFaults:
    return replace(world.litmus, operator_seconds=3600.0)


@pytest.mark.parametrize(
    ("mutate", "script"),
    [
        (completed_is_passed, "skipped"),
        (stopped_is_reverted, "stops-unreverted"),
        (the_wanted_state_is_the_state, "takes-long"),
        (one_shots_recover, "one-shot"),
        (no_time_out, "away"),
    ],
)
async def test_a_wrong_provider_is_noticed(
    world: World, outcomes: dict[tuple[str, str], Outcome], monkeypatch: pytest.MonkeyPatch, mutate: Mutate, script: str
) -> None:
    provider = mutate(monkeypatch, world)
    expected = (LITMUS if provider.provider is Provider.LITMUS else MESH)[script]
    played = await world.play(provider, script, seconds=12.0)

    assert outcomes[provider.provider.value, script].wrong(expected) == []
    assert played.wrong(expected) != []


async def test_the_time_of_a_fault_begins_when_the_operator_has_injected(world: World) -> None:
    """Two seconds, although the operator takes as long to begin. Nobody reverts it but its guard."""
    wanted = world.injection("slow", seconds=2)
    began = time.monotonic()
    await world.litmus.inject(wanted)
    injected = time.monotonic()
    while await world.litmus.status(wanted.id) is not REVERTED:
        assert time.monotonic() - injected < START + REVERT
        await world.litmus.beat(wanted.id)
        await asyncio.sleep(0.2)

    assert injected - began > 2
    assert time.monotonic() - injected > 1.5
    record = world.litmus.guards.record(wanted.id)
    assert record is not None
    assert record.state.reason == "expired"


async def test_a_beat_returns_although_the_api_server_hangs(world: World) -> None:
    """And no second one is sent beside it. The worker has other things to do, such as an abort."""
    beats: list[str] = []

    class Hanging(GuardThreads):
        def beat(self, fault: FaultId) -> None:
            beats.append(fault)
            time.sleep(8)

    hanging = Hanging(connection=world.litmus.connection, api=world.litmus.guards.api)  # type: ignore[attr-defined]
    provider = replace(world.litmus, guards=hanging, beats={})
    began = time.monotonic()
    await asyncio.gather(provider.beat(FaultId("a")), provider.beat(FaultId("a")))

    assert time.monotonic() - began < 5
    assert beats == ["a"]


async def test_what_is_missing_is_named_with_its_remedy(world: World) -> None:
    """No ChaosExperiment, no CRDs: refused before anything is made."""
    fault = Fault(
        type=FaultType.MEMORY_STRESS,
        parameters=PARAMETER_READERS[FaultType.MEMORY_STRESS].read({"megabytes": 16}).required(),
        duration_seconds=60,
        name="memory",
    )
    wanted = Injection(
        id=FaultId(f"missing-{os.urandom(3).hex()}"),
        fault=fault,
        target=world.target,
        expires_after=timedelta(seconds=9),
    )
    with pytest.raises(InjectError, match=r"no ChaosExperiment pod-memory-hog: kubectl apply"):
        await world.litmus.inject(wanted)
    assert await world.litmus.verify(wanted.id) == ()
