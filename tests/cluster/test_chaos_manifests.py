"""Manifests for Litmus and Chaos Mesh are valid for their CRDs: the dry run refuses unknown keys, too."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from harness import cluster_namespaces
from harness.operator_crds import installed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.experiment_reading import PARAMETER_READERS
from chaos.fault_types import KILLS, Direction, Fault, FaultType, Provider
from chaos.manifests import chaos_mesh, litmus
from chaos.provider import FaultId, refusal
from chaos.rendering import document
from chaos.targets import Target
from cluster.kubernetes.connection import ApiError, Call, Connection
from model.json_values import JsonObject

pytestmark = pytest.mark.cluster

STRICT = (("dryRun", "All"), ("fieldValidation", "Strict"))
NUMBERS = count()


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    access, _ = cluster_namespaces.usable()
    made = Connection(cluster_namespaces.make(access))
    with installed(made, "litmus", "chaos-mesh"):
        yield made
    cluster_namespaces.remove(made)
    made.close()


def path_of(manifest: JsonObject, namespace: str) -> str:
    kind = str(manifest["kind"])
    plural = litmus.PLURAL if kind == "ChaosEngine" else chaos_mesh.PLURALS[kind]
    return f"/apis/{manifest['apiVersion']}/namespaces/{namespace}/{plural}"


def dry_run(connection: Connection, manifest: JsonObject) -> dict[str, Any]:
    call = Call(method="POST", path=path_of(manifest, connection.access.namespace), query=STRICT, body=manifest)
    answer: dict[str, Any] = json.loads(connection.send(call))
    return answer


PERCENT = st.one_of(st.integers(1, 100), st.floats(0.5, 100, allow_nan=False).map(lambda x: round(x, 1)))
PORT = st.one_of(st.none(), st.integers(1, 65535))
PARAMETERS: dict[FaultType, st.SearchStrategy[dict[str, Any]]] = {
    FaultType.POD_DELETE: st.fixed_dictionaries({"gracePeriodSeconds": st.integers(1, 300)}),
    FaultType.POD_KILL: st.just({}),
    FaultType.CONTAINER_KILL: st.fixed_dictionaries({"container": st.sampled_from([None, "app", "web-1"])}),
    FaultType.NETWORK_LATENCY: st.fixed_dictionaries(
        {"latencyMs": st.integers(1, 60_000), "jitterMs": st.just(0), "port": PORT}
    ),
    FaultType.NETWORK_PARTITION: st.fixed_dictionaries({"direction": st.sampled_from(list(Direction))}),
    FaultType.NETWORK_PACKET_LOSS: st.fixed_dictionaries({"percent": PERCENT, "port": PORT}),
    FaultType.CPU_STRESS: st.fixed_dictionaries({"loadPercent": PERCENT, "workers": st.integers(1, 16)}),
    FaultType.MEMORY_STRESS: st.fixed_dictionaries({"megabytes": st.integers(1, 65_536)}),
    FaultType.DISK_IO_STRESS: st.fixed_dictionaries({"megabytes": st.sampled_from([1, 64, 1024])}),
    FaultType.EXCEPTION_INJECTION: st.fixed_dictionaries(
        {"percent": PERCENT, "status": st.integers(400, 599), "port": PORT, "pathPrefix": st.sampled_from(["/", "/a"])}
    ),
}


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    kind = draw(st.sampled_from(list(FaultType)))
    values = draw(PARAMETERS[kind]) | ({"once": draw(st.booleans())} if kind in KILLS else {})
    parameters = PARAMETER_READERS[kind].read({key: value for key, value in values.items() if value is not None})
    return Fault(type=kind, parameters=parameters.required(), duration_seconds=draw(st.integers(1, 3600)), name="f")


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(fault=faults())
def test_a_manifest_comes_back_from_the_api_server_as_it_was_sent(connection: Connection, fault: Fault) -> None:
    """100 generated faults. What a provider cannot express it refuses; what it renders the CRD accepts, unchanged."""
    target = Target(place=connection.access.namespace, service="s", name="pod-1", identity="u")
    for provider in (Provider.LITMUS, Provider.CHAOS_MESH):
        fault_id = FaultId(f"dry-{next(NUMBERS)}")
        if refusal(provider, fault):
            with pytest.raises(ValueError, match=rf"{provider}"):
                document(provider, fault, fault_id, target)
            continue
        manifest = document(provider, fault, fault_id, target)

        answer = dry_run(connection, manifest)

        assert answer["spec"] == manifest["spec"]
        assert answer["metadata"]["labels"] == manifest["metadata"]["labels"]  # type: ignore[index,call-overload]


@pytest.mark.parametrize("kind", FaultType)
@pytest.mark.parametrize("provider", [Provider.LITMUS, Provider.CHAOS_MESH])
def test_each_fault_is_valid_or_refused_by_name(connection: Connection, provider: Provider, kind: FaultType) -> None:
    """With the parameters that each of both can express."""
    able: dict[str, Any] = {
        FaultType.CONTAINER_KILL: {"container": "app"},
        FaultType.NETWORK_LATENCY: {"latencyMs": 100},
        FaultType.NETWORK_PACKET_LOSS: {"percent": 20},
        FaultType.MEMORY_STRESS: {"megabytes": 64},
        FaultType.DISK_IO_STRESS: {"megabytes": 1024},
        FaultType.EXCEPTION_INJECTION: {"port": 80},
    }.get(kind, {})
    values = able | ({"once": True} if kind in KILLS else {})
    fault = Fault(
        type=kind, parameters=PARAMETER_READERS[kind].read(values).required(), duration_seconds=60, name=kind.value
    )
    target = Target(place=connection.access.namespace, service="s", name="pod-1", identity="u")
    impossible = {(Provider.LITMUS, FaultType.NETWORK_PARTITION), (Provider.CHAOS_MESH, FaultType.DISK_IO_STRESS)}

    assert bool(refusal(provider, fault)) == ((provider, kind) in impossible)
    if not refusal(provider, fault):
        assert dry_run(connection, document(provider, fault, FaultId("each"), target))["kind"]


def test_the_api_server_would_refuse_a_wrong_manifest(connection: Connection) -> None:
    """The constraints are those of the real CRDs: a pattern, and an unknown key."""
    target = Target(place=connection.access.namespace, service="s", name="pod-1", identity="u")
    fault = Fault(
        type=FaultType.CPU_STRESS,
        parameters=PARAMETER_READERS[FaultType.CPU_STRESS].read({}).required(),
        duration_seconds=60,
        name="f",
    )
    engine = document(Provider.LITMUS, fault, FaultId("wrong"), target)
    engine["spec"]["engineState"] = "running"  # type: ignore[index,call-overload]
    stress = document(Provider.CHAOS_MESH, fault, FaultId("wrong"), target)
    stress["spec"]["targets"] = []  # type: ignore[index,call-overload]

    with pytest.raises(ApiError, match="engineState"):
        dry_run(connection, engine)
    with pytest.raises(ApiError, match="targets"):
        dry_run(connection, stress)
