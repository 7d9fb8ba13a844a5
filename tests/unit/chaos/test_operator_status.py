"""What the objects of Litmus and Chaos Mesh mean for a fault, and which provider is chosen: tables."""

import pytest
from harness.fault_beds import fault_of

from chaos.choice import choose_in_cluster
from chaos.fault_types import Fault, FaultType, Provider
from chaos.manifests.chaos_mesh_status import MeshObject, MeshRecord, is_over, mesh_left, mesh_state
from chaos.manifests.litmus_status import Engine, Result, engine_left, engine_state
from chaos.manifests.operator_state import Seen
from chaos.provider import refusal

STOPPED, COMPLETED = Engine(uid="u", engine_status="stopped"), Engine(uid="u", engine_status="completed")
RUNNING = Engine(uid="u", engine_status="initialized", experiment="Running")


@pytest.mark.parametrize(
    ("engine", "result", "seen"),
    [
        (Engine(uid="u"), None, Seen.WAITING),
        (RUNNING, None, Seen.WAITING),
        (RUNNING, Result(verdict="Awaited", target="targeted"), Seen.WAITING),
        (RUNNING, Result(verdict="Awaited", target="injected"), Seen.ACTIVE),
        (COMPLETED, Result(verdict="Pass", target="reverted"), Seen.ACTIVE),
        (COMPLETED, Result(verdict="Pass"), Seen.FAILED),
        (COMPLETED, None, Seen.FAILED),
        (STOPPED, None, Seen.FAILED),
        (RUNNING, Result(verdict="Error", reason="r"), Seen.FAILED),
        (Engine(uid="u", engine_status="initialized", experiment="ChaosExperiment Not Found"), None, Seen.FAILED),
        (None, None, Seen.FAILED),
    ],
)
def test_an_engine_is_active_only_when_its_target_is(engine: Engine | None, result: Result | None, seen: Seen) -> None:
    assert engine_state(engine, result, ()).seen is seen


@pytest.mark.parametrize(
    ("experiment", "engine", "result", "left"),
    [
        ("pod-cpu-hog", STOPPED, Result(target="reverted"), 0),
        ("pod-cpu-hog", STOPPED, Result(target="injected"), 1),
        ("pod-delete", STOPPED, Result(target="injected"), 0),
        ("pod-cpu-hog", RUNNING, Result(target="injected"), 2),
        ("pod-cpu-hog", Engine(uid="u", engine_status="completed", experiment="Completed"), None, 1),
        ("pod-cpu-hog", None, Result(target="reverted"), 0),
    ],
)
def test_stopped_is_not_reverted(experiment: str, engine: Engine | None, result: Result | None, left: int) -> None:
    assert len(engine_left(experiment, engine, result, ())) == left


def test_the_words_of_events_are_told() -> None:
    assert "no account" in engine_state(RUNNING, None, ("no account",)).words


INJECTED = MeshObject(
    conditions={"Selected": True, "AllInjected": True}, records=(MeshRecord(id="n/p", phase="Injected", injected=1),)
)


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        (MeshObject(), Seen.WAITING),
        (MeshObject(conditions={"Selected": False}), Seen.WAITING),
        (INJECTED, Seen.ACTIVE),
        (MeshObject(conditions={"Selected": True, "AllInjected": True}), Seen.WAITING),
        (MeshObject(conditions={"Paused": True}), Seen.FAILED),
        (MeshObject(deleted=True), Seen.FAILED),
        (None, Seen.FAILED),
    ],
)
def test_an_object_is_active_when_all_are_injected(found: MeshObject | None, seen: Seen) -> None:
    assert mesh_state(found).seen is seen


def test_nobody_waits_for_the_recovery_of_a_killed_pod() -> None:
    recovered = MeshObject(conditions={"AllRecovered": True}, records=(MeshRecord(id="n/p"),))

    assert is_over(recovered, one_shot=False)
    assert not is_over(recovered, one_shot=True)
    assert not is_over(INJECTED, one_shot=False)
    assert is_over(None, one_shot=True)
    assert mesh_left(None, "PodChaos", one_shot=True) == ()
    assert len(mesh_left(INJECTED, "NetworkChaos", one_shot=False)) == 2


ALL = frozenset(Provider)
NATIVE = frozenset({Provider.KUBERNETES})


def named(fault: Fault, provider: Provider) -> Fault:
    return Fault(
        type=fault.type,
        parameters=fault.parameters,
        duration_seconds=fault.duration_seconds,
        name=fault.name,
        provider=provider,
    )


def test_the_best_provider_that_is_there_is_chosen_and_says_why() -> None:
    latency, stress = fault_of(FaultType.NETWORK_LATENCY), fault_of(FaultType.CPU_STRESS)

    assert choose_in_cluster(stress, ALL).provider is Provider.KUBERNETES
    assert choose_in_cluster(latency, ALL).provider is Provider.CHAOS_MESH
    assert "no proxy of ours" in choose_in_cluster(latency, ALL).why
    assert choose_in_cluster(latency, NATIVE | {Provider.LITMUS}).provider is Provider.LITMUS
    assert "not in this cluster: chaos-mesh, litmus" in str(choose_in_cluster(latency, NATIVE).refused)


def test_a_named_provider_is_taken_or_refused_and_never_replaced() -> None:
    stress = named(fault_of(FaultType.CPU_STRESS), Provider.LITMUS)
    partition = named(fault_of(FaultType.NETWORK_PARTITION), Provider.LITMUS)

    assert choose_in_cluster(stress, ALL).provider is Provider.LITMUS
    assert "is not in this cluster" in str(choose_in_cluster(stress, NATIVE).refused)
    assert "every pod with the first label" in str(choose_in_cluster(partition, ALL).refused)


@pytest.mark.parametrize(
    ("provider", "kind", "change", "words"),
    [
        (Provider.LITMUS, FaultType.POD_KILL, {}, "once: true"),
        (Provider.CHAOS_MESH, FaultType.POD_DELETE, {}, "once: true"),
        (Provider.CHAOS_MESH, FaultType.CONTAINER_KILL, {"once": True}, "name of the container"),
        (Provider.LITMUS, FaultType.NETWORK_PACKET_LOSS, {"percent": 1.5}, "whole percent"),
        (Provider.LITMUS, FaultType.DISK_IO_STRESS, {"megabytes": 64}, "whole gigabytes"),
        (Provider.LITMUS, FaultType.EXCEPTION_INJECTION, {"port": 80, "status": 418}, "answers only with"),
        (Provider.LITMUS, FaultType.EXCEPTION_INJECTION, {"port": 80, "pathPrefix": "/a"}, "among paths"),
        (Provider.LITMUS, FaultType.EXCEPTION_INJECTION, {}, "set `port`"),
        (Provider.CHAOS_MESH, FaultType.NETWORK_LATENCY, {"port": 80}, "leave out `port`"),
        (Provider.CHAOS_MESH, FaultType.EXCEPTION_INJECTION, {"port": 80, "percent": 50}, "all requests"),
        (Provider.CHAOS_MESH, FaultType.CPU_STRESS, {"loadPercent": 12.5}, "whole percent"),
    ],
)
def test_what_an_operator_cannot_express_is_refused(
    provider: Provider, kind: FaultType, change: dict[str, object], words: str
) -> None:
    assert words in str(refusal(provider, fault_of(kind, **change)))
